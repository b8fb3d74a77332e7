package auction_test

import (
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Each bound of what an outage must be to count, on both sides of it: it is of
// 30 s, and leaves a minute.
func TestOutageAtTheBounds(t *testing.T) {
	s := newScene(t)
	s.WithOutages()
	id := s.Listed("seller", s.Terms())
	state := s.State(id)
	listed, end := state.Listed, state.End()
	const second = auction.Time(1_000_000)
	for name, test := range map[string]struct {
		from, to auction.Time
		counts   bool
	}{
		"over the end":               {end - 20*second, end + 20*second, true},
		"as short as may be":         {end - 31*second, end - second, true},
		"too short":                  {end - 31*second, end - second - 1, false},
		"just near the end":          {end - 95*second, end - 60*second + 1, true},
		"not near the end":           {end - 95*second, end - 60*second, false},
		"from just before the end":   {end - 1, end + 60*second, true},
		"from the end on":            {end, end + 60*second, false},
		"from the listing on":        {listed, end - second, true},
		"from before the listing":    {listed - 1, end - second, false},
		"backwards":                  {end + 60*second, end - 1, false},
		"beyond all time":            {end - 1, 1<<53 - 60*second, false},
		"until the end of all times": {end - 1, 1<<53 - 60*second - 1, true},
	} {
		o := auction.Outage{From: test.from, To: test.to}
		if _, ok := state.Owed([]auction.Outage{o}); ok != test.counts {
			t.Errorf("%s: counts %v", name, ok)
		}
		event, err := state.OutageEvent(o, o.To)
		if (err == nil) != test.counts || test.counts && event.Ends != o.To+60*second {
			t.Errorf("%s: until %d, %v", name, event.Ends, err)
		}
	}
	over := auction.Outage{From: end - 20*second, To: end + 20*second}
	if _, err := state.OutageEvent(over, over.To-1); auction.CodeOf(err) != auction.CodeUnavailable {
		t.Errorf("an outage that is not over: %v", err)
	}
}

// An outage of a time in which a bid was taken was none, and of two it is the
// first that moves the end.
func TestOutageAmongBids(t *testing.T) {
	s := newScene(t)
	s.WithOutages()
	terms := s.Terms()
	terms.Closes = s.Clock.Time().Add(2 * time.Minute)
	id := s.Listed("seller", terms)
	s.Clock.Advance(time.Minute)
	s.Accept(s.Bid(id, "anna", 1000))
	state := s.State(id)
	bid := state.Bids[0].TS
	reach := auction.Time(auction.MaxPulse.Microseconds() + s.Policy.Skew)
	known := auction.Outage{From: bid - reach, To: bid - reach + auction.Time(time.Minute.Microseconds())}
	if _, ok := state.Owed([]auction.Outage{known}); !ok {
		t.Error("an outage that began before the last bid does not count")
	}
	known.From--
	if _, ok := state.Owed([]auction.Outage{known}); ok {
		t.Error("an outage counts in which a bid was taken")
	}
	first := auction.Outage{From: bid + 1, To: state.End() + 1}
	second := auction.Outage{From: first.To, To: first.To.Add(30 * time.Second)}
	if o, ok := state.Owed([]auction.Outage{known, first, second}); !ok || o != first {
		t.Errorf("owed %+v, %v", o, ok)
	}
}

// What the house signed of an outage counts once in its auction, and only there
// where it is one.
func TestReplayRefusesOutages(t *testing.T) {
	s := newScene(t)
	s.WithOutages()
	terms := s.Terms()
	terms.Closes = s.Clock.Time().Add(40 * time.Second)
	id := s.Listed("seller", terms)
	end := s.State(id).End()
	outage := auction.Outage{From: end.Add(-35 * time.Second), To: end}
	more := auction.Outage{From: end, To: end.Add(35 * time.Second)}
	inside := auction.Outage{From: end - 1, To: end.Add(35 * time.Second)}
	for name, test := range map[string]struct {
		outages []auction.Outage
		late    auction.Time
		want    auction.Code
	}{
		"rightly":          {[]auction.Outage{outage}, 0, ""},
		"two of them":      {[]auction.Outage{outage, more}, 0, ""},
		"twice":            {[]auction.Outage{outage, outage}, 0, auction.CodeBadRequest},
		"twice in part":    {[]auction.Outage{outage, inside}, 0, auction.CodeBadRequest},
		"too far":          {[]auction.Outage{outage}, 1, auction.CodeBadRequest},
		"not far enough":   {[]auction.Outage{outage}, -1, auction.CodeBadRequest},
		"after a new list": {[]auction.Outage{{From: 1, To: end}}, 0, auction.CodeBadRequest},
	} {
		state := s.State(id)
		var err error
		for _, o := range test.outages {
			event := auction.Event{
				Seq: state.Size() + 1, Kind: auction.AuctionExtended, Auction: id, Time: int64(o.To) / 1_000_000,
				Ends:  o.To.Add(time.Minute) + test.late,
				Cause: auction.CauseOutage, Outage: &o, Signature: make([]byte, 64),
			}
			salt := make([]byte, auction.SaltSize)
			private := auction.Private{Arrival: o.To, TS: o.To}.Encode()
			if err = state.Apply(nil, auction.Entry{
				Seq: event.Seq, Event: event.Encode(), Commitment: auction.Commit(salt, private), Salt: salt, Private: private,
			}); err != nil {
				break
			}
		}
		if auction.CodeOf(err) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
