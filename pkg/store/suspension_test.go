package store_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
)

// rollback returns what brings an auction back to how Redis has it now.
func rollback(t *testing.T, c *redis.Client, id auction.ID) func() {
	t.Helper()
	prefix := "sigilo:{" + string(id) + "}:"
	entries := streamOf(t, c, prefix+"log")
	hashes := make(map[string]map[string]string)
	for _, key := range c.Keys(t.Context(), prefix+"*").Val() {
		if !strings.HasSuffix(key, ":log") {
			hashes[key] = c.HGetAll(t.Context(), key).Val()
		}
	}
	return func() {
		c.Del(t.Context(), c.Keys(t.Context(), prefix+"*").Val()...)
		putStream(t, c, prefix+"log", entries)
		for key, fields := range hashes {
			c.HSet(t.Context(), key, fields)
		}
	}
}

// A replica that finds an entry lost suspends the auction, for itself and for all
// others, and serves what is left.
func TestLostEntrySuspends(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		var logged bytes.Buffer
		clock, registry := auctiontest.NewClock(), prometheus.NewRegistry()
		remembers := openWith(t, url, clock.Now, slog.New(slog.NewTextHandler(&logged, nil)), registry)
		s := auctiontest.NewScene(t, t.Name(), remembers, clock)
		id := s.Listed("seller", s.Terms())
		kept := s.Accept(s.Bid(id, "anna", 1000))
		lose := rollback(t, client(t, url), id)
		gone := s.Accept(s.Bid(id, "ben", 2000))
		before := s.State(id)
		lose()

		after := s.State(id)
		lost := []auction.Lost{{Seq: gone.Receipt.Seq, Leaf: gone.Receipt.Leaf}}
		if !after.Suspended() || !slices.Equal(after.Lost, lost) || after.Size() != kept.Receipt.Seq+1 {
			t.Errorf("suspended %v, lost %v, %d entries", after.Suspended(), after.Lost, after.Size())
		}
		if before.Suspended() || before.Size() != gone.Receipt.Seq {
			t.Error("the state from before has changed")
		}
		if n := value(t, registry, "sigilo_history_changed_total"); n != 1 || !strings.Contains(logged.String(), "history of a log has changed") {
			t.Errorf("the alarm was raised %v times: %s", n, logged.String())
		}
		if _, err := s.Send(s.Bid(id, "ben", 2000)); auction.CodeOf(err) != auction.CodeSuspended {
			t.Errorf("a bid: %v", err)
		}

		fresh := open(t, url, clock.Now)
		if state, err := fresh.Auction(t.Context(), id); err != nil || !reflect.DeepEqual(state, after) {
			t.Errorf("another replica: %+v, %v", state, err)
		}
		keys := client(t, url)
		want := keys.HGetAll(t.Context(), "sigilo:{"+string(id)+"}:state").Val()
		if _, err := fresh.Rebuild(t.Context(), auction.LogID(id)); err != nil {
			t.Fatal(err)
		}
		if got := keys.HGetAll(t.Context(), "sigilo:{"+string(id)+"}:state").Val(); !reflect.DeepEqual(got, want) {
			t.Errorf("a rebuild gives %v, want %v", got, want)
		}
		if err := fresh.Resume(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
		s.Accept(s.Bid(id, "ben", 2000))
		s.CheckLogs()
	})
}

// A replica that knows an entry which is lost takes no honest head for a false one,
// which would be final: it finds the loss.
func TestHeadOfWhatFollowsALoss(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		clock := auctiontest.NewClock()
		remembers := open(t, url, clock.Now)
		s := auctiontest.NewScene(t, t.Name(), remembers, clock)
		id := s.Listed("seller", s.Terms())
		lose := rollback(t, client(t, url), id)
		s.Accept(s.Bid(id, "anna", 1000))
		s.State(id) // it has read it
		lose()

		s.Backend = open(t, url, clock.Now) // which has not seen it
		s.Accept(s.Bid(id, "ben", 1000))
		bid := s.Bid(id, "carl", 2000) // over a log as long as the one that is lost
		s.Backend = remembers
		if _, err := s.Send(bid); auction.CodeOf(err) != auction.CodeSuspended {
			t.Fatalf("a bid over the new history: %v", err)
		}
		if err := s.Resume(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
		s.Accept(auctiontest.Restamped(bid, clock.Time())) // nothing remembers that it was refused
		s.CheckLogs()
	})
}

