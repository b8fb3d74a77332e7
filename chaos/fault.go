package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A fault is one way to break a part.
type fault string

// Faults. All but the first two hit ways.
const (
	faultKill    fault = "kill"    // kill -9, and started again
	faultStop    fault = "stop"    // SIGSTOP, and SIGCONT
	faultCut     fault = "cut"     // connections end, and new ones too
	faultSilence fault = "silence" // connections stay, and deliver nothing
	faultDelay   fault = "delay"   // connections deliver late
)

const (
	shortestFault = 100 * time.Millisecond
	longestFault  = 2500 * time.Millisecond // longer than a call may be old when Redis comes to it
	// unmissed is for how long a server may be stopped before Sentinels begin to
	// replace it, with room to spare. It must not wake while they do: what it and the
	// replica that is told last take meanwhile is lost, and Redis knows no way round
	// that (docs/reliability.md).
	unmissed     = time.Second
	longestPause = 3 * time.Second
	longestDelay = 300 * time.Millisecond
)

// A storm breaks the parts of a house: one of the database and one of the
// services at a time, the two independently of each other.
type storm struct {
	house *house
	say   func(format string, args ...any) // of each fault

	failovers int // owned by who breaks the database

	mu    sync.Mutex
	count map[string]int // by fault and part; guarded by mu
}

// blow breaks parts until ctx ends, mends the last, and returns once all of the
// house is healthy. An error is of a part that does not come back within whole.
func (s *storm) blow(ctx, whole context.Context, seed uint64) error {
	var blowing errgroup.Group
	blowing.Go(func() error {
		d := s.house.database
		last, err := d.Primary(whole, houseKey)
		if err != nil {
			return err
		}
		settle := func(ctx context.Context) error {
			if err := d.Settle(ctx); err != nil {
				return err
			}
			now, err := d.Primary(ctx, houseKey)
			if err == nil && now != last {
				s.failovers++
				last = now
			}
			return err
		}
		return s.loop(ctx, whole, rand.New(rand.NewPCG(seed, 1)), d.pick, settle)
	})
	blowing.Go(func() error {
		any := func(_ context.Context, random *rand.Rand) *part {
			return s.house.services[random.IntN(len(s.house.services))]
		}
		return s.loop(ctx, whole, rand.New(rand.NewPCG(seed, 2)), any, nil)
	})
	if err := blowing.Wait(); err != nil {
		return err
	}
	return s.house.healthy(whole)
}

// loop breaks one part after another. It goes on when the one is whole again, or
// where settle is given, when that returns.
func (s *storm) loop(
	ctx, whole context.Context, random *rand.Rand,
	pick func(context.Context, *rand.Rand) *part, settle func(context.Context) error,
) error {
	for pause(ctx, between(random, 0, longestPause)) {
		p := pick(whole, random)
		f, w := p.fault(random)
		hold := between(random, shortestFault, longestFault)
		what := s.note(f, p, w)
		s.say("%s for %v", what, hold.Round(time.Millisecond))
		delay := between(random, longestDelay/10, longestDelay)
		if err := p.suffer(ctx, whole, f, w, hold, delay); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		again := settle
		if again == nil {
			again = func(ctx context.Context) error { return await(ctx, p.name, p.ready) }
		}
		if err := again(whole); err != nil {
			return fmt.Errorf("after %s: %w", what, err)
		}
	}
	return nil
}

// fault chooses what the part suffers, and on which of its ways where it is one of
// those. A primary is not made late to its Sentinels: they would replace it while
// it lives, which is more than one fault.
func (p *part) fault(random *rand.Rand) (fault, way) {
	faults := []fault{faultKill, faultStop, faultCut, faultSilence, faultDelay}
	f := faults[random.IntN(len(faults))]
	if f == faultKill || f == faultStop {
		return f, way{}
	}
	for {
		w := p.ways[random.IntN(len(p.ways))]
		if f != faultDelay || !w.missed {
			return f, w
		}
	}
}

// suffer breaks the part, for hold or until ctx ends, and mends it. w is what a
// fault of ways hits, and delay how late it makes them.
func (p *part) suffer(ctx, whole context.Context, f fault, w way, hold, delay time.Duration) error {
	switch f {
	case faultKill:
		p.process.Kill()
		pause(ctx, hold)
		return p.process.Restart()
	case faultStop:
		if err := p.process.Suspend(); err != nil {
			return err
		}
		began := time.Now()
		pause(ctx, hold)
		var err error
		if p.replaced != nil && time.Since(began) > unmissed {
			err = p.replaced(whole)
		}
		return errors.Join(err, p.process.Resume())
	}
	if err := w.breakAs(f, delay); err != nil {
		return err
	}
	pause(ctx, hold)
	var err error
	if w.missed {
		err = p.replaced(whole)
	}
	w.mend(whole)
	return err
}

// breakAs breaks all links of the way.
func (w way) breakAs(f fault, delay time.Duration) error {
	for _, l := range w.links {
		var err error
		switch f {
		case faultCut:
			l.cut()
		case faultSilence:
			err = l.poison(toxicSilence, 0)
		case faultDelay:
			err = l.poison(toxicDelay, delay)
		default:
			err = errors.New("no such fault of ways")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mend undoes whatever broke it.
func (w way) mend(ctx context.Context) {
	for _, l := range w.links {
		l.cure(ctx)
		l.mend()
	}
}

// note counts a fault, and returns its name.
func (s *storm) note(f fault, p *part, w way) string {
	what := string(f) + " " + strings.TrimRight(p.name, "0123456789") + w.name
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[what]++
	return what
}

// counts returns how many faults there were, and how many of each.
func (s *storm) counts() (total int, each string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var words []string
	for _, name := range slices.Sorted(maps.Keys(s.count)) {
		total += s.count[name]
		words = append(words, fmt.Sprintf("%s %d", name, s.count[name]))
	}
	return total, strings.Join(words, ", ")
}

// pause waits, and reports whether ctx has not ended before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func between(random *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(random.Int64N(int64(to-from)))
}
