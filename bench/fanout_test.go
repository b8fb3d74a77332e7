package bench_test

import (
	"testing"
	"time"

	"github.com/sigilo/sigilo/bench"
	"github.com/sigilo/sigilo/pkg/auction"
)

// maxSpectatorKB is what a spectator may take of a replica's memory. Few
// spectators share what a replica takes for the first one, and the race detector
// takes its part, so it is far above what thousands take each; a compressor for
// each of them, for example, would be above it.
const maxSpectatorKB = 1024

func TestFanout(t *testing.T) {
	r, err := bench.Fanout(t.Context(), bench.FanoutConfig{
		DMS: replica(t), Spectators: []int{100, 20}, Rate: 20, Duration: time.Second, Warmup: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err) // also if an event came twice, or not at all, to anybody
	}
	for prefix, spectators := range map[string]float64{"100_": 100, "20_": 20} {
		f := func(name string) float64 { return r.Figures[prefix+name] }
		if f("deliveries") < spectators || f("dms_cpu_us_per_delivery") <= 0 || f("write_us") <= 0 || f("bytes_per_event") < 100 {
			t.Errorf("%s: %v", prefix, r.Figures)
		}
		if !(0 < f("lag_p50_ms") && f("lag_p50_ms") <= f("lag_p99_ms") && f("lag_p99_ms") <= f("lag_max_ms")) {
			t.Errorf("%s lags are out of order: %v", prefix, r.Figures)
		}
		if r.Ratios[prefix+"cpu_per_delivery_to_write"] <= 0 {
			t.Errorf("%s no ratio: %v", prefix, r.Ratios)
		}
	}
	if kb := r.Figures["100_memory_kb_per_spectator"]; kb > maxSpectatorKB {
		t.Errorf("a spectator takes %v KB", kb)
	}
}

func TestFanoutRefuses(t *testing.T) {
	good := bench.FanoutConfig{DMS: []string{"true"}, Spectators: []int{1}, Rate: 1, Duration: time.Second}
	for name, change := range map[string]func(*bench.FanoutConfig){
		"no spectators":        func(c *bench.FanoutConfig) { c.Spectators = nil },
		"nobody":               func(c *bench.FanoutConfig) { c.Spectators = []int{0} },
		"too many":             func(c *bench.FanoutConfig) { c.Spectators = []int{bench.MaxSpectators + 1} },
		"no events":            func(c *bench.FanoutConfig) { c.Rate = 0 },
		"more than bidders do": func(c *bench.FanoutConfig) { c.Rate = 1000 },
		"no time":              func(c *bench.FanoutConfig) { c.Duration = 0 },
	} {
		cfg := good
		change(&cfg)
		if _, err := bench.Fanout(t.Context(), cfg); auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestScaleRefuses(t *testing.T) {
	good := bench.ScaleConfig{DMS: []string{"true"}, Replicas: []int{1}, Auctions: []int{1}, Participants: 1, Runs: 1, Duration: time.Second}
	for name, change := range map[string]func(*bench.ScaleConfig){
		"no replicas":     func(c *bench.ScaleConfig) { c.Replicas = nil },
		"too many":        func(c *bench.ScaleConfig) { c.Replicas = []int{bench.MaxReplicas + 1} },
		"no auctions":     func(c *bench.ScaleConfig) { c.Auctions = []int{0} },
		"no runs":         func(c *bench.ScaleConfig) { c.Runs = 0 },
		"no participants": func(c *bench.ScaleConfig) { c.Participants = 0 },
	} {
		cfg := good
		change(&cfg)
		if _, err := bench.Scale(t.Context(), cfg); auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
