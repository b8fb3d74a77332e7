package dms

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// The command rebuilds what it is asked for; that the projections are what they
// were is a test of the store.
func TestRebuildCommand(t *testing.T) {
	url := storetest.StartRedis(t).URL()
	clock := auctiontest.NewClock()
	st, err := store.Open(t.Context(), store.Options{
		URL: url, House: "demo", Clock: clock.Now, Signer: auctiontest.Signer{},
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Stop()
	s := auctiontest.NewScene(t, t.Name(), st, clock)
	id := s.Listed("seller", s.Terms())
	s.Accept(s.Bid(id, "bidder", 1000))
	for _, test := range []struct {
		cfg  RebuildConfig
		want string
	}{
		{RebuildConfig{}, "house demo: rebuilt from 2 entries\n"},
		{RebuildConfig{Auctions: []string{string(id)}}, "auction " + string(id) + ": rebuilt from 2 entries (1 of 1)\n"},
		{RebuildConfig{All: true}, "house demo: rebuilt from 2 entries\nauction " + string(id) + ": rebuilt from 2 entries (1 of 1)\n"},
	} {
		test.cfg.House, test.cfg.RedisURL = "demo", url
		var out strings.Builder
		if err := Rebuild(t.Context(), test.cfg, &out); err != nil || out.String() != test.want {
			t.Errorf("%+v: %q, %v", test.cfg, out.String(), err)
		}
	}
	s.Accept(s.Bid(id, "bidder", 2000))
	s.CheckLogs()

	unknown := RebuildConfig{House: "demo", RedisURL: url, Auctions: []string{string(s.Pseudonym())}}
	if err := Rebuild(t.Context(), unknown, new(strings.Builder)); auction.CodeOf(err) != auction.CodeUnknownAuction {
		t.Errorf("an unknown auction: %v", err)
	}
	empty := RebuildConfig{House: "other", RedisURL: url}
	if err := Rebuild(t.Context(), empty, new(strings.Builder)); auction.CodeOf(err) != auction.CodeUnknownAuction {
		t.Errorf("a house without a log: %v", err)
	}
}
