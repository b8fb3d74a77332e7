package store_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
)

// Of an auction that was removed a tombstone is left, by which everybody knows
// it: nobody opens it anew, and nobody takes its end for a changed history.
func TestRemove(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		clock, registry := auctiontest.NewClock(), prometheus.NewRegistry()
		b := open(t, url, clock.Now)
		other := openWith(t, url, clock.Now, slog.New(slog.DiscardHandler), registry)
		s := auctiontest.NewScene(t, t.Name(), b, clock)
		list := s.List("seller", s.Terms())
		s.Accept(list)
		id := list.Auction
		bid := s.Bid(id, "bidder", 1000)
		s.Accept(bid)
		if err := b.Remove(t.Context(), id, 2); err == nil {
			t.Fatal("an open auction was removed")
		}
		s.Clock.Set(s.State(id).End())
		s.Ended(id)
		if err := b.Disclose(t.Context(), auction.NewAccepted(s.Disclosure(id, "seller", "x"))); err != nil {
			t.Fatal(err)
		}
		if err := b.Remove(t.Context(), id, 2); err == nil {
			t.Fatal("an auction was removed of which not all is kept")
		}
		if state, err := other.Auction(t.Context(), id); err != nil || state.Size() != 3 {
			t.Fatal(err)
		}
		keys := client(t, url)
		mail := "sigilo:{" + string(id) + "}:mail"
		messages := keys.HGetAll(t.Context(), mail).Val()
		for range 2 { // the second time after it was interrupted
			if err := b.Remove(t.Context(), id, 3); err != nil {
				t.Fatal(err)
			}
			left := keys.Keys(t.Context(), "sigilo:{"+string(id)+"}:*").Val()
			if !slices.Equal(left, []string{"sigilo:{" + string(id) + "}:state"}) {
				t.Errorf("left are %q", left)
			}
			keys.HSet(t.Context(), mail, messages)
		}

		fresh := open(t, url, clock.Now)
		for _, r := range []auctiontest.Backend{b, other, fresh} {
			_, err := r.Auction(t.Context(), id)
			if auction.CodeOf(err) != auction.CodeUnknownAuction || !strings.Contains(err.Error(), "archived") {
				t.Errorf("asked for: %v", err)
			}
			for name, c := range map[string]auction.Command{"bid": bid, "listing": list} {
				_, err := r.Place(t.Context(), auction.NewAccepted(c))
				if auction.CodeOf(err) != auction.CodeUnknownAuction || !strings.Contains(err.Error(), "archived") {
					t.Errorf("the %s sent again: %v", name, err)
				}
			}
		}
		if n := value(t, registry, "sigilo_history_changed_total"); n != 0 {
			t.Errorf("the history has changed %v times", n)
		}
		if _, err := b.Rebuild(t.Context(), auction.HouseLog); err != nil {
			t.Fatal(err)
		}
		// The list of what is due is made from the house log, and has it once more.
		if err := b.Close(t.Context(), id, auction.Head{}, nil, 0); err != nil {
			t.Fatal(err)
		}
		if due, err := b.Due(t.Context(), clock.Time().Add(time.Hour)); err != nil || len(due) != 0 {
			t.Errorf("%d auctions are due, %v", len(due), err)
		}
	})
}
