package dms

import (
	"context"
	"crypto/ecdsa"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"
	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/broadcast"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

// state is what a replica needs of the store.
type state interface {
	auction.Store
	auction.Reader
	auction.Feed
	auction.Mailbox
	auction.Proofs
	auction.Operator
	auction.Pulse
	auction.Archive
}

// server is one replica: what all its connections share.
type server struct {
	cfg         Config
	log         *slog.Logger
	metrics     *metrics
	store       state
	clock       *tsp.Clock
	trust       *trust
	authorities *authorities
	checker     *accept.Checker
	crosscheck  *crosscheck
	heads       *heads
	hub         *broadcast.Hub
	pump        *broadcast.Pump // of the spectators
	mail        *mail
	chain       [][]byte
	key         *ecdsa.PrivateKey

	door *door
	limits

	// ctx is that of the connections, which outlive the handlers that made them.
	ctx    context.Context
	cancel context.CancelFunc

	pingEvery, byeAfter time.Duration // the constants; tests shorten them

	adopted atomic.Bool // the configured policy is, or was, in force
}

// handler serves the public address.
func (s *server) handler(operatorToken []byte) http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = ops.ClientAddress(s.cfg.TrustedProxies)
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if !c.Response().Committed {
			ops.WriteError(c.Response(), c.Request(), s.log, httpRefusal(err))
		}
	}
	e.GET("/ws", s.serveSocket)
	if len(operatorToken) > 0 {
		operator := e.Group("/api", requireToken(operatorToken))
		operator.POST("/audits", s.approveAudit)
		operator.GET("/contradictions", s.listContradictions)
		operator.POST("/extend", s.extend)
		operator.POST("/cancel", s.cancelAuction)
		operator.POST("/resume", s.resume)
	}
	return e
}

var errNotSocket = auction.Refuse(auction.CodeBadRequest, "this is for WebSockets")

// serveSocket upgrades a connection and leaves it to a goroutine of its own, so
// that what net/http holds for a request is given back.
func (s *server) serveSocket(c echo.Context) error {
	if !strings.EqualFold(c.Request().Header.Get("Upgrade"), "websocket") {
		return errNotSocket
	}
	conn := s.newConn()
	if err := s.door.enter(conn, c.RealIP()); err != nil {
		conn.cancel()
		return err
	}
	up := newUpgrade(c.Response(), c.Request())
	ws, err := websocket.Accept(up, c.Request(), &websocket.AcceptOptions{
		Subprotocols: append(s.cfg.modes(), session.ModePublic),
	})
	if err != nil {
		conn.cancel()
		s.door.leave(conn)
		return nil // Accept has answered
	}
	go func() {
		defer s.door.leave(conn)
		conn.serve(ws, up.conn)
	}()
	return nil
}

// drain says goodbye to all connections, spread over the drain time so that
// the other replicas are not stormed, and waits for them to go.
func (s *server) drain(ctx context.Context) error {
	conns := s.door.close()
	for i, c := range conns {
		if i > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(s.cfg.DrainTime / time.Duration(len(conns))):
			}
		}
		c.bye(wire.ReasonDrain)
	}
	gone := make(chan struct{})
	go func() {
		s.door.wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-ctx.Done():
	}
	s.cancel() // whoever is still there is cut off
	<-gone
	return nil
}

// heads signs heads of logs, each once while it is the latest.
type heads struct {
	house  string
	signer *evidence.LogSigner

	mu     sync.Mutex
	latest map[auction.LogID]signedHead
}

type signedHead struct {
	head auction.Head
	note string
}

// maxHeads bounds the signed heads that are kept: one takes about 400 bytes.
const maxHeads = 4096

func (h *heads) sign(log auction.LogID, head auction.Head) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s, ok := h.latest[log]; ok && s.head == head {
		return s.note, nil
	}
	note, err := h.signer.SignHead(h.house, log, head)
	if err != nil {
		return "", err
	}
	if len(h.latest) >= maxHeads {
		clear(h.latest)
	}
	h.latest[log] = signedHead{head, note}
	return note, nil
}
