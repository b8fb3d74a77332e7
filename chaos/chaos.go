package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// errOff says that a run found something.
var errOff = errors.New("something is off: see above")

// A tally is what a run comes to.
type tally struct {
	rounds, faults, failovers int
	deeds
	found findings
	took  time.Duration
}

func (t tally) String() string {
	return fmt.Sprintf("rounds %d, faults %d, commands %d, lost %d, doubled %d, gaps %d, other findings %d, "+
		"accepted %d, resent %d, moves %d, failovers %d, seconds %.0f",
		t.rounds, t.faults, t.commands, t.found.count(lost), t.found.count(doubled), t.found.count(gap),
		len(t.found)-t.found.count(lost)-t.found.count(doubled)-t.found.count(gap),
		t.accepted, t.resent, t.moves, t.failovers, t.took.Seconds())
}

// chaos runs rounds until there were enough, or one has a finding. An interrupted
// run tells of the rounds that it finished.
func chaos(ctx context.Context, cfg config, out io.Writer) error {
	dir := cfg.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "sigilo-chaos-"); err != nil {
			return err
		}
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	say := teller(out)
	say("seed %d, %d replicas of the DMS, files in %s", cfg.Seed, cfg.Replicas, dir)
	total, err := rounds(ctx, cfg, dir, say)
	if interrupted := ctx.Err() != nil; interrupted {
		err = nil // by whoever has seen enough
	}
	switch {
	case err != nil:
	case len(total.found) > 0:
		err = errOff
	case !cfg.Double && ctx.Err() == nil:
		err = total.strong()
	}
	if err != nil {
		say("repeat with --seed %d; logs and profiles are in %s", cfg.Seed, dir)
	} else if cfg.Dir == "" {
		err = os.RemoveAll(dir)
	}
	say("%s", total)
	return err
}

// teller writes lines, one at a time.
func teller(out io.Writer) func(string, ...any) {
	var mu sync.Mutex
	start := time.Now()
	return func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, "%7.2f  "+format+"\n", append([]any{time.Since(start).Seconds()}, args...)...)
	}
}

// rounds runs all that a run is told to, until something is off.
func rounds(ctx context.Context, cfg config, dir string, say func(string, ...any)) (total tally, err error) {
	if err := build(ctx, dir); err != nil {
		return total, err
	}
	each := say
	if !cfg.Verbose {
		each = func(string, ...any) {}
	}
	began := time.Now()
	for _, shape := range cfg.shapes() {
		hold := roundsOf
		if cfg.Double {
			hold = doublesOf
		}
		err := hold(ctx, shape, filepath.Join(dir, shape.Redis), dir, each, say, &total)
		total.took = time.Since(began)
		if err != nil || len(total.found) > 0 {
			return total, err
		}
	}
	return total, nil
}

// roundsOf holds rounds in one house with one shape of Redis.
func roundsOf(ctx context.Context, cfg config, dir, bin string, each, say func(string, ...any), total *tally) error {
	r, err := open(ctx, cfg, dir, bin, each)
	if err != nil {
		return err
	}
	defer r.end()
	say("%s Redis", cfg.Redis)
	began := time.Now()
	for n := 1; cfg.more(n, began) && len(total.found) == 0; n++ {
		if err := r.one(ctx, n, cfg.Seed+uint64(n), total, say); err != nil {
			return err
		}
	}
	found, err := r.again(ctx)
	if err != nil {
		return err
	}
	say("%d auctions audited again, after all rounds: %d findings", len(r.over)*lots, len(found))
	for _, f := range found {
		say("  %s", f)
	}
	total.found = append(total.found, found...)
	return nil
}

// more reports whether round n of a run is to be begun.
func (c config) more(n int, began time.Time) bool {
	return (c.Rounds == 0 || n <= c.Rounds) && time.Since(began) < c.For
}

// open starts a house in dir and enrols its crowd.
func open(ctx context.Context, cfg config, dir, bin string, say func(string, ...any)) (*run, error) {
	h, err := startHouse(ctx, dir, bin, cfg)
	if err != nil {
		h.stop()
		return nil, fmt.Errorf("start the house: %w", err)
	}
	r, err := newRun(ctx, h, dir, cfg.Seed, say)
	if err != nil {
		r.end()
		return nil, fmt.Errorf("people enrol: %w", err)
	}
	return r, nil
}

// doublesOf holds rounds of two faults at once, each in a house of its own: one
// whose auctions are suspended is of no more use.
func doublesOf(ctx context.Context, cfg config, dir, bin string, each, say func(string, ...any), total *tally) error {
	say("%s Redis", cfg.Redis)
	began := time.Now()
	for n := 1; cfg.more(n, began) && len(total.found) == 0; n++ {
		r, err := open(ctx, cfg, filepath.Join(dir, fmt.Sprint("house", n)), bin, each)
		if err != nil {
			return err
		}
		gone, found, err := r.double(ctx)
		r.end()
		if err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
		total.rounds, total.faults = total.rounds+1, total.faults+2
		total.commands += 1 + keptBids + lostBids
		total.found = append(total.found, found...)
		say("round %d: %d acknowledged entries are gone, left in the dark: %d", n, gone, len(found))
		for _, f := range found {
			say("  %s", f)
		}
	}
	return nil
}

// one holds a round, audits it, and adds it to the tally.
func (r *run) one(ctx context.Context, n int, seed uint64, total *tally, say func(string, ...any)) error {
	held, err := r.round(ctx, n, seed)
	if err != nil {
		return fmt.Errorf("round %d: %w", n, err)
	}
	record, err := r.read(ctx, held)
	if err != nil {
		return fmt.Errorf("round %d: %w", n, err)
	}
	found := audit(record)
	done := record.deeds()
	total.rounds++
	total.faults += held.faults
	total.failovers += held.failovers
	total.deeds = total.plus(done)
	total.found = append(total.found, found...)
	say("round %d: %d faults (%s), %d commands, %d accepted, %d resent, lost %d, doubled %d, gaps %d, %.0f s", n,
		held.faults, held.each, done.commands, done.accepted, done.resent, found.count(lost), found.count(doubled), found.count(gap), held.took.Seconds())
	for _, f := range found {
		say("  %s", f)
	}
	r.forget(held)
	r.over = append(r.over, record)
	return nil
}
