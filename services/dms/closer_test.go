package dms

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
)

// closing is a store in which something happens just before a close.
type closing struct {
	auctiontest.Backend
	before func()
	once   sync.Once
	tries  int
}

func (c *closing) Close(ctx context.Context, id auction.ID, head auction.Head, stamps []auction.Blob, median auction.Time) error {
	c.tries++
	c.once.Do(c.before)
	return c.Backend.Close(ctx, id, head, stamps, median)
}

func newCloser(store interface {
	auction.Store
	auction.Reader
}, clock *auctiontest.Clock,
) *closer {
	return &closer{
		store: store, stamper: stamper{clock}.of, clock: clock.Now, log: slog.New(slog.DiscardHandler),
		metrics: newMetrics(prometheus.NewRegistry()),
	}
}

// pastGrace moves the clock to where an auction may be closed.
func (s *stage) pastGrace(id auction.ID) {
	state := s.State(id)
	s.Clock.Set(state.End() + auction.Time(state.Policy.Grace) + 1)
}

func (s *stage) closeDue(c *closer) {
	s.t.Helper()
	if err := c.closeDue(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

func TestCloseAfterGrace(t *testing.T) {
	s := newStage(t, nil)
	id := s.listed(2)
	c := newCloser(s.Backend, s.Clock)
	end, grace := s.State(id).End(), auction.Time(s.State(id).Policy.Grace)
	for _, at := range []auction.Time{end - 1, end, end + grace} {
		s.Clock.Set(at)
		if s.closeDue(c); s.State(id).Closed != nil {
			t.Fatalf("closed %d microseconds after the end", at-end)
		}
	}
	s.Clock.Set(end + grace + 1)
	s.closeDue(c)
	if closed := s.State(id).Closed; closed == nil || closed.Outcome != auction.Sold || closed.Amount != 1100 {
		t.Errorf("closed as %+v", closed)
	}
}

// What counts is the authorities' time, not the replica's.
func TestCloseWaitsForTheAuthorities(t *testing.T) {
	s := newStage(t, nil)
	id := s.listed(1)
	behind := auctiontest.NewClock()
	behind.Set(s.State(id).End())
	c := newCloser(s.Backend, s.Clock)
	c.stamper = stamper{behind}.of
	s.pastGrace(id)
	if s.closeDue(c); s.State(id).Closed != nil {
		t.Error("closed over a stamp from before the grace")
	}
}

// Without trusted time nothing closes, and nothing fails.
func TestNoCloseWithoutTime(t *testing.T) {
	s := newStage(t, nil)
	id := s.listed(1)
	s.pastGrace(id)
	s.Clock.Stop(true)
	s.closeDue(newCloser(s.Backend, s.Clock))
	s.Clock.Stop(false)
	if s.State(id).Closed != nil {
		t.Error("closed without trusted time")
	}
}

// A bid that comes in while the head is being stamped is judged by the close.
func TestCloseOverALogThatGrew(t *testing.T) {
	s := newStage(t, nil)
	id := s.listed(1)
	last := s.Bid(id, "last", 9000)
	last = auctiontest.Restamped(last, s.State(id).End()-1)
	store := &closing{Backend: s.Backend}
	store.before = func() {
		now := s.Clock.Time()
		s.Clock.Set(last.TS + auction.Time(s.State(id).Policy.Freshness)) // as far as the bid is fresh
		s.Accept(last)
		s.Clock.Set(now)
	}
	c := newCloser(store, s.Clock)
	s.pastGrace(id)
	s.closeDue(c)
	if closed := s.State(id).Closed; closed == nil || closed.Winner != last.Pseudonym || store.tries != 2 {
		t.Errorf("after %d tries closed as %+v", store.tries, closed)
	}
}

// Two replicas close at once: one record.
func TestTwoClose(t *testing.T) {
	s := newStage(t, nil)
	id := s.listed(1)
	s.pastGrace(id)
	var both sync.WaitGroup
	for range 2 {
		c := newCloser(s.Backend, s.Clock)
		both.Go(func() {
			if err := c.closeDue(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if log := s.Log(auction.LogID(id)); len(log) != 3 || s.State(id).Closed == nil {
		t.Errorf("%d entries, want 3", len(log))
	}
}

// The loop closes by itself.
func TestCloserRuns(t *testing.T) {
	s := newStage(t, nil)
	id := s.listed(1)
	s.pastGrace(id)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	woken := make(chan struct{}, 1)
	stop := s.Watch(auction.LogID(id), func() { woken <- struct{}{} })
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- newCloser(s.Backend, s.Clock).run(ctx) }()
	select {
	case <-woken:
	case <-ctx.Done():
		t.Error("not closed")
	}
	cancel()
	<-ended
}
