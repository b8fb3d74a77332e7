package dms

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/broadcast"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

const (
	// maxFollows bounds the logs that one session follows.
	maxFollows = 256
	// queueMessages and queueBytes bound what waits for one client. A client
	// that falls further behind is cut off and resumes from its positions.
	queueMessages = 4096
	queueBytes    = 1 << 20
	// Anybody may be a spectator, any number of times, so it gets less: the size
	// of a message, requests, follows, and room for two of the largest pages.
	spectatorLimit      = 4 << 10
	spectatorRate       = 10 // a second
	spectatorBurst      = 30
	spectatorFollows    = 16
	spectatorQueueBytes = 2 * wire.MaxServerFrame
)

// conn is one client's connection.
type conn struct {
	srv     *server
	socket  socket
	session *session.Session // nil for a spectator
	party   *accept.Party    // nil for a spectator
	record  *record          // of the party's conduct; nil for a spectator
	queue   *broadcast.Queue
	limiter *rate.Limiter   // of requests; a participant's connections share theirs
	ctx     context.Context // of all that is done for it; the door may end a handshake
	cancel  context.CancelFunc
	life    life
	turns   atomic.Uint64  // of the reader: odd while it is at work on a message
	tasks   sync.WaitGroup // what runs beside the reader

	follows    map[auction.LogID]func() // owned by the reader: ends each follow
	maxFollows int
}

func (s *server) newConn() *conn {
	c := &conn{
		srv: s, queue: broadcast.NewQueue(queueMessages, queueBytes), limiter: rate.NewLimiter(requestRate, requestBurst),
		follows: make(map[auction.LogID]func()), maxFollows: maxFollows,
	}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	return c
}

// spectate makes it a spectator's, before it is served.
func (c *conn) spectate() {
	c.queue = broadcast.NewQueue(queueMessages, spectatorQueueBytes)
	c.limiter = rate.NewLimiter(spectatorRate, spectatorBurst)
	c.maxFollows = spectatorFollows
}

// serve runs one connection from handshake to end.
func (c *conn) serve(ws *websocket.Conn, plain *plainConn) {
	defer ws.CloseNow()
	defer c.cancel()
	// Reads and writes have no context of their own, which costs more than they do.
	defer context.AfterFunc(c.srv.ctx, func() { ws.CloseNow() })()
	metrics := c.srv.metrics
	if err := c.contain(func() error { return c.shakeHands(ws) }); err != nil {
		metrics.handshake(err)
		c.srv.log.DebugContext(c.srv.ctx, "handshake failed", "error", err)
		ws.Close(closeCode(err), closeText(err))
		return
	}
	metrics.handshake(nil)
	if c.record != nil {
		defer c.srv.conduct.leave(c.record, c)
	}
	mode := ws.Subprotocol()
	metrics.sessions.WithLabelValues(mode).Inc()
	defer metrics.sessions.WithLabelValues(mode).Dec()
	c.run(plain)
}

var errPanic = auction.Refuse(auction.CodeInternal, "a defect of this replica")

