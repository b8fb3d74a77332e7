package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A replica whose time is not that of the stamps may hold a key whose
// certificate has ended. It is left at the first connection too, when the time
// authorities are known only afterwards, and gets no command.
func TestHelloAtAnotherTime(t *testing.T) {
	l := newLiar(t)
	l.drift = 2 * time.Minute
	p := enrolAt(t, l)
	l.toHouse = func(m wire.ClientMessage) bool {
		if _, command := m.(*wire.CommandRequest); command {
			t.Error("it got a command")
		}
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	// It tries again until then: simulated time may have jumped.
	if _, err := p.Items(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v", err)
	}
}

// A log that the house will not show any more, or not just now, does not keep a
// client from the rest.
func TestOneBadLog(t *testing.T) {
	for _, code := range []auction.Code{auction.CodeHistoryChanged, auction.CodeInternal, auction.CodeUnavailable, auction.CodeTokenExpired} {
		t.Run(string(code), func(t *testing.T) {
			l := newLiar(t)
			bad, good := enrol(t).list(t), enrol(t).list(t)
			watcher := enrolAt(t, l)
			var tap *tapped
			l.onConnect = func(c *tapped) { tap = c }
			var cut atomic.Bool
			refused := false
			l.toHouse = func(m wire.ClientMessage) bool {
				follow, ok := m.(*wire.FollowRequest)
				if !ok || follow.Log != auction.LogID(bad) || !cut.Load() || refused {
					return true
				}
				refused = true
				check(t, tap.send(t.Context(), &wire.RefusedAnswer{ID: follow.ID, Code: code}))
				return false
			}
			l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
				if e, ok := m.(*wire.EventNotice); ok && e.Log == auction.LogID(good) && cut.CompareAndSwap(false, true) {
					return nil // the connection ends
				}
				return pass(m)
			}
			ofBad := must(watcher.Follow(within(t), auction.LogID(bad)))(t)
			wantEvents(t, ofBad, auction.SomeoneListed)
			ofGood := must(watcher.Follow(within(t), auction.LogID(good)))(t)
			wantEvents(t, ofGood, auction.SomeoneListed)
			must(watcher.Items(within(t)))(t)
			if code.Temporary() || code == auction.CodeTokenExpired {
				must(enrol(t).Bid(within(t), bad, 1000))(t)
				if e := must(ofBad.Next(within(t)))(t); e.Kind != auction.SomeoneBid {
					t.Fatalf("event %+v", e)
				}
				return
			}
			_, err := ofBad.Next(within(t))
			wantCode(t, err, code)
		})
	}
}

// Who waits for a connection that does not come waits as long as it wants to,
// not as long as somebody else does.
func TestWaitForConnection(t *testing.T) {
	dialed := make(chan struct{}, 1000)
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		dialed <- struct{}{}
	}))
	t.Cleanup(down.Close)
	p := enrol(t, down.URL)
	patient, cancel := context.WithCancel(within(t))
	var waiting sync.WaitGroup
	waiting.Go(func() { _, _ = p.Items(patient) })
	<-dialed
	brief, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	_, err := p.Items(brief)
	if !errors.Is(err, context.DeadlineExceeded) || patient.Err() != nil {
		t.Fatalf("error %v, and the other one waits: %v", err, patient.Err())
	}
	cancel()
	waiting.Wait()
}

// A replica that says bye as soon as somebody comes does not have clients run in
// circles: they wait longer and longer.
func TestByeAtOnce(t *testing.T) {
	l := newLiar(t)
	p := enrolAt(t, l)
	const moves = 5
	met := make(chan time.Time, 100)
	var n atomic.Int32
	l.onConnect = func(tap *tapped) {
		if n.Add(1) <= moves {
			check(t, tap.send(t.Context(), &wire.ByeNotice{Reason: wire.ReasonDrain, After: 1000}))
		}
		met <- time.Now()
	}
	f := must(p.Follow(within(t), auction.HouseLog))(t)
	must(f.Next(within(t)))(t)
	waitFor(t, func() bool { return n.Load() > moves })
	var first, last time.Time
	first = <-met
	for range moves {
		last = <-met
	}
	// The pauses are 0 and at least 50, 100, 200 and 400 ms.
	if took := last.Sub(first); took < 750*time.Millisecond {
		t.Fatalf("it moved %d times in %v", moves, took)
	}
}

