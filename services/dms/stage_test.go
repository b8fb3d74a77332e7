package dms

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/note"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

// stage is a replica over the in-memory model, with a clock that the test
// moves. Spectators reach it over real sockets; parties are made by hand.
type stage struct {
	*auctiontest.Scene
	t   *testing.T
	srv *server
	url string
}

func newStage(t *testing.T, change func(*server)) *stage {
	t.Helper()
	clock := auctiontest.NewClock()
	memory := auction.NewMemory(clock.Now, auctiontest.Signer{}, auctiontest.Zeros{})
	cfg := Config{House: "demo", SessionLife: time.Hour, MaxSessions: 100, MaxPerAddress: 100}
	registry := prometheus.NewRegistry()
	srv := &server{
		cfg: cfg, log: slog.New(slog.DiscardHandler), metrics: newMetrics(registry),
		door: newDoor(cfg), limits: newLimits(), pingEvery: time.Hour, byeAfter: byeAfter,
		heads: &heads{house: "demo", signer: newLogSigner(t), latest: make(map[auction.LogID]signedHead)},
	}
	srv.ctx, srv.cancel = context.WithCancel(context.Background())
	srv.clock = tsp.NewClock(stamper{clock}, nil, true)
	if err := srv.clock.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	srv.use(memory, registry)
	if change != nil {
		change(srv)
	}
	web := httptest.NewServer(srv.handler(nil))
	t.Cleanup(func() {
		srv.cancel()
		srv.door.close()
		srv.door.wait()
		srv.stop()
		web.Close()
	})
	return &stage{Scene: auctiontest.NewScene(t, t.Name(), memory, clock), t: t, srv: srv, url: web.URL}
}

func newLogSigner(t *testing.T) *evidence.LogSigner {
	t.Helper()
	secret, _, err := note.GenerateKey(rand.Reader, "demo")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := evidence.NewLogSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// stamper stamps the time of a test's clock.
type stamper struct{ clock *auctiontest.Clock }

// of returns itself for every policy.
func (s stamper) of(auction.Hash, auction.Policy) (tsp.Stamper, error) { return s, nil }

func (s stamper) Stamp(context.Context, [32]byte) ([][]byte, auction.Time, error) {
	return [][]byte{{1}}, s.clock.Time(), nil
}

// party is a participant whom nobody has to authenticate.
func party(name string) *accept.Party {
	return &accept.Party{
		Certificate: &identity.Certificate{
			Participant: auctiontest.Participant(name), Thumbprint: sha256.Sum256([]byte("certificate " + name)),
		},
		Role: identity.RoleParticipant, Expires: auctiontest.Start.Add(24 * time.Hour),
	}
}

// spectator is a client in the public mode.
type spectator struct {
	t    *testing.T
	ws   *websocket.Conn
	read []wire.ServerMessage // and not looked at yet
}

func (s *stage) spectator() *spectator {
	s.t.Helper()
	ws, _, err := websocket.Dial(s.t.Context(), s.url+"/ws", &websocket.DialOptions{Subprotocols: []string{session.ModePublic}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { ws.CloseNow() })
	ws.SetReadLimit(wire.MaxServerFrame)
	return &spectator{t: s.t, ws: ws}
}

func (s *spectator) send(m wire.ClientMessage) {
	s.t.Helper()
	if err := s.ws.Write(s.t.Context(), websocket.MessageText, wire.EncodeClient(m)); err != nil {
		s.t.Fatal(err)
	}
}

// next returns the next message, or how the connection ended.
func (s *spectator) next() (wire.ServerMessage, error) {
	s.t.Helper()
	for len(s.read) == 0 {
		_, frame, err := s.ws.Read(s.t.Context())
		if err != nil {
			return nil, err
		}
		s.read = messagesOf(s.t, frame)
	}
	m := s.read[0]
	s.read = s.read[1:]
	return m, nil
}

// expect returns the next message.
func (s *spectator) expect() wire.ServerMessage {
	s.t.Helper()
	m, err := s.next()
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

func messagesOf(t *testing.T, frame []byte) []wire.ServerMessage {
	t.Helper()
	lines, err := wire.SplitFrame(frame)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]wire.ServerMessage, len(lines))
	for i, line := range lines {
		if out[i], err = wire.ParseServer(line); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// listed is an auction of a seller with so many bids in it.
func (s *stage) listed(bids int) auction.ID {
	s.t.Helper()
	id := s.Listed("seller", s.Terms())
	for i := range bids {
		s.Accept(s.Bid(id, fmt.Sprintf("bidder %d", i%2), auction.Amount(1000+100*i)))
	}
	return id
}

// newSocketServer hands over each WebSocket that it accepts.
func newSocketServer(t *testing.T, made chan<- *websocket.Conn) *httptest.Server {
	t.Helper()
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		made <- ws
		<-r.Context().Done()
	}))
}