// A replica that has a bid of its own in mind finds it lost as well.
func TestLostOwnBidSuspends(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		clock := auctiontest.NewClock()
		s := auctiontest.NewScene(t, t.Name(), open(t, url, clock.Now), clock)
		id := s.Listed("seller", s.Terms())
		first := s.Bid(id, "anna", 1000)
		second := s.Bid(id, "ben", 2000)
		lose := rollback(t, client(t, url), id)
		gone := s.Accept(first) // which nobody reads
		lose()
		if state := s.State(id); !state.Suspended() || state.Lost[0].Leaf != gone.Receipt.Leaf {
			t.Errorf("lost: %+v", state.Lost)
		}
		if _, err := s.Send(second); auction.CodeOf(err) != auction.CodeSuspended {
			t.Errorf("a bid: %v", err)
		}
	})
}

// A loss that cannot be noted is told to everybody who asks, until it is.
func TestLossWithoutTime(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		clock := auctiontest.NewClock()
		b := open(t, url, clock.Now)
		s := auctiontest.NewScene(t, t.Name(), b, clock)
		id := s.Listed("seller", s.Terms())
		lose := rollback(t, client(t, url), id)
		s.Accept(s.Bid(id, "anna", 1000))
		s.State(id)
		lose()
		clock.Stop(true)
		for range 2 {
			if _, err := b.Auction(t.Context(), id); auction.CodeOf(err) != auction.CodeHistoryChanged {
				t.Errorf("got %v", err)
			}
		}
		clock.Stop(false)
		if !s.State(id).Suspended() {
			t.Error("not suspended once there is a trusted time")
		}
	})
}

// A replica that was away finds a loss that the operator has decided on already:
// it says nothing more. A loss that came later suspends again.
func TestOneLossSuspendsOnce(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		clock := auctiontest.NewClock()
		x, y, z := open(t, url, clock.Now), open(t, url, clock.Now), open(t, url, clock.Now)
		s := auctiontest.NewScene(t, t.Name(), x, clock)
		id := s.Listed("seller", s.Terms())
		lose := rollback(t, client(t, url), id)
		read := func(b auctiontest.Backend) *auction.State {
			t.Helper()
			state, err := b.Auction(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return state
		}
		s.Accept(s.Bid(id, "anna", 1000))
		read(y)
		s.Accept(s.Bid(id, "ben", 2000))
		read(z)
		lose()
		if state := s.State(id); !state.Suspended() || state.Lost[0].Seq != 3 {
			t.Fatalf("suspended %v, lost %v", state.Suspended(), state.Lost)
		}
		if err := x.Resume(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
		lose = rollback(t, client(t, url), id)
		s.Accept(s.Bid(id, "carl", 1500))
		for name, b := range map[string]auctiontest.Backend{"Y": y, "Z": z} {
			if state := read(b); state.Suspended() || state.Size() != 4 || len(state.Lost) != 1 {
				t.Errorf("through %s: suspended %v, %d entries, lost %v", name, state.Suspended(), state.Size(), state.Lost)
			}
		}
		lose()
		if state := read(y); !state.Suspended() || len(state.Lost) != 2 || state.Lost[1].Seq != 4 {
			t.Errorf("the later loss: suspended %v, lost %v", state.Suspended(), state.Lost)
		}
	})
}

