package store

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
)

// What judges a loss may have read the log of a primary that had lost its place.
// It appends nothing where the log has the entry by then.
func TestNothingIsLost(t *testing.T) {
	both(t, func(t *testing.T, client *redis.Client) {
		clock := auctiontest.NewClock()
		store, err := Open(t.Context(), Options{
			URL: "redis://" + client.Options().Addr, House: "demo", Clock: clock.Now, Signer: auctiontest.Signer{},
			Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Stop()
		s := auctiontest.NewScene(t, t.Name(), store, clock)
		id := s.Listed("seller", s.Terms())
		behind := s.State(id)
		receipt := s.Accept(s.Bid(id, "anna", 1000)).Receipt
		there := auction.Lost{Seq: receipt.Seq, Leaf: receipt.Leaf}
		state := s.State(id)

		if err := store.suspend(t.Context(), behind, there); !errors.Is(err, auction.ErrGrew) {
			t.Errorf("judged by the past: %v", err)
		}
		if err := store.Suspend(t.Context(), id, there); auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("an entry that is there: %v", err)
		}
		v := store.views.get(auction.LogID(id))
		v.mu.Lock()
		err = store.lose(t.Context(), v) // as where a page shows the past
		v.mu.Unlock()
		if err != nil {
			t.Errorf("a loss that is none: %v", err)
		}
		if now := s.State(id); now.Suspended() || now.Head() != state.Head() {
			t.Errorf("suspended %v, %d entries, want %d", now.Suspended(), now.Size(), state.Size())
		}
		s.Accept(s.Bid(id, "ben", 2000))
		s.CheckLogs()
	})
}
