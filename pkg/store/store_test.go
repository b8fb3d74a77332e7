package store_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// open opens a replica that ends with the test.
func open(t testing.TB, url string, clock auction.Clock) *store.Store {
	t.Helper()
	s := openStore(t, url, clock)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func openStore(t auctiontest.TB, url string, clock auction.Clock) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), store.Options{
		URL: url, House: "demo", Clock: clock, Signer: auctiontest.Signer{}, Random: auctiontest.Zeros{},
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func stop(t auctiontest.TB, s *store.Store) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
}

// client returns a connection past the store, to look at the keys.
func client(t testing.TB, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(opts)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestContractOnMiniredis(t *testing.T) {
	auctiontest.Run(t, func(t *testing.T, clock auction.Clock) auctiontest.Backend {
		return open(t, "redis://"+miniredis.RunT(t).Addr(), clock)
	})
}

func TestContractOnRedis(t *testing.T) {
	server := storetest.StartRedis(t)
	auctiontest.Run(t, func(t *testing.T, clock auction.Clock) auctiontest.Backend {
		if err := client(t, server.URL()).FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		return open(t, server.URL(), clock)
	})
}

// A participant's auctions are in the order of the first commands in them,
// whichever replicas took the later ones.
func TestMineIsInTheOrderOfTheFirst(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		clock := auctiontest.NewClock()
		s := auctiontest.NewScene(t, t.Name(), open(t, url, clock.Now), clock)
		first, second := s.Listed("seller", s.Terms()), s.Listed("seller", s.Terms())
		s.Accept(s.Bid(first, "bidder", 1000))
		s.Accept(s.Bid(second, "bidder", 1000))
		s.Backend = open(t, url, clock.Now)
		s.Accept(s.Bid(first, "bidder", 2000))
		mine, err := s.Mine(t.Context(), auctiontest.Participant("bidder"))
		if err != nil || !slices.Equal(mine, []auction.ID{second, first}) {
			t.Errorf("%v of %v, %v: %v", mine, first, second, err)
		}
	})
}