// Nothing goes where a redirect says: not an invite to the CA's, nor a session.
func TestNoRedirects(t *testing.T) {
	var strayed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { strayed.Add(1) }))
	t.Cleanup(elsewhere.Close)
	var asked atomic.Int32
	redirects := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(redirects.Close)

	house := must(theHouse.Client())(t)
	house.CA = redirects.URL
	c := start(t, must(client.CreateProfile(filepath.Join(t.TempDir(), "profile"), house))(t))
	if err := c.Enroll(within(t), client.Enrolment{Invite: "secret", Username: "ann"}); err == nil {
		t.Fatal("enrolled by a redirect")
	}
	for _, probe := range enrol(t, redirects.URL).ProbeReplicas(within(t)) {
		if probe.Err == nil {
			t.Fatal("a session by a redirect")
		}
	}
	if asked.Load() != 2 || strayed.Load() != 0 {
		t.Fatalf("%d requests, %d of them redirected", asked.Load(), strayed.Load())
	}
}

// A client takes the best mode that the house has, unless it may not use that.
func TestModeOfSession(t *testing.T) {
	for _, tc := range []struct {
		name       string
		house, may []string
		want       string
		code       auction.Code
	}{
		{"both have all", session.Modes(), nil, session.ModeHybrid, ""},
		{"house without the hybrid", []string{session.ModeP256}, nil, session.ModeP256, ""},
		{"client without the hybrid", session.Modes(), []string{session.ModeP256}, session.ModeP256, ""},
		{"hybrid demanded", session.Modes(), []string{session.ModeHybrid}, session.ModeHybrid, ""},
		{"hybrid demanded of a house without", []string{session.ModeP256}, []string{session.ModeHybrid}, "", auction.CodeBadHandshake},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLiar(t)
			l.modes = tc.house
			p := enrolAt(t, l)
			p.Close()
			c := must(client.New(must(client.OpenProfile(p.dir))(t), client.Options{Modes: tc.may}))(t)
			t.Cleanup(c.Close)
			_, err := c.Items(within(t))
			if tc.code != "" {
				wantCode(t, err, tc.code)
				return
			}
			check(t, err)
			if got := c.ProbeReplicas(within(t))[0]; got.Err != nil || got.Mode != tc.want {
				t.Errorf("probe %+v", got)
			}
		})
	}
}

// While no replica takes it, a client tries one after the other, with pauses
// that double: a house that comes back is not met by a storm.
func TestPausesBetweenDials(t *testing.T) {
	type dial struct {
		replica int
		at      time.Time
	}
	dials := make(chan dial, 64)
	urls := make([]string, 2)
	for i := range urls {
		busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			dials <- dial{i, time.Now()}
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		t.Cleanup(busy.Close)
		urls[i] = busy.URL
	}
	p := enrol(t, urls...)
	ctx, give := context.WithCancel(within(t))
	gaveUp := make(chan error, 1)
	go func() {
		_, err := p.Items(ctx)
		gaveUp <- err
	}()
	// A pause is at least half of what it is about: 100 ms, and twice that each
	// time. A slow machine only makes it longer.
	first := <-dials
	last, least := first, time.Duration(0)
	for n := 1; n <= 4; n++ {
		next := <-dials
		if next.replica == last.replica {
			t.Errorf("dials %d and %d went to the same replica", n, n+1)
		}
		last, least = next, least+50*time.Millisecond<<(n-1)
		if after := next.at.Sub(first.at); after < least {
			t.Errorf("dial %d came after %v, not %v or more", n+1, after, least)
		}
	}
	give()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
}
