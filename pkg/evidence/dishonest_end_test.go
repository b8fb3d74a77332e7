package evidence

import (
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// at is so many seconds after the listing of a test's log.
func at(seconds float64) auction.Time { return start + auction.Time(seconds*1e6) }

// TestDishonestSoftClose holds that a house cannot move a soft end but where the
// rules move it: from 40 s, by bids stamped in the 30 s before it, to 8 s after
// their arrival, and not past 60 s.
func TestDishonestSoftClose(t *testing.T) {
	h := newHouse(t, houseOptions{})
	cases := []dishonesty{
		{"an end that moves as it must", "", "", func(l *log) {
			l.bid(l.person(), 1000, at(39), at(39.1))
			l.extend(at(47.1), nil)
			l.bid(l.person(), 2000, at(47), at(48)) // after the end, which was not final
			l.extend(at(56), nil)
			l.bid(l.person(), 3000, at(55), at(55.5))
			l.extend(at(60), nil)
			l.record(l.person(), 4000, at(59), at(60.5))
			l.close(at(66), nil)
		}},
		{"an end that does not move", "where the rules move it", "", func(l *log) {
			l.bid(l.person(), 1000, at(39), at(39.1))
			l.close(at(66), nil)
		}},
		{"an end that moves too far", "where the rules move it", "terms do not allow", func(l *log) {
			l.bid(l.person(), 1000, at(39), at(39.1))
			l.extend(at(53.1), nil)
			l.close(at(66), nil)
		}},
		{"an end that moves not far enough", "where the rules move it", "", func(l *log) {
			l.bid(l.person(), 1000, at(39), at(39.1))
			l.extend(at(47), nil)
			l.close(at(66), nil)
		}},
		{"an end that moves past the latest", "where the rules move it", "terms do not allow", func(l *log) {
			l.bid(l.person(), 1000, at(39), at(39.1))
			l.extend(at(61), nil)
			l.close(at(67), nil)
		}},
		{"a bid before the window that extends", "where the rules move it", "terms do not allow", func(l *log) {
			l.bid(l.person(), 1000, at(8), at(8.1))
			l.extend(at(41), nil)
			l.close(at(66), nil)
		}},
		{"a tie that extends", "where the rules move it", "", func(l *log) {
			head := l.head()
			l.bidAt(l.person(), 1000, head, at(39), at(39.1), false)
			l.extend(at(47.1), nil)
			l.bidAt(l.person(), 1000, head, at(38.9), at(39.2), false)
			l.extend(at(47.2), nil)
			l.close(at(66), nil)
		}},
		{"an extension of no bid", "where the rules move it", "the bid before it", func(l *log) {
			l.bid(l.person(), 1000, at(39), at(39.1))
			l.extend(at(47.1), nil)
			l.extend(at(48), nil)
			l.close(at(66), nil)
		}},
		{"an extension backwards", "does not extend", "does not extend", func(l *log) {
			l.bid(l.person(), 1000, at(39), at(39.1))
			l.extend(at(40), nil)
		}},
		{"a recorded bid at an end that is not final", "do not record", "", func(l *log) {
			l.record(l.person(), 1000, at(39), at(40.1))
			l.close(at(66), nil)
		}},
		{"a close before the end that moved", "auction_open", "auction_open", func(l *log) {
			l.bid(l.person(), 1000, at(39), at(39.1))
			l.extend(at(47.1), nil)
			l.close(at(50), nil)
		}},
	}
	for _, c := range cases {
		c.run(t, h, softTerms(h))
	}
}
