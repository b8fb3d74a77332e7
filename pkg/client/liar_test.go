package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// liar is a replica as a dishonest house, or a failing one, would run it. It has
// the DMS's key, so that clients believe it to be one; it opens what they send,
// and hands it to the real replica in their name. The hooks decide what each
// side gets. They are set while no connection uses them.
type liar struct {
	t     *testing.T
	url   string
	chain [][]byte
	key   *ecdsa.PrivateKey

	// person is the client's key: the real replica wants its signature.
	person *ecdsa.PrivateKey

	// toHouse reports whether a request is handed on; nil hands on all.
	toHouse func(wire.ClientMessage) bool
	// toClient gives what a client gets in place of a message, nil for the end of
	// the connection; a nil hook passes everything on.
	toClient func(wire.ServerMessage) []wire.ServerMessage
	// onConnect, if set, is told of each session.
	onConnect func(*tapped)

	// modes are those of a session that it has.
	modes []string

	// random, if set, gives what a session's id and HPKE key are made of.
	random func() io.Reader

	// drift is how far the liar's time is from the house's.
	drift time.Duration

	open     atomic.Int32 // connections
	commands sync.Map     // pseudonym -> *atomic.Int32: how often a command came
}

// newLiar starts a liar.
func newLiar(t *testing.T) *liar {
	t.Helper()
	keys := filepath.Dir(theHouse.Ready.RootCertificate)
	l := &liar{
		t:     t,
		modes: session.Modes(),
		chain: must(identity.LoadChain(filepath.Join(keys, "dms.pem")))(t),
		key:   must(identity.LoadKey(filepath.Join(keys, "dms.key")))(t),
	}
	server := httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// enrolAt makes a person whose first replica is the liar.
func enrolAt(t *testing.T, l *liar, others ...string) person {
	t.Helper()
	p := enrol(t, append([]string{l.url}, others...)...)
	l.person = must(identity.LoadKey(filepath.Join(p.dir, "key.pem")))(t)
	return p
}

// frames is a WebSocket as a session sees it.
type frames struct{ *websocket.Conn }

func (f frames) Read(ctx context.Context) ([]byte, error) {
	_, data, err := f.Conn.Read(ctx)
	return data, err
}

func (f frames) Write(ctx context.Context, msg []byte) error {
	return f.Conn.Write(ctx, websocket.MessageBinary, msg)
}

// tapped is one connection through a liar.
type tapped struct {
	client, house *session.Session
	down, up      frames
	credentials   session.Credentials // that the client showed

	sealing sync.Mutex // of client
}

func (l *liar) serve(w http.ResponseWriter, r *http.Request) {
	down, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: l.modes})
	if err != nil {
		return
	}
	defer down.CloseNow()
	down.SetReadLimit(session.MaxClientMessage)
	l.open.Add(1)
	defer l.open.Add(-1)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	tap := &tapped{down: frames{down}}
	var credentials session.Credentials
	var random io.Reader
	if l.random != nil {
		random = l.random()
	}
	tap.client, err = session.Server(ctx, tap.down, session.ServerConfig{
		Rand: random,
		Mode: down.Subprotocol(), Spoken: l.modes, Chain: l.chain, Key: l.key,
		Now: func() (auction.Time, error) { return auction.TimeOf(time.Now().Add(ahead + l.drift)), nil },
		Authenticate: func(_ context.Context, c session.Credentials) (*ecdsa.PublicKey, error) {
			credentials = c
			return keyOf(c.Chain)
		},
		Ready: func() ([]byte, error) { return l.reach(ctx, tap, credentials) },
	})
	if err != nil || tap.house == nil {
		return
	}
	defer tap.up.CloseNow()
	tap.credentials = credentials
	if l.onConnect != nil {
		l.onConnect(tap)
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { l.pumpUp(ctx, tap); cancel() })
	pumps.Go(func() { l.pumpDown(ctx, tap); cancel() })
	pumps.Wait()
}

func keyOf(chain [][]byte) (*ecdsa.PublicKey, error) {
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, err
	}
	return leaf.PublicKey.(*ecdsa.PublicKey), nil
}

