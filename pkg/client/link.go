package client

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

const (
	dialTimeout = 10 * time.Second // of connection and handshake together
	// maxHelloDrift is how far the DMS's time may be from a stamp's: a stolen
	// key of the past could name a time at which its certificate was good.
	maxHelloDrift = time.Minute
	// pingEvery finds a replica that vanished without a word.
	pingEvery = 20 * time.Second
)

// errLost says that a connection ended before an answer came.
var errLost = errors.New("the connection was lost before an answer came")

// link is one session with one replica, or a spectator's connection.
type link struct {
	url     string
	ws      *websocket.Conn
	session *session.Session // nil for a spectator
	ready   wire.Ready
	hello   auction.Time // the DMS's time in the handshake
	met     time.Time    // when it came, for the monotonic clock since
	early   bool         // hello was not compared, as no time was trusted yet
	token   string
	dead    chan struct{} // closed when nothing more comes

	sealing sync.Mutex // seal and write go together, in order

	mu       sync.Mutex
	next     uint32
	waiting  map[uint32]chan wire.ServerMessage
	followed map[auction.LogID]bool // asked for on this connection
	leaving  bool                   // the DMS said bye: nothing new goes this way
}

// dial opens a session with a replica.
func (c *Client) dial(ctx context.Context, url string) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	token, chain, err := c.session(ctx)
	if err != nil {
		return nil, err
	}
	ws, _, err := websocket.Dial(ctx, strings.TrimSuffix(url, "/")+"/ws", &websocket.DialOptions{
		Subprotocols: c.options.Modes, HTTPClient: c.options.HTTP,
	})
	if err != nil {
		return nil, fmt.Errorf("reach the house: %w", err)
	}
	if ws.Subprotocol() == "" {
		ws.CloseNow()
		return nil, auction.Refuse(auction.CodeBadHandshake, "the house has no mode of a session that this client may use")
	}
	ws.SetReadLimit(session.MaxServerMessage)
	c.mu.Lock()
	t := c.trust
	c.mu.Unlock()
	var hello auction.Time
	sess, first, err := session.Client(ctx, socket{ws, websocket.MessageBinary}, session.ClientConfig{
		Mode: ws.Subprotocol(), Offered: c.options.Modes, Token: token, Chain: chain, Key: c.profile.key,
		VerifyServer: func(chain [][]byte, at auction.Time) (*ecdsa.PublicKey, error) {
			hello = at
			return c.verifyServer(t, chain, at)
		},
	})
	if err != nil {
		ws.CloseNow()
		return nil, c.refusedBy(err, token)
	}
	c.received(first)
	ready, err := wire.ParseReady(first)
	if err == nil && ready.House != c.profile.house.House {
		err = auction.Refuse(auction.CodeWrongAudience, "this is another house")
	}
	if err != nil {
		ws.CloseNow()
		return nil, err
	}
	l := newLink(url, ws)
	l.session, l.ready, l.hello, l.met, l.early, l.token = sess, ready, hello, time.Now(), t == nil, token
	return l, nil
}

func newLink(url string, ws *websocket.Conn) *link {
	return &link{
		url: url, ws: ws, dead: make(chan struct{}),
		waiting: make(map[uint32]chan wire.ServerMessage), followed: make(map[auction.LogID]bool),
	}
}

// socket is the connection as what a session and its frames go over.
func (l *link) socket() socket {
	if l.session == nil {
		return socket{l.ws, websocket.MessageText}
	}
	return socket{l.ws, websocket.MessageBinary}
}

// refusedBy reads why the DMS closed a handshake. The close code is not
// authentic, so it decides only what is worth another try.
func (c *Client) refusedBy(err error, token string) error {
	var closed websocket.CloseError
	if !errors.As(err, &closed) {
		return err
	}
	switch wire.CloseCode(closed.Code) {
	case wire.CloseUnauthenticated, wire.CloseTokenEnded:
		c.dropToken(token)
	}
	for _, code := range auction.Codes() {
		if closed.Reason == string(code) {
			return errors.Join(auction.Refuse(code, "the house closed the connection"), err)
		}
	}
	return err
}

