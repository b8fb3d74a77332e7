package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
)

// FanoutConfig configures [Fanout]. DMS, Spectators, Rate and Duration are
// required.
type FanoutConfig struct {
	DMS        []string      // command line of a process that calls [RunDMS]
	RedisURL   string        // "" starts a redis-server for each step
	Spectators []int         // of each step, each on a socket of its own
	Rate       float64       // events a second
	Duration   time.Duration // of the measure of a step
	Warmup     time.Duration // of the same load before it
	Profile    string        // file for a CPU profile of the replica in the last step; "" for none
	Progress   io.Writer     // nil discards
}

const (
	// MaxSpectators is what one process may hold open as a rule.
	MaxSpectators = 19000
	// fanoutBidders share the bids: the house takes 50 a second from one.
	fanoutBidders = 8
	// fullCore is the CPU time of the replica, as a share of one core, from which
	// on more spectators would show nothing new.
	fullCore = 0.95
	// settleTimeout bounds the wait for the last event at every spectator.
	settleTimeout = 30 * time.Second
)

func (c FanoutConfig) check() error {
	bad := func(format string, args ...any) error { return auction.Refuse(auction.CodeBadRequest, format, args...) }
	switch {
	case len(c.DMS) == 0:
		return errors.New("bench fanout: no command for the replica")
	case len(c.Spectators) == 0:
		return bad("how many spectators?")
	case !(c.Rate > 0 && c.Rate <= maxMemberRate*fanoutBidders):
		return bad("a rate of at most %d events a second", maxMemberRate*fanoutBidders)
	case c.Duration < time.Second || c.Duration > MaxDuration || c.Warmup < 0 || c.Warmup > MaxDuration:
		return bad("a duration of a second to %v", MaxDuration)
	}
	for _, n := range c.Spectators {
		if n < 1 || n > MaxSpectators {
			return bad("1 to %d spectators", MaxSpectators)
		}
	}
	return nil
}

// Fanout measures what it costs one replica to show an auction to many
// spectators, in steps of more and more of them until one core is full. Each step
// has a house of its own. Every spectator must get every event once and in order,
// or there is no result.
func Fanout(ctx context.Context, cfg FanoutConfig) (Result, error) {
	if err := cfg.check(); err != nil {
		return Result{}, err
	}
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	result := newResult("fanout")
	result.set("events_per_second_target", cfg.Rate)
	for i, n := range cfg.Spectators {
		profile := ""
		if i == len(cfg.Spectators)-1 {
			profile = cfg.Profile
		}
		cores, err := cfg.step(ctx, n, profile, result)
		if err != nil {
			return Result{}, fmt.Errorf("%d spectators: %w", n, err)
		}
		if cores >= fullCore {
			break
		}
	}
	return result, nil
}

// step measures one number of spectators and returns how many cores the replica
// used.
func (c FanoutConfig) step(ctx context.Context, spectators int, profile string, result Result) (float64, error) {
	dir, err := os.MkdirTemp("", "sigilo-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	h, err := startHouse(ctx, houseConfig{dms: c.DMS, redisURL: c.RedisURL, plain: true}, dir)
	if err != nil {
		return 0, err
	}
	defer h.stop()
	links, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	t, err := prepare(ctx, links, LoadConfig{
		House: h.at, Participants: fanoutBidders, Auctions: 1, Duration: c.Duration, Warmup: 2*c.Warmup + settleTimeout,
		Progress: io.Discard, stamper: h.stamper,
	}, newMetrics(prometheus.NewRegistry()))
	if err != nil {
		return 0, err
	}
	s := &show{traffic: t, house: h, lot: t.lots[0], rate: c.Rate, spectators: spectators}
	if s.journal, err = keepJournal(links, h.redisURL, auction.LogID(s.lot.id)); err != nil {
		return 0, err
	}
	if err := s.play(ctx, c.Warmup); err != nil { // so that the memory before the first spectator is that of a replica at work
		return 0, err
	}
	if s.before, err = memoryOf(h.dms.command.Process.Pid); err != nil {
		return 0, err
	}
	fmt.Fprintf(c.Progress, "%d spectators connect\n", spectators)
	if s.crowd, err = gather(ctx, h.dms.url, auction.LogID(s.lot.id), spectators, s.journal); err != nil {
		return 0, err
	}
	defer s.crowd.leave()
	return s.measure(ctx, c, profile, result)
}