// reach opens a session with the real replica in the client's name.
func (l *liar) reach(ctx context.Context, tap *tapped, c session.Credentials) ([]byte, error) {
	up, _, err := websocket.Dial(ctx, theHouse.Ready.DMS[0]+"/ws", &websocket.DialOptions{Subprotocols: session.Modes()})
	if err != nil {
		return nil, err
	}
	up.SetReadLimit(session.MaxServerMessage)
	tap.up = frames{up}
	house, ready, err := session.Client(ctx, tap.up, session.ClientConfig{
		Mode: up.Subprotocol(), Offered: session.Modes(), Token: c.Token, Chain: c.Chain, Key: l.person,
		VerifyServer: func(chain [][]byte, _ auction.Time) (*ecdsa.PublicKey, error) { return keyOf(chain) },
	})
	if err != nil {
		up.CloseNow()
		return nil, err
	}
	tap.house = house
	return ready, nil
}

func (l *liar) pumpUp(ctx context.Context, tap *tapped) {
	for {
		frame, err := tap.down.Read(ctx)
		if err != nil {
			return
		}
		plain, err := tap.client.Open(frame)
		if err != nil {
			return
		}
		m, err := wire.ParseClient(plain)
		if err != nil {
			l.t.Errorf("the client sent what is no message: %v", err)
			return
		}
		if command, ok := m.(*wire.CommandRequest); ok {
			l.count(command)
		}
		if l.toHouse != nil && !l.toHouse(m) {
			continue
		}
		sealed, err := tap.house.Seal(plain)
		if err != nil || tap.up.Write(ctx, sealed) != nil {
			return
		}
	}
}

func (l *liar) pumpDown(ctx context.Context, tap *tapped) {
	for {
		frame, err := tap.up.Read(ctx)
		if err != nil {
			return
		}
		plain, err := tap.house.Open(frame)
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
				l.t.Errorf("the house sent what is no message: %v", err)
				return
			}
			out := []wire.ServerMessage{m}
			if l.toClient != nil {
				out = l.toClient(m)
			}
			if out == nil || tap.send(ctx, out...) != nil {
				return
			}
		}
	}
}

// send gives a client messages, in one frame.
func (tap *tapped) send(ctx context.Context, messages ...wire.ServerMessage) error {
	if len(messages) == 0 {
		return nil
	}
	var frame []byte
	for _, m := range messages {
		frame = wire.AppendMessage(frame, m)
	}
	tap.sealing.Lock()
	defer tap.sealing.Unlock()
	sealed, err := tap.client.Seal(frame)
	if err != nil {
		return err
	}
	return tap.down.Write(ctx, sealed)
}

// cut ends a connection with a code, as a replica does.
func (tap *tapped) cut(code wire.CloseCode) {
	_ = tap.down.Close(websocket.StatusCode(code), "") // an error: the client has gone by itself
}

func (l *liar) count(command *wire.CommandRequest) {
	signed, err := wire.ParseCommand([]byte(command.JWS))
	if err != nil {
		l.t.Errorf("the client sent what is no command: %v", err)
		return
	}
	n, _ := l.commands.LoadOrStore(signed.Pseudonym, new(atomic.Int32))
	n.(*atomic.Int32).Add(1)
}

// sent returns how often a command came to this replica.
func (l *liar) sent(name auction.Pseudonym) int {
	n, ok := l.commands.Load(name)
	if !ok {
		return 0
	}
	return int(n.(*atomic.Int32).Load())
}

// drop and pass are answers of a hook.
var drop = []wire.ServerMessage{}

func pass(m wire.ServerMessage) []wire.ServerMessage { return []wire.ServerMessage{m} }

// isBid reports whether a request is a bid.
func isBid(m wire.ClientMessage) bool {
	command, ok := m.(*wire.CommandRequest)
	if !ok {
		return false
	}
	signed, err := wire.ParseCommand([]byte(command.JWS))
	return err == nil && signed.Kind == auction.KindBid
}

// changed returns an event with a change in its canonical text.
func changed(t *testing.T, event, old, replacement string) string {
	t.Helper()
	out := strings.Replace(event, old, replacement, 1)
	if out == event {
		t.Errorf("%s is not in %s", old, event)
	}
	return out
}
