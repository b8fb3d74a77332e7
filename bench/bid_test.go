package bench_test

import (
	"testing"
	"time"

	"github.com/sigilo/sigilo/bench"
	"github.com/sigilo/sigilo/pkg/auction"
)

// A benchmark of bids runs, and what it shows can be.
func TestBid(t *testing.T) {
	r, err := bench.Bid(t.Context(), bench.BidConfig{
		DMS: replica(t), Participants: 16, Auctions: 8, Duration: 3 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := r.Figures
	// The verifications are a part of what a bid costs.
	if ratio := r.Ratios["dms_cpu_per_bid_to_floor"]; ratio <= 1 || f["floor_us"] <= 0 || f["dms_cpu_us_per_bid"] <= f["floor_us"] {
		t.Errorf("CPU of a bid to its floor: %v of %v us and %v us", ratio, f["dms_cpu_us_per_bid"], f["floor_us"])
	}
	if f["saturated_bids_per_second"] <= 0 || f["dms_allocs_per_bid"] < 10 || f["floor_samples"] < 1 {
		t.Errorf("saturated: %v", f)
	}
	if f["accepted"] < 1 || f["receipts_checked"] != f["accepted"] || !(0 < f["p50_ms"] && f["p50_ms"] <= f["p99_ms"]) {
		t.Errorf("at half the rate: %v", f)
	}
}

// A benchmark of hostile load runs with every kind of it.
func TestHostile(t *testing.T) {
	r, err := bench.Hostile(t.Context(), bench.HostileConfig{
		DMS: replica(t), Participants: 4, Auctions: 4, Rate: 10, Flood: 50, Duration: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"false_signatures", "wrong_keys", "handshakes", "half_open", "spectators"} {
		if r.Figures[kind+"_tries_per_second"] <= 0 || r.Figures[kind+"_dms_cores"] <= 0 || r.Figures[kind+"_p99_ms"] <= 0 {
			t.Errorf("%s: nothing was tried, or nothing was done: %v", kind, r)
		}
	}
}

func TestHostileRefuses(t *testing.T) {
	good := bench.HostileConfig{DMS: []string{"none"}, Participants: 4, Auctions: 1, Rate: 1, Flood: 1, Duration: time.Second}
	for name, change := range map[string]func(*bench.HostileConfig){
		"no flood":             func(c *bench.HostileConfig) { c.Flood = 0 },
		"too much of it":       func(c *bench.HostileConfig) { c.Flood = 1e9 },
		"no honest bids":       func(c *bench.HostileConfig) { c.Rate = 0 },
		"too many for a place": func(c *bench.HostileConfig) { c.Participants = 100 },
		"no time":              func(c *bench.HostileConfig) { c.Duration = 0 },
	} {
		cfg := good
		change(&cfg)
		if _, err := bench.Hostile(t.Context(), cfg); auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}
