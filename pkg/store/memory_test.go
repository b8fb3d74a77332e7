package store_test

import (
	"log/slog"
	"regexp"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// A Redis that is nearly full takes bids and answers what it has, and no new
// auction until there is room again.
func TestNearlyFullRedisTakesNoListing(t *testing.T) {
	server := storetest.StartRedis(t)
	clock, registry := auctiontest.NewClock(), prometheus.NewRegistry()
	s := auctiontest.NewScene(t, t.Name(), openWith(t, server.URL(), clock.Now, slog.New(slog.DiscardHandler), registry), clock)
	listing := s.List("seller", s.Terms())
	s.Accept(listing)
	keys := client(t, server.URL())
	info := keys.Info(t.Context(), "memory").Val()
	used, err := strconv.Atoi(regexp.MustCompile(`used_memory:(\d+)`).FindStringSubmatch(info)[1])
	if err != nil {
		t.Fatal(err)
	}
	limit := func(bytes int) {
		t.Helper()
		if err := keys.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(bytes)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	ratio := func() float64 { return value(t, registry, "sigilo_store_memory_ratio") }

	limit(used * 10 / 9)
	waitFor(t, func() bool { return ratio() >= 0.8 })
	second := s.List("seller", s.Terms())
	if _, err := s.Send(second); auction.CodeOf(err) != auction.CodeUnavailable {
		t.Errorf("a new auction: %v", err)
	}
	s.Accept(listing) // known already
	s.Accept(s.Bid(listing.Auction, "bidder", 1000))
	if mine, err := s.Mine(t.Context(), second.Participant); err != nil || len(mine) != 1 {
		t.Errorf("%d auctions of the seller, %v", len(mine), err)
	}

	limit(0)
	waitFor(t, func() bool { return ratio() == 0 })
	s.Accept(second)
	s.CheckLogs()
}
