package store_test

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
)

// A replica that knew an auction meets its tombstone, as one that never did:
// neither opens it anew, or takes its end for a changed history.
func TestTombstone(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		clock, registry := auctiontest.NewClock(), prometheus.NewRegistry()
		command := open(t, url, clock.Now)
		knew := openWith(t, url, clock.Now, slog.New(slog.DiscardHandler), registry)
		s := auctiontest.NewScene(t, t.Name(), knew, clock)
		var ids []auction.ID
		for range 3 { // of which each way to ask meets one first
			id := s.Listed("seller", s.Terms())
			s.Accept(s.Bid(id, "bidder", 1000))
			ids = append(ids, id)
		}
		s.Clock.Set(s.State(ids[2]).End())
		for _, id := range ids {
			s.Ended(id)
			s.State(id)
			if err := command.Remove(t.Context(), id, 3, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		keys := client(t, url)
		for _, r := range []auctiontest.Backend{knew, open(t, url, clock.Now)} {
			s.Backend = r
			bid := s.Bid(s.Listed("seller", s.Terms()), "bidder", 1000)
			bid.Auction = ids[2]
			_, ofState := r.Auction(t.Context(), ids[0])
			_, ofEntries := r.Entries(t.Context(), auction.LogID(ids[1]), 3, 10)
			_, ofBid := s.Send(bid)
			for what, err := range map[string]error{"state": ofState, "entries": ofEntries, "bid": ofBid} {
				if auction.CodeOf(err) != auction.CodeTooOld {
					t.Errorf("%s: %v", what, err)
				}
			}
			for _, id := range ids {
				prefix := "sigilo:{" + string(id) + "}:"
				if left := keys.Keys(t.Context(), prefix+"*").Val(); !slices.Equal(left, []string{prefix + "state"}) {
					t.Errorf("left are %q", left)
				}
			}
		}
		if n := value(t, registry, "sigilo_history_changed_total"); n != 0 {
			t.Errorf("the history has changed %v times", n)
		}

		// The list of what is due is made from the house log, and has them once more.
		if _, err := knew.Rebuild(t.Context(), auction.HouseLog); err != nil {
			t.Fatal(err)
		}
		if _, err := knew.Rebuild(t.Context(), auction.LogID(ids[0])); auction.CodeOf(err) != auction.CodeTooOld {
			t.Errorf("rebuilt: %v", err)
		}
		for _, id := range ids {
			if err := knew.Close(t.Context(), id, auction.Head{}, nil, 0); err != nil {
				t.Fatal(err)
			}
		}
		if due, err := knew.Due(t.Context(), clock.Time().Add(time.Hour)); err != nil || len(due) != 2 {
			t.Errorf("%d auctions are due, %v", len(due), err) // the ones that are open
		}
	})
}
