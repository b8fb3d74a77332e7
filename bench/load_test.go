package bench_test

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigilo/sigilo/bench"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/services/allinone"
	"github.com/sigilo/sigilo/services/ca"
)

// startHouse runs a house in this process, and returns it with its folder.
func startHouse(t *testing.T) (*allinone.House, client.House, string) {
	t.Helper()
	dir := t.TempDir()
	h, err := allinone.Start(t.Context(), allinone.Config{Dir: dir, Replicas: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	at, err := h.Client()
	if err != nil {
		t.Fatal(err)
	}
	return h, at, dir
}

// check holds what every load leaves behind where nothing goes wrong.
func check(t *testing.T, r bench.Result, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	f := r.Figures
	// Two who bid in one auction at the same moment may cross: the lower one is refused.
	crossed := f["not_accepted_bid_too_low"]
	if f["accepted"] < 1 || f["accepted"]+crossed != f["sent"] || f["not_accepted"] != crossed ||
		math.Abs(r.Ratios["accepted_to_sent"]-f["accepted"]/f["sent"]) > 0.01 {
		t.Errorf("not every bid was accepted, or outbid on its way: %v", f)
	}
	if f["receipts_checked"] < 1 || !(0 < f["p50_ms"] && f["p50_ms"] <= f["p90_ms"] && f["p90_ms"] <= f["p99_ms"] && f["p99_ms"] <= f["max_ms"]) {
		t.Errorf("no receipt was checked, or latencies are out of order: %v", f)
	}
}

func TestLoad(t *testing.T) {
	h, at, dir := startHouse(t)
	key, certificate := ca.TSAFiles("tsa1", false)
	base := bench.LoadConfig{
		House: at, OperatorToken: h.Ready.OperatorToken, Participants: 4, Auctions: 8,
		Duration: time.Second, Check: 1,
	}

	t.Run("open loop, stamps of the time authority", func(t *testing.T) {
		cfg := base
		cfg.Rate = 20
		var progress bytes.Buffer
		cfg.Progress, cfg.Duration = &progress, 2*time.Second
		r, err := bench.Load(t.Context(), cfg)
		check(t, r, err)
		if !strings.Contains(progress.String(), "bids a second accepted") {
			t.Errorf("no progress: %q", progress.String())
		}
	})
	t.Run("closed loop, stamps of its own", func(t *testing.T) {
		cfg := base
		cfg.StampKey, cfg.StampCertificate = filepath.Join(dir, "keys", key), filepath.Join(dir, "keys", certificate)
		r, err := bench.Load(t.Context(), cfg)
		check(t, r, err)
	})
	t.Run("ended early", func(t *testing.T) {
		cfg := base
		ctx, cancel := context.WithCancel(t.Context())
		cfg.Rate, cfg.Duration = 20, time.Hour
		cfg.Progress = writer(func(line []byte) {
			if bytes.HasPrefix(line, []byte("load ")) {
				cancel()
			}
		})
		r, err := bench.Load(ctx, cfg)
		check(t, r, err)
		if r.Figures["ended_early"] != 1 {
			t.Errorf("it does not say that it ended early: %v", r.Figures)
		}
	})
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := ca.Bootstrap(dir, ca.BootstrapConfig{House: "demo", Authorities: []string{"tsa1"}, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(filepath.Join(dir, ca.FileRoot))
	if err != nil {
		t.Fatal(err)
	}
	good := bench.LoadConfig{
		House: client.House{
			House: "demo", Root: string(root), CA: "http://127.0.0.1:1", TSA: []string{"http://127.0.0.1:1"}, DMS: []string{"http://127.0.0.1:1"},
		},
		Participants: 1, Auctions: 1, Duration: time.Second,
	}
	tests := []struct {
		name   string
		change func(*bench.LoadConfig)
		code   auction.Code
	}{
		{"nobody", func(c *bench.LoadConfig) { c.Participants = 0 }, auction.CodeBadRequest},
		{"too many", func(c *bench.LoadConfig) { c.Participants = bench.MaxParticipants + 1 }, auction.CodeBadRequest},
		{"no auctions", func(c *bench.LoadConfig) { c.Auctions = 0 }, auction.CodeBadRequest},
		{"more than a participant may send", func(c *bench.LoadConfig) { c.Rate = 41 }, auction.CodeBadRequest},
		{"no time", func(c *bench.LoadConfig) { c.Duration = 0 }, auction.CodeBadRequest},
		{"a share above one", func(c *bench.LoadConfig) { c.Check = 1.1 }, auction.CodeBadRequest},
		{"half a stamping key", func(c *bench.LoadConfig) { c.StampKey = "a" }, auction.CodeBadRequest},
		{"plain http beyond this machine", func(c *bench.LoadConfig) { c.House.CA = "http://10.0.0.1" }, auction.CodeNotAllowed},
		{"somebody else's house", func(c *bench.LoadConfig) { c.House.CA = "https://192.0.2.1" }, auction.CodeNotAllowed},
		{"somebody else's house, by IPv6", func(c *bench.LoadConfig) { c.House.CA = "https://[2001:db8::1]" }, auction.CodeNotAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := good
			tt.change(&cfg)
			if _, err := bench.Load(t.Context(), cfg); auction.CodeOf(err) != tt.code {
				t.Errorf("got %v, want %s", err, tt.code)
			}
		})
	}
}
