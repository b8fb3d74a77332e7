package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/ops"
)

// Bounds of a load test.
const (
	MaxParticipants = 2000
	MaxAuctions     = 5000
	MaxRate         = 20000 // bids a second
	MaxDuration     = time.Hour
	// maxMemberRate is how many bids a second a participant may be asked for:
	// the house takes some more from one connection.
	maxMemberRate = 40
	// afterwards is how long auctions stay open after the last bid, so that it
	// is not a late one.
	afterwards = time.Minute
)

// LoadConfig configures [Load]. House, Participants, Auctions and Duration are
// required.
type LoadConfig struct {
	House         client.House
	OperatorToken string        // makes invites; "" where everybody may enrol
	AllowInsecure bool          // plain http and ws beyond this machine
	Participants  int           // that bid, each over a connection of its own
	Auctions      int           // that are bid in, in turn
	Rate          float64       // bids a second, whatever the answers (open loop); 0: each participant bids again when answered (closed loop)
	Duration      time.Duration // of the measure
	Warmup        time.Duration // of the same load before it
	Check         float64       // share of the receipts that are verified fully, 0 to 1

	// StampKey and StampCertificate are files of the house's one time
	// authority: the generator then stamps by itself. For houses that were
	// started for this alone.
	StampKey, StampCertificate string

	Metrics  string    // address to show the generator's metrics at; "" for none
	Progress io.Writer // nil discards

	stamper *benchStamper // the one of the files above, or of a house of our own
}

func (c LoadConfig) check() error {
	bad := func(format string, args ...any) error { return auction.Refuse(auction.CodeBadRequest, format, args...) }
	switch {
	case c.Participants < 1 || c.Participants > MaxParticipants:
		return bad("1 to %d participants", MaxParticipants)
	case c.Auctions < 1 || c.Auctions > MaxAuctions:
		return bad("1 to %d auctions", MaxAuctions)
	case !(c.Rate >= 0 && c.Rate <= MaxRate):
		return bad("a rate of at most %d bids a second", MaxRate)
	case c.Rate > float64(maxMemberRate*c.Participants):
		return bad("at most %d bids a second a participant: take more participants", maxMemberRate)
	case c.Duration < time.Second || c.Duration > MaxDuration || c.Warmup < 0 || c.Warmup > MaxDuration:
		return bad("a duration of a second to %v", MaxDuration)
	case !(c.Check >= 0 && c.Check <= 1):
		return bad("the share to check is from 0 to 1")
	case (c.StampKey == "") != (c.StampCertificate == ""):
		return bad("the stamping key and its certificate go together")
	}
	if c.AllowInsecure {
		return nil
	}
	return c.House.CheckURLs()
}

// every is of how many receipts one is checked.
func (c LoadConfig) every() uint64 {
	if c.Check == 0 {
		return 0
	}
	return max(1, uint64(1/c.Check+0.5))
}

// Load puts a house under load. It reaches nothing but this machine and private
// networks. When ctx ends early, it returns the result so far. Its error says
// why there is no result, or that a receipt did not hold.
func Load(ctx context.Context, cfg LoadConfig) (Result, error) {
	if err := cfg.check(); err != nil {
		return Result{}, err
	}
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	result := newResult("load")
	// The connections end last, so that what is under way is still answered.
	links, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	registry := ops.Registry()
	m := newMetrics(registry)
	if cfg.Metrics != "" {
		if err := serveMetrics(links, cfg.Metrics, registry); err != nil {
			return Result{}, err
		}
	}
	t, err := prepare(ctx, links, cfg, m)
	if err != nil {
		return Result{}, err
	}
	if cfg.Warmup > 0 {
		t.round(ctx, cfg.Warmup, cfg.Rate, cfg.Progress, "warm-up")
	}
	sum := t.round(ctx, cfg.Duration, cfg.Rate, cfg.Progress, "load")
	sum.report(result)
	result.set("participants", float64(cfg.Participants))
	result.set("auctions", float64(cfg.Auctions))
	if cfg.Rate > 0 {
		result.set("target_bids_per_second", cfg.Rate)
		result.ratio("achieved_to_target", result.Figures["bids_per_second"], cfg.Rate)
	}
	if ctx.Err() != nil {
		result.set("ended_early", 1)
	}
	return result, t.verdict(sum)
}