// contain runs a part of the connection's work: a defect that one client finds
// must not end the connections of all.
func (c *conn) contain(work func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.srv.log.ErrorContext(c.srv.ctx, "a connection panicked", "panic", p, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return work()
}

var errMode = auction.Refuse(auction.CodeBadHandshake, "none of the modes that the client offers is spoken here")

// shakeHands makes the session that the subprotocol names.
func (c *conn) shakeHands(ws *websocket.Conn) error {
	mode := ws.Subprotocol()
	if mode == session.ModePublic {
		ws.SetReadLimit(spectatorLimit)
		c.spectate()
		c.socket = socket{ws, websocket.MessageText}
		return c.srv.door.settle(c, true)
	}
	if mode == "" {
		return errMode
	}
	ws.SetReadLimit(session.MaxClientMessage)
	c.socket = socket{ws, websocket.MessageBinary}
	ctx, cancel := context.WithTimeout(c.ctx, handshakeTimeout)
	defer cancel()
	var party *accept.Party
	setup := &handshake{conn: c.socket, gate: c.srv.shakes}
	defer setup.rest()
	sess, err := session.Server(ctx, setup, session.ServerConfig{
		Mode: mode, Spoken: c.srv.cfg.modes(), Chain: c.srv.chain, Key: c.srv.key, Now: c.srv.clock.Now,
		Authenticate: func(ctx context.Context, cred session.Credentials) (*ecdsa.PublicKey, error) {
			var err error
			if party, err = c.srv.trust.authenticate(ctx, c.srv.checker, cred.Token, cred.Chain, setup.aside); err != nil {
				return nil, err
			}
			if err := c.srv.conduct.admits(party.Certificate.Participant); err != nil {
				return nil, err
			}
			return party.Key(), nil
		},
		Ready: func() (ready []byte, err error) {
			if late := setup.aside(ctx, func() { ready, err = c.srv.readyMessage(ctx, party) }); late != nil {
				return nil, late
			}
			return ready, err
		},
	})
	if err != nil {
		return err
	}
	c.srv.metrics.crypto.WithLabelValues("session_setup").Observe(setup.worked.Seconds())
	c.session, c.party = sess, party
	if err := c.srv.door.settle(c, false); err != nil {
		return err
	}
	return c.begin()
}

// begin begins a session of a participant who is authenticated, and ends the
// oldest one of too many.
func (c *conn) begin() error {
	record, ousted, err := c.srv.conduct.enter(c.party.Certificate.Participant, c)
	if err != nil {
		return err
	}
	c.record, c.limiter = record, record.requests
	if ousted != nil {
		ousted.end(errOldest)
	}
	return nil
}

var errBye = errors.New("said goodbye")

// closeCode maps what ended a connection to the code that its client sees.
func closeCode(err error) websocket.StatusCode {
	switch {
	case errors.Is(err, errBye):
		return websocket.StatusCode(wire.CloseBye)
	case errors.Is(err, broadcast.ErrSlow):
		return websocket.StatusCode(wire.CloseSlow)
	}
	var refusal *auction.Refusal
	if errors.As(err, &refusal) {
		return websocket.StatusCode(wire.CloseCodeOf(refusal.Code))
	}
	return websocket.StatusGoingAway // the client left, or its network did
}

// closeText is the refusal's code: the text of a close frame has 123 bytes.
func closeText(err error) string {
	var refusal *auction.Refusal
	if errors.As(err, &refusal) {
		return string(refusal.Code)
	}
	return ""
}

// run serves the connection until the first reason to end it. Until the client
// is told, nothing may cut off a call on the socket, which would end it without a
// word: contexts are not for such calls.
func (c *conn) run(plain *plainConn) {
	if c.session == nil {
		c.srv.pump.Attach(c.queue, outlet{c, plain})
	} else {
		c.tasks.Go(func() { c.end(c.write(c.ctx)) })
		c.tasks.Go(func() { c.srv.mail.open(c.ctx, c) })
		defer c.srv.mail.close(c)
	}
	c.live()
	c.end(c.contain(func() error { return c.read(c.ctx) }))
	c.tasks.Wait()
	for _, stop := range c.follows {
		stop()
	}
}

func (c *conn) read(ctx context.Context) error {
	for {
		message, err := c.receive()
		if err != nil {
			return err
		}
		c.turns.Add(1)
		if c.session == nil {
			err = c.handleAside(ctx, message)
		} else {
			err = c.handle(ctx, message)
		}
		c.turns.Add(1)
		if err != nil {
			return err
		}
	}
}

// handleAside handles a spectator's message on another stack: this one stays as
// small as waiting for the next message needs, which is what most spectators do.
func (c *conn) handleAside(ctx context.Context, message []byte) error {
	done := make(chan error, 1)
	go func() { done <- c.contain(func() error { return c.handle(ctx, message) }) }()
	return <-done
}

// frames are buffers for the frames of sessions, longer than the longest.
var frames = sync.Pool{New: func() any {
	buffer := make([]byte, session.MaxClientMessage+1)
	return &buffer
}}

// receive returns the next message, which is the caller's.
func (c *conn) receive() (message []byte, err error) {
	if c.session == nil {
		return c.socket.Read(context.Background())
	}
	err = c.socket.readInto(context.Background(), &frames, func(frame []byte) error {
		var err error
		c.srv.metrics.timed("session_open", func() { message, err = c.session.Open(frame) })
		return err
	})
	return message, err
}

// write takes all that is queued and writes it as few frames as hold it.
func (c *conn) write(ctx context.Context) error {
	var frame []byte
	for {
		messages, err := c.queue.Next(ctx)
		if err != nil {
			return err
		}
		for len(messages) > 0 {
			n, _ := portion(messages)
			frame = frame[:0]
			for _, m := range messages[:n] {
				frame = append(frame, m...)
			}
			if err := c.send(frame); err != nil {
				return err
			}
			messages = messages[n:]
		}
	}
}

// portion returns how many of the messages go into one frame, and their bytes.
func portion(messages [][]byte) (n, size int) {
	for n < len(messages) && n < wire.MaxFrameMessages {
		if n > 0 && size+len(messages[n]) > wire.MaxServerFrame {
			break
		}
		size += len(messages[n])
		n++
	}
	return n, size
}

func (c *conn) send(frame []byte) error {
	if c.session != nil {
		sealed, err := c.session.Seal(frame)
		if err != nil {
			return err
		}
		frame = sealed
	}
	return c.socket.Write(context.Background(), frame)
}

var errLarge = errors.New("a message is larger than a frame")

// answer queues a message for the client. Its error ends the connection.
func (c *conn) answer(m wire.ServerMessage) error {
	data := wire.AppendMessage(nil, m)
	if len(data) > wire.MaxServerFrame { // pages are made to fit: see page.go
		c.srv.log.ErrorContext(c.srv.ctx, "a message is larger than a frame and was not sent")
		if m.AnswerID() == 0 {
			return nil
		}
		data = wire.AppendMessage(nil, refused(m.AnswerID(), errLarge))
	}
	if !c.queue.Push(data) {
		return broadcast.ErrSlow
	}
	return nil
}