// However many auctions are suspended past their end, another one comes to its
// close, also after the list of what is due was lost.
func TestSuspendedAuctionsAreNotInTheWay(t *testing.T) {
	const many = 1000 // as many as one call returns
	url := "redis://" + miniredis.RunT(t).Addr()
	clock := auctiontest.NewClock()
	b := open(t, url, clock.Now)
	s := auctiontest.NewScene(t, t.Name(), b, clock)
	suspended := make(map[auction.ID]bool)
	var one auction.ID
	for i := range many {
		one = s.Listed(fmt.Sprintf("seller %d", i/100), s.Terms())
		if err := b.Suspend(t.Context(), one, auction.Lost{Seq: 9, Leaf: auction.Hash{1}}); err != nil {
			t.Fatal(err)
		}
		suspended[one] = true
	}
	terms := s.Terms()
	terms.Closes += auction.Time(time.Second)
	healthy := s.Listed("seller", terms)
	clock.Set(terms.Closes + auction.Time(s.Policy.Grace) + 1)
	// look does what a replica does with what is due, and returns whether the healthy
	// one was among it, and the one suspended one.
	look := func() (other, same bool) {
		t.Helper()
		due, err := b.Due(t.Context(), clock.Time())
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range due {
			if !suspended[id] {
				continue
			}
			if err := b.Close(t.Context(), id, auction.Head{}, nil, clock.Time()); auction.CodeOf(err) != auction.CodeSuspended {
				t.Fatalf("closing a suspended one: %v", err)
			}
		}
		return slices.Contains(due, healthy), slices.Contains(due, one)
	}
	expect := func(when string, healthy, one bool) {
		t.Helper()
		if gotHealthy, gotOne := look(); gotHealthy != healthy || gotOne != one {
			t.Errorf("%s: the healthy one is due: %v, want %v; a suspended one: %v, want %v", when, gotHealthy, healthy, gotOne, one)
		}
	}
	expect("at first", false, true)
	expect("after that", true, false)
	client(t, url).Del(t.Context(), "sigilo:{demo}:due")
	expect("when the list was lost", false, true)
	expect("after that", true, false)
	clock.Advance(11 * time.Second)
	if other, _ := look(); !other {
		t.Error("the suspended ones that come again hide the healthy one")
	}
}

// A suspended auction that was put off is due as soon as it is resumed, and once
// more when it was cancelled.
func TestDecidedIsDueAgain(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		clock := auctiontest.NewClock()
		b := open(t, url, clock.Now)
		s := auctiontest.NewScene(t, t.Name(), b, clock)
		ids := []auction.ID{s.Listed("seller", s.Terms()), s.Listed("seller", s.Terms())}
		resumed, cancelled := ids[0], ids[1]
		clock.Set(s.State(resumed).End() + auction.Time(s.Policy.Grace) + 1)
		due := func(want ...auction.ID) {
			t.Helper()
			got, err := b.Due(t.Context(), clock.Time())
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("due are %v, %v; want %v", got, err, want)
			}
		}
		for _, id := range ids {
			if err := b.Suspend(t.Context(), id, auction.Lost{Seq: 9, Leaf: auction.Hash{1}}); err != nil {
				t.Fatal(err)
			}
			if err := b.Close(t.Context(), id, auction.Head{}, nil, clock.Time()); auction.CodeOf(err) != auction.CodeSuspended {
				t.Fatal(err)
			}
		}
		due()
		if err := b.Resume(t.Context(), resumed, 0); err != nil {
			t.Fatal(err)
		}
		if err := b.Cancel(t.Context(), cancelled); err != nil {
			t.Fatal(err)
		}
		due(resumed)
		s.Ended(resumed)
		due()
		clock.Advance(11 * time.Second)
		due(cancelled)
		if err := b.Close(t.Context(), cancelled, auction.Head{}, nil, clock.Time()); err != nil {
			t.Fatal(err)
		}
		due()
	})
}
