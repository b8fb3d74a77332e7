package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
)

// HostileConfig configures [Hostile]. DMS, Participants, Auctions, Rate, Flood
// and Duration are required.
type HostileConfig struct {
	DMS          []string // command line of a process that calls [RunDMS]
	RedisURL     string   // "" starts a redis-server of its own
	Participants int      // honest, each with a connection of its own
	Auctions     int
	Rate         float64       // honest bids a second
	Flood        float64       // hostile tries a second, of each kind in its turn
	Duration     time.Duration // of each measure: two for each kind
	Progress     io.Writer     // nil discards
}

const (
	// hostilePlaces is how many connections the replica takes from one address:
	// the default of cmd/dms.
	hostilePlaces = 200
	// maxFlood bounds the tries: beyond it the generator has no time for the
	// honest bids.
	maxFlood = 1_000_000
	// inTime is how long after it was due an honest bid's receipt still counts.
	inTime = time.Second
	// floodBuilds is for how long a flood goes on before its measure begins.
	floodBuilds = time.Second
)

func (c HostileConfig) check() error {
	switch {
	case len(c.DMS) == 0:
		return errors.New("bench hostile: no command for the replica")
	case !(c.Flood > 0 && c.Flood <= maxFlood):
		return auction.Refuse(auction.CodeBadRequest, "a flood of at most %d tries a second", maxFlood)
	case c.Rate <= 0:
		return auction.Refuse(auction.CodeBadRequest, "a rate of honest bids")
	case c.Participants >= hostilePlaces/2:
		return auction.Refuse(auction.CodeBadRequest, "at most %d honest participants: they come from one address", hostilePlaces/2)
	}
	return LoadConfig{
		Participants: c.Participants, Auctions: c.Auctions, Rate: c.Rate, Duration: c.Duration,
		AllowInsecure: true, // the house is not there yet, and will be on this machine
	}.check()
}

// Hostile measures what honest bidders of one replica lose to each kind of
// hostile load: bids come at a fixed rate, first in calm and then under the
// flood, and those whose receipt comes within a second of when they were due
// count. The flood comes from other addresses of this machine, and from the
// process of the honest bidders: how much of the machine each side used is part
// of the result.
func Hostile(ctx context.Context, cfg HostileConfig) (Result, error) {
	if err := cfg.check(); err != nil {
		return Result{}, err
	}
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	dir, err := os.MkdirTemp("", "sigilo-bench-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	h, err := startHouse(ctx, houseConfig{dms: cfg.DMS, redisURL: cfg.RedisURL, perAddress: hostilePlaces}, dir)
	if err != nil {
		return Result{}, err
	}
	defer h.stop()
	links, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	t, err := prepare(ctx, links, LoadConfig{
		House: h.at, Participants: cfg.Participants, Auctions: cfg.Auctions, Progress: cfg.Progress, stamper: h.stamper,
		Duration: time.Duration(len(attacks)+1) * (2*cfg.Duration + 4*floodBuilds),
	}, newMetrics(prometheus.NewRegistry()))
	if err != nil {
		return Result{}, err
	}
	e, err := recruit(ctx, t, cfg.Flood, cfg.Duration+2*floodBuilds)
	if err != nil {
		return Result{}, err
	}
	result := newResult("hostile")
	result.set("honest_bids_per_second_target", cfg.Rate)
	result.set("flood_per_second_target", cfg.Flood)
	t.round(ctx, cfg.Duration, cfg.Rate, cfg.Progress, "warm-up")
	for _, a := range attacks {
		if err := cfg.measure(ctx, h, t, e, a, result); err != nil {
			return Result{}, err
		}
	}
	return result, ctx.Err()
}

// measure compares a calm round with one under an attack.
func (c HostileConfig) measure(ctx context.Context, h *ownHouse, t *traffic, e *enemy, a attack, result Result) error {
	calm := t.round(ctx, c.Duration, c.Rate, c.Progress, "calm")
	stop := e.flood(ctx, a)
	defer stop()
	sleepUntil(ctx, time.Now().Add(floodBuilds))
	before, err := h.usage()
	if err != nil {
		return err
	}
	tries, begin := e.tries.Load(), time.Now()
	under := t.round(ctx, c.Duration, c.Rate, c.Progress, a.name)
	seconds := time.Since(begin).Seconds()
	tries = e.tries.Load() - tries
	after, err := h.usage()
	if err != nil {
		return err
	}
	if err := errors.Join(t.verdict(calm), t.verdict(under)); err != nil {
		return fmt.Errorf("%s: %w", a.name, err)
	}
	good := func(sum *tally) float64 { return float64(sum.latency.within(inTime)) / sum.seconds }
	result.ratio("goodput_"+a.name, good(under), good(calm))
	result.ratio("calm_in_time_"+a.name, good(calm), c.Rate)
	set := func(name string, v float64) { result.set(a.name+"_"+name, v) }
	set("calm_p99_ms", ms(calm.latency.quantile(0.99)))
	set("p50_ms", ms(under.latency.quantile(0.5)))
	set("p99_ms", ms(under.latency.quantile(0.99)))
	set("tries_per_second", float64(tries)/seconds)
	set("dms_cores", (after.dms.CPU-before.dms.CPU).Seconds()/seconds)
	set("generator_cores", (after.generator-before.generator).Seconds()/seconds)
	set("dms_memory_mb", float64(after.dms.Memory)/(1<<20))
	if n := after.dms.Timed - before.dms.Timed; n > 0 {
		// A bid takes a pair of verifications; all processors could do so many.
		pair := (after.dms.Floor - before.dms.Floor).Seconds() / float64(n)
		result.ratio("offered_to_capacity_"+a.name, float64(tries)/seconds, float64(runtime.NumCPU())/pair)
	}
	return nil
}
