package evidence

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// step is something stamped over a head of the first head entries. Those with an
// entry become the next one.
type step struct {
	head   uint64
	stamps []tsp.Stamp
	entry  bool
}

// steps draws a log and what was stamped over it, as things happen in the world:
// first the head is seen, then the stamps are made, at a moment each, and then
// the entry is appended. clock says what an authority states of a moment.
func steps(t *rapid.T, clock func(authority int, real auction.Time) auction.Time) []step {
	accuracy := time.Duration(rapid.Int64Range(1, 2_000_000).Draw(t, "accuracy")) * time.Microsecond
	authorities := rapid.IntRange(1, 4).Draw(t, "authorities")
	now := start
	waits := func(name string) auction.Time {
		return auction.Time(rapid.SampledFrom([]int64{0, 1, 1000, 100_000, 3_000_000}).Draw(t, name))
	}
	type pending struct {
		step
		at auction.Time // when it is appended
	}
	var flying []pending
	var out []step
	size := uint64(0)
	for range rapid.IntRange(1, 30).Draw(t, "steps") {
		now += waits("pause")
		for len(flying) > 0 && flying[0].at <= now {
			out = append(out, flying[0].step)
			size++
			flying = flying[1:]
		}
		p := pending{step: step{head: size, entry: true}}
		for a := range authorities {
			if a > 0 && rapid.Bool().Draw(t, "left out") {
				continue
			}
			p.stamps = append(p.stamps, tsp.Stamp{
				Authority: fmt.Sprint("clock ", a), Accuracy: accuracy, Time: clock(a, now+waits("stamping")),
			})
		}
		// At the earliest when all stamps are there.
		p.at = now + 3_000_000 + waits("way")
		flying = append(flying, p)
		slices.SortStableFunc(flying, func(a, b pending) int { return int(a.at - b.at) })
	}
	return out
}

// An authority whose clock is as good as it says is never suspected, whatever
// its clock does within its accuracy and in whatever order things arrive.
func TestHonestAuthorityIsNeverSuspected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Crosscheck
		seq := uint64(0)
		for _, s := range steps(t, func(_ int, real auction.Time) auction.Time { return real }) {
			for i := range s.stamps {
				off := int64(s.stamps[i].Accuracy / time.Microsecond)
				s.stamps[i].Time += auction.Time(rapid.Int64Range(-off, off).Draw(t, "off"))
			}
			if found := c.Find(s.head, s.stamps); len(found) > 0 {
				t.Fatalf("suspected: %+v of %+v", found, s)
			}
			seq++
			c.Add(seq, s.stamps)
		}
	})
}

// Whatever clocks say, what is found is what a comparison of all pairs finds.
func TestCrosscheckFindsEveryPair(t *testing.T) {
	all := 0
	rapid.Check(t, func(t *rapid.T) {
		clock := func(_ int, real auction.Time) auction.Time {
			return real + auction.Time(rapid.Int64Range(-6_000_000, 6_000_000).Draw(t, "wrong"))
		}
		var c Crosscheck
		var log [][]tsp.Stamp
		for _, s := range steps(t, clock) {
			want := map[string]bool{}
			for _, first := range log[:s.head] {
				for _, a := range first {
					for _, b := range s.stamps {
						if a.Authority == b.Authority && b.Time.Add(b.Accuracy) < a.Time.Add(-a.Accuracy) {
							want[a.Authority] = true
						}
					}
				}
			}
			found := c.Find(s.head, s.stamps)
			all += len(found)
			if len(found) != len(want) {
				t.Fatalf("found %+v, want %v", found, want)
			}
			for _, f := range found {
				if !want[f.Authority] || f.Seq > s.head {
					t.Fatalf("found %+v of %v in a head of %d", f, want, s.head)
				}
			}
			log = append(log, s.stamps)
			c.Add(uint64(len(log)), s.stamps)
		}
	})
	if all == 0 {
		t.Error("no clock was wrong enough: the test tests nothing")
	}
}
