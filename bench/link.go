package bench

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// errLost says that a connection ended before an answer came.
var errLost = errors.New("the connection was lost before an answer came")

// link is one session with one replica.
type link struct {
	ws      *websocket.Conn
	session *session.Session
	ready   wire.Ready
	dead    chan struct{} // closed when nothing more comes

	sealing sync.Mutex // seal and write go together, in order

	mu      sync.Mutex
	next    uint32
	waiting map[uint32]chan wire.ServerMessage
	leaving bool // the house said bye: nothing new goes this way
}

// dial opens a session with a replica. The link reads until ctx ends or the
// connection does.
func dial(ctx context.Context, client *http.Client, verifier *identity.Verifier, url string, p *person, token string) (*link, error) {
	handshake, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	ws, _, err := websocket.Dial(handshake, strings.TrimSuffix(url, "/")+"/ws", &websocket.DialOptions{
		Subprotocols: session.Modes(), HTTPClient: client,
	})
	if err != nil {
		return nil, fmt.Errorf("reach a replica: %w", err)
	}
	ws.SetReadLimit(session.MaxServerMessage)
	sess, first, err := session.Client(handshake, socket{ws}, session.ClientConfig{
		Mode: ws.Subprotocol(), Offered: session.Modes(), Token: token, Chain: p.chain, Key: p.key,
		VerifyServer: func(chain [][]byte, at auction.Time) (*ecdsa.PublicKey, error) {
			cert, err := verifier.Verify(chain, identity.RoleDMS, at.Std())
			if err != nil {
				return nil, err
			}
			return cert.Key, nil
		},
	})
	var ready wire.Ready
	if err == nil {
		ready, err = wire.ParseReady(first)
	}
	if err != nil {
		ws.CloseNow()
		return nil, fmt.Errorf("open a session: %w", err)
	}
	l := &link{ws: ws, session: sess, ready: ready, dead: make(chan struct{}), waiting: make(map[uint32]chan wire.ServerMessage)}
	go l.read(ctx)
	return l, nil
}

func (l *link) read(ctx context.Context) {
	defer close(l.dead)
	defer l.ws.CloseNow()
	for {
		frame, err := socket{l.ws}.Read(ctx)
		if err != nil {
			return
		}
		plain, err := l.session.Open(frame)
		if err != nil {
			return
		}
		messages, err := wire.SplitFrame(plain)
		if err != nil {
			return
		}
		for _, message := range messages {
			m, err := wire.ParseServer(message)
			if err != nil {
				return
			}
			l.take(m)
		}
	}
}

func (l *link) take(m wire.ServerMessage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, bye := m.(*wire.ByeNotice); bye {
		l.leaving = true
	}
	if answer := l.waiting[m.AnswerID()]; answer != nil {
		delete(l.waiting, m.AnswerID())
		answer <- m // has room for one
	}
}

// usable reports whether something new may go this way.
func (l *link) usable() bool {
	select {
	case <-l.dead:
		return false
	default:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.leaving
}

// request sends a message and waits for its answer; a refusal is an error. After
// errLost nobody knows whether it was carried out.
func (l *link) request(ctx context.Context, build func(id uint32) wire.ClientMessage) (wire.ServerMessage, error) {
	answer := make(chan wire.ServerMessage, 1)
	l.mu.Lock()
	l.next++
	id := l.next
	l.waiting[id] = answer
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.waiting, id)
		l.mu.Unlock()
	}()
	if err := l.send(ctx, wire.EncodeClient(build(id))); err != nil {
		return nil, err
	}
	select {
	case m := <-answer:
		if r, ok := m.(*wire.RefusedAnswer); ok {
			return nil, r.Refusal()
		}
		return m, nil
	case <-l.dead:
		return nil, errLost
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *link) send(ctx context.Context, data []byte) error {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	frame, err := l.session.Seal(data)
	if err != nil {
		return err
	}
	if err := (socket{l.ws}).Write(ctx, frame); err != nil {
		return errLost
	}
	return nil
}

// socket is a WebSocket as the session sees it.
type socket struct{ ws *websocket.Conn }

var errText = errors.New("a text message in a sealed session")

// Read implements session.Conn.
func (s socket) Read(ctx context.Context) ([]byte, error) {
	kind, data, err := s.ws.Read(ctx)
	if err == nil && kind != websocket.MessageBinary {
		err = errText
	}
	return data, err
}

// Write implements session.Conn.
func (s socket) Write(ctx context.Context, msg []byte) error {
	return s.ws.Write(ctx, websocket.MessageBinary, msg)
}