// prepare enrols, connects and lists. links is the context of the connections.
func prepare(ctx, links context.Context, cfg LoadConfig, m *metrics) (*traffic, error) {
	sellers := sellersFor(cfg.Auctions)
	h, err := newHouse(links, cfg.House, cfg.OperatorToken, cfg.Participants+sellers)
	if err != nil {
		return nil, err
	}
	if cfg.StampKey != "" {
		if cfg.stamper, err = newBenchStamper(cfg.StampKey, cfg.StampCertificate); err != nil {
			return nil, err
		}
	}
	issue := askAuthorities
	if cfg.stamper != nil {
		issue = cfg.stamper.use
	}
	fmt.Fprintf(cfg.Progress, "%d participants enrol and connect\n", cfg.Participants+sellers)
	members, err := join(ctx, h, cfg.Participants+sellers, "load-"+strings.ToLower(rand.Text()[:10]))
	if err != nil {
		return nil, err
	}
	if err := h.learn(ctx, members[0], issue); err != nil {
		return nil, err
	}
	fmt.Fprintf(cfg.Progress, "%d auctions are listed\n", cfg.Auctions)
	lots, err := listLots(ctx, h, members[:sellers], cfg.Auctions, cfg.Warmup+cfg.Duration+afterwards)
	if err != nil {
		return nil, err
	}
	return newTraffic(h, members[sellers:], lots, m, cfg.every())
}

// round runs one load for a time and says how it goes. A rate of 0 is a closed
// loop.
func (t *traffic) round(ctx context.Context, d time.Duration, rate float64, progress io.Writer, name string) *tally {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	sum := newTally()
	told := make(chan struct{})
	go func() {
		defer close(told)
		sum.tell(ctx, progress, name)
	}()
	if rate > 0 {
		t.open(ctx, rate, sum)
	} else {
		t.closed(ctx, sum)
	}
	<-told
	return sum
}

// tell prints a line a second until ctx ends.
func (t *tally) tell(ctx context.Context, out io.Writer, name string) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	var before uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		accepted := t.of(resultAccepted)
		fmt.Fprintf(out, "%s %3.0f s: %d bids a second accepted, p50 %.1f ms, p99 %.1f ms, %d not accepted\n",
			name, time.Since(t.begin).Seconds(), accepted-before,
			ms(t.latency.quantile(0.5)), ms(t.latency.quantile(0.99)), t.sent()-accepted)
		before = accepted
	}
}

// sent is how many bids have a result.
func (t *tally) sent() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var n uint64
	for _, count := range t.results {
		n += count
	}
	return n
}

// report puts a round into a result. Only what was accepted has a latency.
func (t *tally) report(r Result) {
	accepted, sent := float64(t.of(resultAccepted)), float64(t.sent())
	r.set("seconds", t.seconds)
	r.set("sent", sent)
	r.set("accepted", accepted)
	r.set("not_accepted", sent-accepted)
	r.set("receipts_checked", float64(t.checked.Load()))
	r.set("bids_per_second", accepted/t.seconds)
	r.ratio("accepted_to_sent", accepted, sent)
	t.mu.Lock()
	for _, result := range slices.Sorted(maps.Keys(t.results)) {
		if result != resultAccepted {
			r.set("not_accepted_"+result, float64(t.results[result]))
		}
	}
	t.mu.Unlock()
	t.latency.report(r, "")
}

var errBadReceipt = errors.New("the house gave receipts that do not hold")

// verdict is an error if the house broke a promise, or answered nothing at all.
func (t *traffic) verdict(sum *tally) error {
	switch {
	case sum.of(resultBad) > 0:
		return errors.Join(errBadReceipt, t.firstError())
	case sum.of(resultAccepted) == 0 && t.firstError() != nil:
		return fmt.Errorf("no bid was accepted: %w", t.firstError())
	}
	return nil
}
