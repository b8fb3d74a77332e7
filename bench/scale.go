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

// ScaleConfig configures [Scale]. DMS, Replicas, Auctions, Runs and Duration are
// required.
type ScaleConfig struct {
	DMS          []string      // command line of a process that calls [RunDMS]
	Replicas     []int         // of each point; the first is what the others are compared with
	Auctions     []int         // of each curve: many, and one for the hot auction
	Participants int           // for each replica, each with a connection of its own
	Runs         int           // of each point, of which the median counts
	Duration     time.Duration // of the measure of a run
	Warmup       time.Duration // of the same load before it
	Progress     io.Writer     // nil discards
}

const (
	// replicaQuota of each replicaPeriod is what a replica gets of one core: so
	// little that four replicas, Redis and the generator fit on two.
	replicaQuota  = 1200 * time.Microsecond
	replicaPeriod = 10 * time.Millisecond
	replicaShare  = float64(replicaQuota) / float64(replicaPeriod)
	// generatorShare is what the generator gets, in cores. If it needs more than
	// busyGenerator of that, the run says nothing about the replicas.
	generatorShare = 1.0
	busyGenerator  = 0.8
	// fullReplica is what replicas over many auctions use of their share at least:
	// less, and something else held them back, such as others on the machine.
	fullReplica = 0.9
	// maxTries is how often a run that says nothing is repeated.
	maxTries = 3
	// MaxReplicas bounds the replicas of a point.
	MaxReplicas = 16
)

func (c ScaleConfig) check() error {
	bad := func(format string, args ...any) error { return auction.Refuse(auction.CodeBadRequest, format, args...) }
	switch {
	case len(c.DMS) == 0:
		return errors.New("bench scale: no command for the replicas")
	case len(c.Replicas) == 0 || len(c.Auctions) == 0:
		return bad("how many replicas, and how many auctions?")
	case c.Runs < 1 || c.Runs > 100:
		return bad("1 to 100 runs of each point")
	}
	for _, n := range c.Replicas {
		if n < 1 || n > MaxReplicas {
			return bad("1 to %d replicas", MaxReplicas)
		}
		for _, auctions := range c.Auctions {
			load := LoadConfig{
				Participants: n * c.Participants, Auctions: auctions, Duration: c.Duration, Warmup: c.Warmup, AllowInsecure: true,
			}
			if err := load.check(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Scale measures how the bids a second grow with the replicas, each of which is
// held to the same small share of a core. It returns all runs, also those that
// say nothing: see [Point.Void].
func Scale(ctx context.Context, cfg ScaleConfig) ([]Point, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	var points []Point
	for run := range cfg.Runs { // one after the other, so that a busy moment of the machine does not hit one point alone
		for _, auctions := range cfg.Auctions {
			for _, replicas := range cfg.Replicas {
				for try := range maxTries {
					p, err := cfg.point(ctx, replicas, auctions)
					if err != nil {
						return points, fmt.Errorf("%d replicas, %d auctions: %w", replicas, auctions, err)
					}
					p.Run = run*maxTries + try + 1
					points = append(points, p)
					fmt.Fprintln(cfg.Progress, p)
					if p.Void == "" {
						break
					}
				}
			}
		}
	}
	return points, nil
}

// point measures one run.
func (c ScaleConfig) point(ctx context.Context, replicas, auctions int) (Point, error) {
	dir, err := os.MkdirTemp("", "sigilo-bench-")
	if err != nil {
		return Point{}, err
	}
	defer os.RemoveAll(dir)
	h, err := startHouse(ctx, houseConfig{dms: c.DMS, replicas: replicas, plain: true}, dir)
	if err != nil {
		return Point{}, err
	}
	defer h.stop()
	links, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	t, err := prepare(ctx, links, LoadConfig{
		House: h.at, Participants: replicas * c.Participants, Auctions: auctions,
		Duration: c.Duration, Warmup: c.Warmup, Progress: io.Discard, stamper: h.stamper,
	}, newMetrics(prometheus.NewRegistry()))
	if err != nil {
		return Point{}, err
	}
	shares, err := h.divide()
	if err != nil {
		return Point{}, err
	}
	defer shares.remove()
	t.every = saturatedCheck
	// The first bid of somebody in an auction costs more than those that follow.
	for t.placed.Load() < uint64(2*lotsEach*replicas*c.Participants) && ctx.Err() == nil {
		if t.round(ctx, max(c.Warmup, time.Second), 0, io.Discard, "").of(resultAccepted) == 0 {
			break // the round that counts tells why
		}
	}
	before, err := h.usage()
	if err != nil {
		return Point{}, err
	}
	sum := t.round(ctx, c.Duration, 0, io.Discard, "")
	after, err := h.usage()
	if err := errors.Join(err, t.verdict(sum), ctx.Err()); err != nil {
		return Point{}, err
	}
	return newPoint(replicas, auctions, sum, before, after), nil
}

// shares are the groups of the processes of a house.
type shares []*cpuShare

func (s shares) remove() {
	for _, share := range s {
		_ = share.remove() // what is left holds nobody back
	}
}

// divide holds each replica, and the generator, to its share. Redis gets what it
// wants.
func (h *ownHouse) divide() (all shares, err error) {
	defer func() {
		if err != nil {
			all.remove()
		}
	}()
	hold := func(name string, quota, period time.Duration, pid int) error {
		share, err := newCPUShare(fmt.Sprintf("sigilo-bench-%d-%s", os.Getpid(), name), quota, period)
		if err != nil {
			return err
		}
		all = append(all, share)
		return share.hold(pid)
	}
	for i, p := range append([]*dmsProcess{h.dms}, h.others...) {
		if err := hold(fmt.Sprintf("replica%d", i+1), replicaQuota, replicaPeriod, p.command.Process.Pid); err != nil {
			return all, err
		}
	}
	const second = 100 * time.Millisecond
	if err := hold("generator", time.Duration(generatorShare*float64(second)), second, os.Getpid()); err != nil {
		return all, err
	}
	return all, hold("redis", 8*second, second, h.redis.Servers[0].PID())
}
