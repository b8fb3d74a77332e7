package store_test

import (
	"bytes"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
)

// rollback returns what brings an auction back to how Redis has it now.
func rollback(t *testing.T, c *redis.Client, id auction.ID) func() {
	t.Helper()
	prefix := "sigilo:{" + string(id) + "}:"
	entries := c.XRange(t.Context(), prefix+"log", "-", "+").Val()
	hashes := make(map[string]map[string]string)
	for _, key := range c.Keys(t.Context(), prefix+"*").Val() {
		if !strings.HasSuffix(key, ":log") {
			hashes[key] = c.HGetAll(t.Context(), key).Val()
		}
	}
	return func() {
		c.Del(t.Context(), c.Keys(t.Context(), prefix+"*").Val()...)
		for _, e := range entries {
			c.XAdd(t.Context(), &redis.XAddArgs{Stream: prefix + "log", ID: e.ID, Values: e.Values})
		}
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
