package evidence

import (
	"sort"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// A Crosscheck holds the time stamps of one log against the order that the log
// itself proves. What is stamped may name a head of the log. Whoever signed it
// then had the entries of that head before them, with all their stamps, so these
// were made before. An authority that states the opposite, by more than both of
// its accuracies, contradicts itself, whatever the true time was.
//
// It remembers 16 bytes of an entry and authority. The zero Crosscheck has seen
// an empty log. It is not safe for concurrent use.
type Crosscheck struct {
	highs map[string][]high // by authority, rising in both members
}

// high is an entry with a stamp that was made later than those of all before it.
type high struct {
	seq      uint64
	earliest auction.Time
}

// Add takes the stamps of the next entry that has some.
func (c *Crosscheck) Add(seq uint64, stamps []tsp.Stamp) {
	for _, s := range stamps {
		highs := c.highs[s.Authority]
		if n := len(highs); n > 0 && highs[n-1].earliest >= s.Earliest() {
			continue
		}
		if c.highs == nil {
			c.highs = make(map[string][]high)
		}
		c.highs[s.Authority] = append(highs, high{seq, s.Earliest()})
	}
}

// A Suspect is an authority whose stamp in the entry seq contradicts a later one.
type Suspect struct {
	Authority string
	Seq       uint64
}

// Find returns the authorities of the given stamps that contradict themselves:
// the stamps are over something that names a head of the first size entries.
func (c *Crosscheck) Find(size uint64, stamps []tsp.Stamp) []Suspect {
	var found []Suspect
	for _, s := range stamps {
		highs := c.highs[s.Authority]
		n := sort.Search(len(highs), func(i int) bool { return highs[i].seq > size })
		if n > 0 && contradict(highs[n-1].earliest, s.Latest()) {
			found = append(found, Suspect{s.Authority, highs[n-1].seq})
		}
	}
	return found
}

// contradict reports whether what was made first is said to be made after what
// was made next.
func contradict(firstEarliest, nextLatest auction.Time) bool { return nextLatest < firstEarliest }
