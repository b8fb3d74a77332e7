package dms

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/broadcast"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A spectator sees what everybody may see, and nothing else.
func TestSpectator(t *testing.T) {
	s := newStage(t, nil)
	id := s.listed(3)
	c := s.spectator()
	c.send(&wire.FollowRequest{ID: 1, Log: auction.LogID(id)})
	if m := c.expect(); m.AnswerID() != 1 {
		t.Fatalf("%T comes before the answer", m)
	}
	c.events(id, 1, 4)
	s.Accept(s.Bid(id, "late", 5000))
	s.Ended(id)
	c.events(id, 5, 6)

	c.send(&wire.EntriesRequest{ID: 2, Log: auction.LogID(id), From: 1, View: wire.ViewPublic})
	page, ok := c.expect().(*wire.EntriesAnswer)
	if !ok || len(page.Entries) != 6 || page.Certificates != nil {
		t.Fatalf("got %+v", page)
	}
	for _, e := range page.Entries {
		if e.Private != nil || e.Salt != nil {
			t.Error("a spectator sees a private part")
		}
	}
	for i, m := range []wire.ClientMessage{
		&wire.EntriesRequest{ID: 3, Log: auction.LogID(id), From: 1, View: wire.ViewOwn},
		&wire.EntriesRequest{ID: 4, Log: auction.LogID(id), From: 1, View: wire.ViewAudit},
		&wire.AcknowledgeRequest{ID: 5, Auction: id, Message: auction.MessageClosed},
		&wire.CommandRequest{ID: 6, JWS: "x", Stamps: []auction.Blob{}},
	} {
		c.send(m)
		if r, ok := c.expect().(*wire.RefusedAnswer); !ok || r.Code != auction.CodeNotAllowed || r.ID != uint32(i+3) {
			t.Errorf("%T: got %+v", m, r)
		}
	}
	c.send(&wire.UnfollowRequest{ID: 7, Log: auction.LogID(id)})
	c.expect()
}

// events reads the events of a log, each once and in order.
func (s *spectator) events(id auction.ID, from, to uint64) {
	s.t.Helper()
	for seq := from; seq <= to; seq++ {
		notice, ok := s.expect().(*wire.EventNotice)
		if !ok || notice.Log != auction.LogID(id) {
			s.t.Fatalf("something else instead of event %d", seq)
		}
		if event, err := auction.ParseEvent([]byte(notice.Event)); err != nil || event.Seq != seq {
			s.t.Fatalf("event %d instead of %d: %v", event.Seq, seq, err)
		}
	}
}

// ends reads until the replica closes the connection, and returns what came
// before and the code.
func (s *spectator) ends() ([]wire.ServerMessage, wire.CloseCode) {
	s.t.Helper()
	var out []wire.ServerMessage
	for {
		m, err := s.next()
		if err != nil {
			return out, wire.CloseCode(websocket.CloseStatus(err))
		}
		out = append(out, m)
	}
}

// A client that does not read is cut off with the code that says so, and
// misses nothing: it resumes from the last event that it got.
func TestSlowClientResumes(t *testing.T) {
	s := newStage(t, nil)
	id := s.listed(2)
	c := s.spectator()
	c.send(&wire.FollowRequest{ID: 1, Log: auction.LogID(id)})
	c.expect()
	c.events(id, 1, 3)
	conn := s.onlyConn()
	filler := wire.AppendMessage(nil, &wire.OKAnswer{ID: 9})
	filler = slices.Concat(slices.Repeat([][]byte{filler}, 1000)...)
	for conn.queue.Push(filler) { // until what the network holds, and then the queue, is full
	}
	s.Accept(s.Bid(id, "other", 5000)) // and it misses this
	if _, code := c.ends(); code != wire.CloseSlow {
		t.Fatalf("closed with %d, want %d", code, wire.CloseSlow)
	}
	again := s.spectator()
	leaf := s.State(id).Leaves()[2]
	again.send(&wire.FollowRequest{ID: 1, Log: auction.LogID(id), Seq: 3, Leaf: &leaf})
	again.expect()
	again.events(id, 4, 4)
}

func (s *stage) onlyConn() *conn {
	s.t.Helper()
	s.srv.door.mu.Lock()
	defer s.srv.door.mu.Unlock()
	if len(s.srv.door.inside) != 1 {
		s.t.Fatalf("%d connections, want 1", len(s.srv.door.inside))
	}
	for c := range s.srv.door.inside {
		return c
	}
	return nil
}

