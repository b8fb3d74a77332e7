package dms

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

var errFalse = auction.Refuse(auction.CodeBadSignature, "it does not hold")

// Whoever sends commands that do not verify, again and again, is cut off and
// kept out for a while; other refusals are no lies.
func TestConduct(t *testing.T) {
	now := time.Now()
	c := newConduct(func() time.Time { return now })
	p := auctiontest.Participant("somebody")
	r, _, err := c.enter(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * falseBurst {
		if err := c.judge(r, auction.Refuse(auction.CodeBidTooLow, "too low")); err != nil {
			t.Fatalf("a bid too low: %v", err)
		}
	}
	for i := range falseBurst {
		if err := c.judge(r, errFalse); err != nil {
			t.Fatalf("lie %d: %v", i+1, err)
		}
	}
	if got := auction.CodeOf(c.admits(p)); got != "" {
		t.Fatalf("not yet: %q", got)
	}
	if got := auction.CodeOf(c.judge(r, errFalse)); got != auction.CodeRateLimited {
		t.Fatalf("one lie more: %q", got)
	}
	c.leave(r, nil)
	for when, want := range map[time.Duration]auction.Code{0: auction.CodeRateLimited, barredFor - 1: auction.CodeRateLimited, barredFor: ""} {
		later := newConduct(func() time.Time { return now.Add(when) })
		later.of = c.of
		if got := auction.CodeOf(later.admits(p)); got != want {
			t.Errorf("after %v: %q, want %q", when, got, want)
		}
	}
	if _, _, err := c.enter(p, nil); auction.CodeOf(err) != auction.CodeRateLimited {
		t.Errorf("a new session at once: %v", err)
	}
	if _, _, err := c.enter(auctiontest.Participant("somebody else"), nil); err != nil {
		t.Errorf("somebody else: %v", err)
	}
}

// All sessions of one participant share one allowance, which coming back does
// not renew.
func TestParticipantsSessionsAreOne(t *testing.T) {
	now := time.Now()
	c := newConduct(func() time.Time { return now })
	p := auctiontest.Participant("somebody")
	sessions := make([]*conn, maxSessionsEach)
	var first *record
	for i := range sessions {
		sessions[i] = new(conn)
		r, ousted, err := c.enter(p, sessions[i])
		if err != nil || ousted != nil || first != nil && r != first {
			t.Fatalf("session %d: %v", i+1, err)
		}
		first = r
	}
	if !first.requests.AllowN(now, requestBurst) || first.requests.AllowN(now, 1) {
		t.Error("another allowance than the burst")
	}
	for _, s := range sessions {
		c.leave(first, s)
	}
	if c.forget() {
		t.Error("somebody who has used up the allowance is forgotten")
	}
	if again, _, err := c.enter(p, sessions[0]); err != nil || again.requests.AllowN(now, 1) {
		t.Errorf("coming back renews the allowance: %v", err)
	}
	c.leave(first, sessions[0])
	now = now.Add(requestBurst / requestRate * time.Second)
	if !c.forget() || len(c.of) != 0 {
		t.Error("somebody of whom nothing is to be remembered is remembered")
	}
}

// One session too many ends the oldest, with the code that tells its client to
// wait, and so on: whoever changes networks is not kept out by what is left behind.
func TestOneSessionTooManyEndsTheOldest(t *testing.T) {
	s := newStage(t, nil)
	begin := func(name string) (*conn, *websocket.Conn) {
		t.Helper()
		c := s.srv.newConn()
		client, stop := s.pair(c)
		t.Cleanup(stop)
		c.party = party(name)
		if err := c.begin(); err != nil {
			t.Fatal(err)
		}
		return c, client
	}
	other, _ := begin("somebody else")
	var sessions []*conn
	var clients []*websocket.Conn
	for range maxSessionsEach + 2 {
		session, client := begin("somebody")
		sessions, clients = append(sessions, session), append(clients, client)
	}
	for i, client := range clients[:2] {
		_, _, err := client.Read(t.Context())
		var closed websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != websocket.StatusCode(wire.CloseRateLimited) || closed.Reason != string(auction.CodeRateLimited) {
			t.Errorf("session %d ended with %v", i+1, err)
		}
		s.srv.conduct.leave(sessions[i].record, sessions[i]) // as it does in the end, and takes no other's place
	}
	if left := sessions[0].record.sessions; !slices.Equal(left, sessions[2:]) {
		t.Errorf("%d sessions are left, or others", len(left))
	}
	for _, c := range append(sessions[2:], other) {
		if c.life.ended {
			t.Error("another session was ended")
		}
	}
}

// The commands of a session whose signatures do not hold end it, with the code
// that tells its client to wait.
func TestFalseSignaturesEndTheSession(t *testing.T) {
	s := newStage(t, nil)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := identity.NewKey()
	must(err)
	other, err := identity.NewKey()
	must(err)
	root, err := identity.NewRoot(key, "demo", time.Now().Add(-time.Hour).Truncate(time.Second), time.Now().Add(time.Hour).Truncate(time.Second))
	must(err)
	s.srv.checker, err = accept.New("demo", [][]byte{root}, nil)
	must(err)
	c := s.srv.newConn()
	client, stop := s.pair(c)
	defer stop()
	c.party = party("liar")
	c.party.Certificate.Key = &other.PublicKey
	must(c.begin())
	jws, err := wire.Sign(key, c.party.Certificate.Thumbprint, wire.Command{
		House: "demo", Kind: auction.KindAllItems, Pseudonym: "7c1a2f60-4a55-4a0b-9d1c-5f0e3a9b6d21",
	}, nil)
	must(err)
	cmd, err := wire.ParseCommand(jws)
	must(err)
	for i := range falseBurst + 1 {
		if c.life.ended {
			t.Fatalf("ended after %d", i)
		}
		_, err = c.check(t.Context(), &wire.CommandRequest{ID: 1, JWS: string(jws)}, cmd, auction.Hash{}, auction.Policy{})
		if auction.CodeOf(err) != auction.CodeBadSignature {
			t.Fatalf("command %d: %v", i+1, err)
		}
	}
	_, _, err = client.Read(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusCode(wire.CloseRateLimited) {
		t.Errorf("closed with %d, want %d", got, wire.CloseRateLimited)
	}
}
