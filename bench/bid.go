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

// BidConfig configures [Bid]. DMS is required.
type BidConfig struct {
	DMS          []string // command line of a process that calls [RunDMS]
	RedisURL     string   // "" starts a redis-server of its own
	Participants int      // each with a connection of its own
	Auctions     int
	Duration     time.Duration // of each of the two measures
	Warmup       time.Duration // of the saturating load before them
	Profile      string        // file for a CPU profile of the replica while it is saturated; "" for none
	Progress     io.Writer     // nil discards
}

func (c BidConfig) check() error {
	if len(c.DMS) == 0 {
		return errors.New("bench bid: no command for the replica")
	}
	return LoadConfig{
		Participants: c.Participants, Auctions: c.Auctions, Duration: c.Duration, Warmup: c.Warmup,
		AllowInsecure: true, // the house is not there yet, and will be on this machine
	}.check()
}

// Bid measures what a bid costs one replica, in two rounds with nobody following
// the auctions. First the replica is saturated by a closed loop; its CPU time for
// an accepted bid is compared with the floor: the time of the bid's two signature
// verifications alone, taken in the same process during the same round. Then
// bids come at half that rate, with stamps over HTTP and every receipt verified,
// for the time from when a bid was due to its verified receipt.
func Bid(ctx context.Context, cfg BidConfig) (Result, error) {
	if err := cfg.check(); err != nil {
		return Result{}, err
	}
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	result := newResult("bid")
	dir, err := os.MkdirTemp("", "sigilo-bench-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	h, err := startHouse(ctx, houseConfig{dms: cfg.DMS, redisURL: cfg.RedisURL}, dir)
	if err != nil {
		return Result{}, err
	}
	defer h.stop()
	links, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	t, err := prepare(ctx, links, cfg.load(h), newMetrics(prometheus.NewRegistry()))
	if err != nil {
		return Result{}, err
	}
	rate, err := cfg.saturate(ctx, h, t, result)
	if err != nil || ctx.Err() != nil {
		return Result{}, errors.Join(err, ctx.Err())
	}
	return result, cfg.half(ctx, t, rate/2, result)
}

// load is the load of both rounds.
func (c BidConfig) load(h *ownHouse) LoadConfig {
	return LoadConfig{
		House: h.at, Participants: c.Participants, Auctions: c.Auctions, Duration: 2 * c.Duration, Warmup: c.Warmup,
		Progress: c.Progress, stamper: h.stamper,
	}
}

// saturatedCheck is of how many receipts one is checked while the replica is
// saturated: the generator shares the machine with it.
const saturatedCheck = 100

// saturate measures the first round and returns the bids a second.
func (c BidConfig) saturate(ctx context.Context, h *ownHouse, t *traffic, result Result) (float64, error) {
	t.every = saturatedCheck
	// The first bid of somebody in an auction costs more than those that follow.
	for t.placed.Load() < uint64(2*lotsEach*c.Participants) && ctx.Err() == nil {
		if t.round(ctx, max(c.Warmup, time.Second), 0, c.Progress, "warm-up").of(resultAccepted) == 0 {
			break // the round that counts tells why
		}
	}
	before, err := h.usage()
	if err != nil {
		return 0, err
	}
	if c.Profile != "" {
		if err := h.dms.tell(profileStart + c.Profile); err != nil {
			return 0, err
		}
	}
	sum := t.round(ctx, c.Duration, 0, c.Progress, "saturated")
	after, err := h.usage()
	if err != nil {
		return 0, err
	}
	if c.Profile != "" {
		if err := h.dms.tell(profileEnd); err != nil {
			return 0, err
		}
	}
	if err := t.verdict(sum); err != nil {
		return 0, err
	}
	bids := float64(sum.of(resultAccepted))
	if bids == 0 || after.dms.Timed == before.dms.Timed {
		return 0, auction.Refuse(auction.CodeUnavailable, "too few bids were accepted for a measure: take a longer duration")
	}
	perBid := func(a, b time.Duration) float64 { return float64(a-b) / float64(time.Microsecond) / bids }
	// What the replica did twice for the floor is not part of what it does.
	cpu := perBid(after.dms.CPU-after.dms.Floor, before.dms.CPU-before.dms.Floor)
	floor := float64(after.dms.Floor-before.dms.Floor) / float64(time.Microsecond) / float64(after.dms.Timed-before.dms.Timed)
	result.ratio("dms_cpu_per_bid_to_floor", cpu, floor)
	result.set("dms_cpu_us_per_bid", cpu)
	result.set("floor_us", floor)
	result.set("floor_samples", float64(after.dms.Timed-before.dms.Timed))
	result.set("redis_cpu_us_per_bid", perBid(after.redis, before.redis))
	result.set("generator_cpu_us_per_bid", perBid(after.generator, before.generator))
	result.set("dms_allocs_per_bid", float64(after.dms.Allocs-before.dms.Allocs)/bids)
	result.set("dms_gc_cycles", float64(after.dms.Cycles-before.dms.Cycles))
	result.set("dms_memory_mb", float64(after.dms.Memory)/(1<<20))
	result.set("participants", float64(c.Participants))
	result.set("auctions", float64(c.Auctions))
	result.set("saturated_bids_per_second", bids/sum.seconds)
	result.set("saturated_not_accepted", float64(sum.sent())-bids)
	sum.latency.report(result, "saturated_")
	return bids / sum.seconds, nil
}

// half measures the second round.
func (c BidConfig) half(ctx context.Context, t *traffic, rate float64, result Result) error {
	authorities, err := t.house.authorities()
	if err != nil {
		return err
	}
	if t.house.stamper, err = askAuthorities(t.house, authorities); err != nil {
		return err
	}
	t.every = 1
	rate = min(rate, float64(maxMemberRate*len(t.members)))
	sum := t.round(ctx, c.Duration, rate, c.Progress, "half rate")
	sum.report(result)
	result.set("target_bids_per_second", rate)
	result.ratio("achieved_to_target", result.Figures["bids_per_second"], rate)
	if ctx.Err() != nil {
		result.set("ended_early", 1)
	}
	return t.verdict(sum)
}

// usage is what all parts have used so far.
type usage struct {
	dms              childStat     // the first replica
	replicas         time.Duration // all of them
	redis, generator time.Duration
}

func (h *ownHouse) usage() (usage, error) {
	var u usage
	var err error
	if u.dms, err = h.dms.stat(); err != nil {
		return u, err
	}
	u.replicas = u.dms.CPU
	for _, other := range h.others {
		stat, err := other.stat()
		if err != nil {
			return u, err
		}
		u.replicas += stat.CPU
	}
	if h.redis != nil {
		if u.redis, err = cpuOf(h.redis.Servers[0].PID()); err != nil {
			return u, fmt.Errorf("measure redis: %w", err)
		}
	}
	u.generator, err = processCPU()
	return u, err
}