// A replica that stops says goodbye to everybody, answers what still comes, and
// takes nobody in.
func TestDrain(t *testing.T) {
	s := newStage(t, func(srv *server) { srv.byeAfter = time.Second })
	id := s.listed(1)
	clients := []*spectator{s.spectator(), s.spectator()}
	for _, c := range clients { // so that they are known
		c.send(&wire.UnfollowRequest{ID: 1, Log: auction.HouseLog})
		c.expect()
	}
	drained := make(chan error, 1)
	go func() { drained <- s.srv.drain(context.Background()) }()
	for _, c := range clients {
		if bye, ok := c.expect().(*wire.ByeNotice); !ok || bye.Reason != wire.ReasonDrain || bye.After != 1000 {
			t.Fatalf("got %+v", bye)
		}
		c.send(&wire.EntriesRequest{ID: 2, Log: auction.LogID(id), From: 1, View: wire.ViewPublic})
		if m := c.expect(); m.AnswerID() != 2 {
			t.Errorf("got %T", m)
		}
	}
	_, res, err := websocket.Dial(t.Context(), s.url+"/ws", &websocket.DialOptions{Subprotocols: []string{session.ModePublic}})
	if err == nil || res == nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a newcomer: %v", err)
	}
	for _, c := range clients {
		if rest, code := c.ends(); len(rest) != 0 || code != wire.CloseBye {
			t.Errorf("%d more messages, closed with %d", len(rest), code)
		}
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// Whoever does not go is cut off when the time to stop is over.
func TestDrainEnds(t *testing.T) {
	s := newStage(t, func(srv *server) { srv.byeAfter = time.Hour })
	c := s.spectator()
	c.send(&wire.UnfollowRequest{ID: 1, Log: auction.HouseLog})
	c.expect()
	ctx, cancel := context.WithCancel(context.Background())
	drained := make(chan error, 1)
	go func() { drained <- s.srv.drain(ctx) }()
	c.expect() // the bye
	cancel()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestConnectionOfAge(t *testing.T) {
	s := newStage(t, func(srv *server) { srv.cfg.SessionLife, srv.byeAfter = 50*time.Millisecond, time.Millisecond })
	c := s.spectator()
	messages, code := c.ends()
	if len(messages) != 1 || code != wire.CloseBye {
		t.Fatalf("%d messages, closed with %d", len(messages), code)
	}
	if bye, ok := messages[0].(*wire.ByeNotice); !ok || bye.Reason != wire.ReasonAge {
		t.Errorf("got %+v", messages[0])
	}
}

// A session says goodbye before its token ends.
func TestTokenEnds(t *testing.T) {
	s := newStage(t, func(srv *server) { srv.pingEvery, srv.byeAfter = 20*time.Millisecond, time.Millisecond })
	p := party("bidder")
	p.Expires = s.Clock.Time().Add(100 * time.Millisecond)
	c := s.srv.newConn()
	c.party = p
	client, stop := s.pair(c)
	defer stop()
	c.live()
	queued, err := c.queue.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if bye, ok := messagesOf(t, queued[0])[0].(*wire.ByeNotice); !ok || bye.Reason != wire.ReasonToken {
		t.Errorf("got %s", queued[0])
	}
	_, _, err = client.Read(t.Context()) // which answers pings meanwhile
	if got := websocket.CloseStatus(err); got != websocket.StatusCode(wire.CloseBye) {
		t.Errorf("closed with %d, want %d", got, wire.CloseBye)
	}
}

// pair gives a connection a real socket whose other end is returned.
func (s *stage) pair(c *conn) (client *websocket.Conn, stop func()) {
	s.t.Helper()
	made := make(chan *websocket.Conn)
	server := newSocketServer(s.t, made)
	client, _, err := websocket.Dial(s.t.Context(), server.URL, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	ws := <-made
	c.socket = socket{ws, websocket.MessageText}
	go func() { _, _, _ = ws.Read(s.t.Context()) }() // so that pongs are seen
	return client, func() {
		client.CloseNow()
		ws.CloseNow()
		server.Close()
	}
}

func TestTooManyFollows(t *testing.T) {
	s := newStage(t, nil)
	session, spectator := s.srv.newConn(), s.srv.newConn()
	spectator.spectate()
	id := s.listed(0)
	for c, limit := range map[*conn]int{session: maxFollows, spectator: spectatorFollows} {
		for i := range limit {
			c.follows[auction.LogID(fmt.Sprint(i))] = func() {}
		}
		_, err := c.follow(t.Context(), &wire.FollowRequest{ID: 1, Log: auction.LogID(id)})
		if auction.CodeOf(err) != auction.CodeTooLarge || len(c.follows) != limit {
			t.Errorf("got %v", err)
		}
	}
}

// A spectator asks for less than a session, and less waits for it.
func TestSpectatorGetsLess(t *testing.T) {
	s := newStage(t, nil)
	c := s.spectator()
	for i := range spectatorBurst + 20 {
		c.send(&wire.UnfollowRequest{ID: uint32(i + 1), Log: auction.HouseLog})
	}
	slowed := 0
	for range spectatorBurst + 20 {
		if r, ok := c.expect().(*wire.RefusedAnswer); ok && r.Code == auction.CodeRateLimited {
			slowed++
		}
	}
	if slowed == 0 {
		t.Error("a spectator may ask as much as a session")
	}
	if s.onlyConn().queue.Push(make([]byte, spectatorQueueBytes+1)) {
		t.Error("as much waits for a spectator as for a session")
	}
}

// A signed head is made once while the log stays as it is.
func TestHeadsAreSignedOnce(t *testing.T) {
	h := &heads{house: "demo", signer: newLogSigner(t), latest: make(map[auction.LogID]signedHead)}
	sign := func(log auction.LogID, size uint64) string {
		t.Helper()
		note, err := h.sign(log, auction.Head{Size: size})
		if err != nil {
			t.Fatal(err)
		}
		return note
	}
	first := sign("a", 1)
	if sign("a", 1) != first || sign("a", 2) == first || sign("b", 1) == first {
		t.Error("a head for another one")
	}
	for i := range maxHeads { // as if they had been signed, which takes seconds
		h.latest[auction.LogID(fmt.Sprint(i))] = signedHead{}
	}
	if sign("c", 1); len(h.latest) > maxHeads {
		t.Errorf("%d heads are kept", len(h.latest))
	}
	if sign("a", 1) != first {
		t.Error("a head is signed otherwise")
	}
}

func TestCloseCodes(t *testing.T) {
	tests := []struct {
		err  error
		want wire.CloseCode
		text string
	}{
		{errBye, wire.CloseBye, ""},
		{broadcast.ErrSlow, wire.CloseSlow, ""},
		{fmt.Errorf("auth: %w", auction.Refuse(auction.CodeTokenExpired, "x")), wire.CloseTokenEnded, "token_expired"},
		{errMode, wire.CloseBadHandshake, "bad_handshake"},
		{context.Canceled, wire.CloseCode(websocket.StatusGoingAway), ""},
	}
	for _, tt := range tests {
		if got := wire.CloseCode(closeCode(tt.err)); got != tt.want || closeText(tt.err) != tt.text {
			t.Errorf("%v: %d %q", tt.err, got, closeText(tt.err))
		}
	}
}

// The mode of a connection is the best that the replica takes and the client
// offers, in whatever order either names them.
func TestModeOfConnection(t *testing.T) {
	both := []string{session.ModeP256, session.ModeHybrid}
	for _, tc := range []struct {
		taken, offered []string
		want           string
	}{
		{nil, both, session.ModeHybrid},
		{both, both, session.ModeHybrid},
		{nil, []string{session.ModeP256}, session.ModeP256},
		{[]string{session.ModeP256}, both, session.ModeP256},
		{[]string{session.ModeHybrid}, both, session.ModeHybrid},
		{[]string{session.ModeHybrid}, []string{session.ModeP256}, ""},
		{[]string{session.ModeHybrid}, []string{session.ModePublic}, session.ModePublic},
	} {
		s := newStage(t, func(srv *server) { srv.cfg.SessionModes = tc.taken })
		ws, _, err := websocket.Dial(t.Context(), s.url+"/ws", &websocket.DialOptions{Subprotocols: tc.offered})
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		if got := ws.Subprotocol(); got != tc.want {
			t.Errorf("taken %v, offered %v: %q, want %q", tc.taken, tc.offered, got, tc.want)
		}
	}
}

func TestSessionModesAreChecked(t *testing.T) {
	for _, modes := range [][]string{{"sigilo.v1.none"}, {session.ModePublic}, {session.ModeP256, session.ModeP256}} {
		cfg := Config{SessionLife: time.Hour, MaxSessions: 1, SessionModes: modes}
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "session-modes") {
			t.Errorf("%v: %v", modes, err)
		}
	}
}

// A defect that one client finds ends its connection, and no other.
func TestPanicIsContained(t *testing.T) {
	s := newStage(t, nil)
	bystander, finder := s.spectator(), s.spectator()
	id := s.listed(1)
	s.srv.store = nil // a request that needs it finds the defect
	finder.send(&wire.EntriesRequest{ID: 1, Log: auction.LogID(id), From: 1, View: wire.ViewPublic})
	if _, code := finder.ends(); code != wire.CloseInternal {
		t.Errorf("closed with %d, want %d", code, wire.CloseInternal)
	}
	bystander.send(&wire.UnfollowRequest{ID: 1, Log: auction.HouseLog})
	if m := bystander.expect(); m.AnswerID() != 1 {
		t.Errorf("got %T", m)
	}
}
