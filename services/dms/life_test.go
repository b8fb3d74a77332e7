package dms

import (
	"context"
	"runtime"
	"testing"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A client is not cut off because its answer to a ping waits behind its requests;
// one that sends nothing is.
func TestPingOfABusyConnection(t *testing.T) {
	busy := &slowStore{entered: make(chan struct{}, 1), release: make(chan struct{})}
	s := newStage(t, func(srv *server) { busy.state, srv.store = srv.store, busy })
	id := s.listed(0)
	pings := make(chan struct{}, 1)
	ws, _, err := websocket.Dial(t.Context(), s.url+"/ws", &websocket.DialOptions{
		Subprotocols:   []string{session.ModePublic},
		OnPingReceived: func(context.Context, []byte) bool { pings <- struct{}{}; return false },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	c := &spectator{t: t, ws: ws}
	c.send(&wire.FollowRequest{ID: 1, Log: auction.LogID(id)})
	<-busy.entered
	conn := s.onlyConn()
	missed := func() { // a ping that is not answered in time
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { conn.awaitPong(ctx); close(done) }()
		<-pings
		go func() { _ = conn.socket.ws.Ping(t.Context()) }() // it is written when all is done for the first one
		<-pings
		cancel()
		<-done
	}

	answer := make(chan wire.ServerMessage, 1)
	go func() { m, _ := c.next(); answer <- m }()
	missed()
	close(busy.release)
	if m := <-answer; m == nil || m.AnswerID() != 1 {
		t.Fatalf("got %T", m)
	}
	c.events(id, 1, 1)
	for conn.turns.Load()%2 == 1 { // until the reader waits again
		runtime.Gosched()
	}
	ended := make(chan wire.CloseCode, 1)
	go func() { _, code := c.ends(); ended <- code }()
	missed()
	if code := <-ended; code != wire.CloseCode(websocket.StatusGoingAway) {
		t.Errorf("closed with %d", code)
	}
}

// slowStore takes its time to tell of an auction.
type slowStore struct {
	state
	entered, release chan struct{}
}

func (s *slowStore) Auction(ctx context.Context, id auction.ID) (*auction.State, error) {
	select {
	case s.entered <- struct{}{}:
	default:
	}
	<-s.release
	return s.state.Auction(ctx, id)
}
