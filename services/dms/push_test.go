package dms

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// counting is a store that counts what is asked of it, and in which everybody
// took part in many auctions.
type counting struct {
	state
	mine  []auction.ID
	asked atomic.Int32
}

func (c *counting) Mine(ctx context.Context, p auction.Participant) ([]auction.ID, error) {
	if c.mine != nil {
		return c.mine, nil
	}
	return c.state.Mine(ctx, p)
}

func (c *counting) Auction(ctx context.Context, id auction.ID) (*auction.State, error) {
	c.asked.Add(1)
	return c.state.Auction(ctx, id)
}

func (c *counting) Acknowledged(ctx context.Context, id auction.ID, p auction.Participant) (map[auction.MessageKind]bool, error) {
	c.asked.Add(1)
	return c.state.Acknowledged(ctx, id, p)
}

func countingStage(t *testing.T) (*stage, *counting) {
	store := new(counting)
	return newStage(t, func(srv *server) {
		store.state = srv.store
		srv.store = store
	}), store
}

// A look at an open auction is one, however many of its bidders are there.
func TestMailLooksOnce(t *testing.T) {
	s, store := countingStage(t)
	id := s.listed(2)
	for range 10 {
		c := s.srv.newConn()
		c.party = party("bidder 1")
		s.srv.mail.expect(id, c)
	}
	store.asked.Store(0)
	if !s.srv.mail.deliver(t.Context(), id) || store.asked.Load() != 1 {
		t.Errorf("the store was asked %d times", store.asked.Load())
	}
}

// A connection gets mail of so many auctions, the latest, and costs nothing once
// it has ended.
func TestMailIsBounded(t *testing.T) {
	s, store := countingStage(t)
	for i := range 2 * maxBoxes {
		store.mine = append(store.mine, auction.ID(fmt.Sprint(i)))
	}
	m := s.srv.mail
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	c := s.srv.newConn()
	c.party = party("bidder")
	if m.open(ended, c); len(m.boxes) != 0 {
		t.Errorf("%d boxes for a connection that has ended", len(m.boxes))
	}
	m.open(t.Context(), c)
	m.expect("one more", c)
	if len(m.boxes) != maxBoxes || m.boxes["0"] == nil || m.boxes[auction.ID(fmt.Sprint(maxBoxes-1))] == nil {
		t.Errorf("%d boxes", len(m.boxes))
	}
	if m.close(c); len(m.boxes) != 0 || len(m.byConn) != 0 {
		t.Errorf("%d boxes of %d connections are left", len(m.boxes), len(m.byConn))
	}
}

// slowFeed is a feed whose subscriptions take their time.
type slowFeed struct {
	auction.Feed
	began, release, stopped chan struct{}
}

func (f *slowFeed) WatchMail(auction.ID, func()) func() {
	close(f.began)
	<-f.release
	return func() { close(f.stopped) }
}

// While a subscription takes its time, other mail is marked; a connection that
// ends meanwhile leaves no subscription behind.
func TestMailDoesNotWaitForSubscriptions(t *testing.T) {
	s := newStage(t, nil)
	m := s.srv.mail
	feed := &slowFeed{nil, make(chan struct{}), make(chan struct{}), make(chan struct{})}
	m.feed = feed
	c := s.srv.newConn()
	expected := make(chan struct{})
	go func() {
		m.expect("slow", c)
		close(expected)
	}()
	<-feed.began
	m.mark("other")
	m.close(c)
	close(feed.release)
	<-expected
	<-feed.stopped
	if len(m.boxes) != 0 {
		t.Error("a box is left")
	}
}