// verifyServer checks the certificate of a DMS, and the time that it states
// against the trusted one, if t is there to tell it.
func (c *Client) verifyServer(t *trust, chain [][]byte, at auction.Time) (*ecdsa.PublicKey, error) {
	if t != nil {
		ctx, cancel := context.WithTimeout(c.ctx, dialTimeout)
		defer cancel()
		now, err := t.clock.Now()
		if err != nil || t.policy.Simulated {
			if err = t.clock.Refresh(ctx); err == nil {
				now, err = t.clock.Now()
			}
		}
		if err == nil {
			if err := t.checkDrift(now, at); err != nil {
				return nil, err
			}
		}
	}
	cert, err := c.verifier.Verify(chain, identity.RoleDMS, at.Std())
	if err != nil {
		return nil, err
	}
	return cert.Key, nil
}

// checkDrift compares the DMS's time with the trusted one. Where time is
// simulated it jumps, and a replica may be behind for a moment.
func (t *trust) checkDrift(trusted, theirs auction.Time) error {
	if trusted.Sub(theirs).Abs() <= maxHelloDrift {
		return nil
	}
	if t.policy.Simulated {
		return auction.Refuse(auction.CodeUnavailable, "the house has not followed the simulated time yet: try again")
	}
	return auction.Refuse(auction.CodeBadHandshake, "the house's time is not that of its time authorities")
}

// run reads until the connection ends. notice gets what comes unasked.
func (l *link) run(ctx context.Context, received func([]byte), notice func(wire.ServerMessage)) error {
	defer close(l.dead)
	defer l.ws.CloseNow()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var pinging sync.WaitGroup
	pinging.Go(func() { l.ping(ctx) })
	defer pinging.Wait()
	defer cancel()
	for {
		plain, err := l.socket().Read(ctx)
		if err == nil && l.session != nil {
			plain, err = l.session.Open(plain)
		}
		if err != nil {
			return err
		}
		received(plain)
		messages, err := wire.SplitFrame(plain)
		if err != nil {
			return err
		}
		for _, message := range messages {
			m, err := wire.ParseServer(message)
			if err != nil {
				return err
			}
			if m.AnswerID() == 0 {
				notice(m)
			} else {
				l.deliver(m)
			}
		}
	}
}

func (l *link) ping(ctx context.Context) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		pong, cancel := context.WithTimeout(ctx, dialTimeout)
		err := l.ws.Ping(pong)
		cancel()
		if err != nil {
			l.ws.CloseNow()
			return
		}
	}
}

func (l *link) deliver(m wire.ServerMessage) {
	l.mu.Lock()
	answer := l.waiting[m.AnswerID()]
	delete(l.waiting, m.AnswerID())
	l.mu.Unlock()
	if answer != nil {
		answer <- m // has room for one
	}
}

// request sends a message and waits for its answer. A refusal becomes an error.
func (l *link) request(ctx context.Context, build func(id uint32) wire.ClientMessage) (wire.ServerMessage, error) {
	m, err := l.exchange(ctx, build)
	if r, ok := m.(*wire.RefusedAnswer); ok {
		return nil, r.Refusal()
	}
	return m, err
}

// exchange sends a message and waits for its answer, a refusal too. It returns
// errLost if the connection ends first: then nobody knows whether it was carried
// out.
func (l *link) exchange(ctx context.Context, build func(id uint32) wire.ClientMessage) (wire.ServerMessage, error) {
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
	if err := l.send(ctx, build(id)); err != nil {
		return nil, err
	}
	select {
	case m := <-answer:
		return m, nil
	case <-l.dead:
		return nil, errLost
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *link) send(ctx context.Context, m wire.ClientMessage) error {
	data := wire.EncodeClient(m)
	l.sealing.Lock()
	defer l.sealing.Unlock()
	if l.session != nil {
		var err error
		if data, err = l.session.Seal(data); err != nil {
			return err
		}
	}
	if l.socket().Write(ctx, data) != nil {
		return errLost
	}
	return nil
}

// idle reports whether nothing waits for an answer.
func (l *link) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) == 0
}

func (l *link) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = true
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

// socket is a WebSocket as the session sees it.
type socket struct {
	ws   *websocket.Conn
	kind websocket.MessageType
}

func (b socket) Read(ctx context.Context) ([]byte, error) {
	kind, data, err := b.ws.Read(ctx)
	if err == nil && kind != b.kind {
		err = auction.Refuse(auction.CodeBadFrame, "the wrong type of WebSocket message for this mode")
	}
	return data, err
}

func (b socket) Write(ctx context.Context, msg []byte) error {
	return b.ws.Write(ctx, b.kind, msg)
}
