package auction_test

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
)

func newScene(t auctiontest.TB) *auctiontest.Scene {
	clock := auctiontest.NewClock()
	return auctiontest.NewScene(t, "rules", auction.NewMemory(clock.Now, auctiontest.Signer{}, auctiontest.Zeros{}), clock)
}

// Each bound of the rules, on both sides of it.
func TestJudgeBidAtTheBounds(t *testing.T) {
	s := newScene(t)
	id := s.Listed("seller", s.Terms())
	s.Clock.Advance(time.Minute)
	s.Accept(s.Bid(id, "leader", 2000))
	state := s.State(id)
	end, lead := state.End(), *state.Leader
	const second = 1_000_000
	bid := func(amount auction.Amount, ts, arrival auction.Time, head uint64) auction.Verdict {
		c := s.Bid(id, "bidder", amount)
		c.Head = state.HeadAt(head)
		return state.JudgeBid(auctiontest.Restamped(c, ts), arrival)
	}
	low := auction.Verdict{Code: auction.CodeBidTooLow, Least: 2050}
	for name, test := range map[string]struct {
		got, want auction.Verdict
	}{
		"least":                        {bid(2050, lead.TS+1, lead.Arrival+1, 2), auction.Verdict{}},
		"below the least":              {bid(2049, lead.TS+1, lead.Arrival+1, 2), low},
		"the highest, stamped later":   {bid(2000, lead.TS+1, lead.Arrival+1, 2), low},
		"the highest, stamped then":    {bid(2000, lead.TS, lead.Arrival+1, 2), low},
		"the highest, stamped before":  {bid(2000, lead.TS-1, lead.Arrival+1, 2), auction.Verdict{}},
		"at the end of the tie window": {bid(2000, lead.TS-1, lead.Arrival+second, 2), auction.Verdict{}},
		"after the tie window":         {bid(2000, lead.TS-1, lead.Arrival+second+1, 2), low},
		"last fresh arrival":           {bid(2050, lead.TS, lead.TS+5*second, 2), auction.Verdict{}},
		"arrival too late":             {bid(2050, lead.TS, lead.TS+5*second+1, 2), auction.Verdict{Code: auction.CodeStampTooOld}},
		"stamp ahead by the skew":      {bid(2050, lead.Arrival+second/2, lead.Arrival, 2), auction.Verdict{}},
		"stamp ahead by more":          {bid(2050, lead.Arrival+second/2+1, lead.Arrival, 2), auction.Verdict{Code: auction.CodeStampInFuture}},
		"arrival before the last":      {bid(2050, lead.Arrival+second/2, lead.Arrival-second, 2), auction.Verdict{}},
		"head younger by the skew":     {bid(2050, lead.Arrival-second/2, lead.Arrival, 2), auction.Verdict{}},
		"head younger by more":         {bid(2050, lead.Arrival-second/2-1, lead.Arrival, 2), auction.Verdict{Code: auction.CodeHeadInFuture}},
		"head replaced just now":       {bid(2050, lead.Arrival+5*second, lead.Arrival+5*second, 1), auction.Verdict{}},
		"head replaced before":         {bid(2050, lead.Arrival+5*second+1, lead.Arrival+5*second+1, 1), auction.Verdict{Code: auction.CodeStaleHead}},
		"last stamp, arrives in time":  {bid(2050, end-1, end-1, 2), auction.Verdict{}},
		"last stamp, arrives at end":   {bid(2050, end-1, end, 2), auction.Verdict{Recorded: true}},
		"stamped at the end":           {bid(2050, end, end, 2), auction.Verdict{Code: auction.CodeAuctionEnded}},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, test.got, test.want)
		}
	}
	young := s.State(s.Listed("seller", s.Terms()))
	c := s.Bid(young.ID, "bidder", 1000)
	for ts, want := range map[auction.Time]auction.Code{young.Listed: auction.CodeBeforeListing, young.Listed + 1: ""} {
		if got := young.JudgeBid(auctiontest.Restamped(c, ts), ts); got.Code != want {
			t.Errorf("stamped %d after the listing: got %q, want %q", ts-young.Listed, got.Code, want)
		}
	}
}

func TestTieWindowOfZero(t *testing.T) {
	s := newScene(t)
	terms := s.Terms()
	terms.TieWindow = 0
	id := s.Listed("seller", terms)
	s.Clock.Advance(time.Second)
	s.Accept(s.Bid(id, "first", 1000))
	state := s.State(id)
	c := s.Bid(id, "earlier", 1000)
	c = auctiontest.Restamped(c, state.Leader.TS-1)
	if v := state.JudgeBid(c, state.Leader.Arrival); v.Code != auction.CodeBidTooLow {
		t.Errorf("the first in the log does not win: %+v", v)
	}
}

// Within the tie window, the same bids in whatever order they arrive give the
// same winner: the highest, and among equals the one with the earliest stamp.
// The amounts are increments apart, and no two stamps are of one time.
func TestWinnerDoesNotDependOnDelivery(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newScene(t)
		s.Tick = 0
		terms := s.Terms()
		terms.TieWindow = 2_000_000
		id := s.Listed("seller", terms)
		offsets := rapid.SliceOfNDistinct(rapid.Int64Range(1, 500_000), 2, 12, rapid.ID).Draw(t, "stamps")
		var bids []auction.Command
		for _, offset := range offsets {
			steps := rapid.Int64Range(0, 3).Draw(t, "steps")
			c := s.Bid(id, rapid.SampledFrom([]string{"anna", "ben"}).Draw(t, "who"), auction.Amount(1000+50*steps))
			bids = append(bids, auctiontest.Restamped(c, s.Clock.Time()+auction.Time(offset)))
		}
		best := bids[0]
		for _, c := range bids {
			if c.Amount > best.Amount || c.Amount == best.Amount && c.TS < best.TS {
				best = c
			}
		}
		s.Clock.Advance(500 * time.Millisecond)
		for _, c := range rapid.Permutation(bids).Draw(t, "delivery") {
			s.Clock.Advance(time.Duration(rapid.IntRange(0, 100).Draw(t, "later")) * time.Millisecond)
			if _, err := s.Send(c); err != nil && auction.CodeOf(err) != auction.CodeBidTooLow {
				t.Fatal(err)
			}
		}
		if w := s.State(id).Winner(); w.Pseudonym != best.Pseudonym {
			t.Fatalf("%d at %d won, not %d at %d", w.Amount, w.TS, best.Amount, best.TS)
		}
	})
}

// What bidders are told about bids after the end does not depend on their
// values, nor do the entries but for the amount; the close does.
func TestRecordedBidsTellNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type seen struct {
			Err       string
			Seq       uint64
			Recorded  bool
			Leader    auction.Bid
			Least     auction.Amount
			PublicLog auction.Head
		}
		late := rapid.SliceOfN(rapid.IntRange(0, 1), 1, 8).Draw(t, "late")
		run := func(label string) []seen {
			s := newScene(t)
			id := s.Listed("seller", s.Terms())
			s.Accept(s.Bid(id, "anna", 2000))
			s.Clock.Set(s.State(id).End())
			var all []seen
			for _, who := range late {
				amount := auction.Amount(rapid.Int64Range(1, int64(auction.MaxAmount)).Draw(t, label))
				c := s.Bid(id, []string{"anna", "ben"}[who], amount)
				a, err := s.Send(auctiontest.Restamped(c, s.State(id).End()-1))
				state := s.State(id)
				one := seen{Seq: a.Entry.Seq, Leader: *state.Leader, Least: state.Least(), PublicLog: state.PublicHead()}
				if err != nil {
					one.Err = err.Error()
				} else if e, err := auction.ParseEvent(a.Entry.Event); err == nil {
					one.Recorded = e.Recorded
				}
				all = append(all, one)
			}
			return all
		}
		if one, two := run("one"), run("two"); !reflect.DeepEqual(one, two) {
			t.Fatalf("other values, other answers:\n%+v\n%+v", one, two)
		}
	})
}

// Recorded bids are judged at the close by their stamps, not by their order in
// the log, and judging them changes nothing.
func TestWinnerIsAFunctionOfTheLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newScene(t)
		s.Tick = 0
		id := s.Listed("seller", s.Terms())
		if rapid.Bool().Draw(t, "a bid in time") {
			s.Clock.Advance(time.Second)
			s.Accept(s.Bid(id, "anna", 1500))
		}
		end := s.State(id).End()
		s.Clock.Set(end)
		names := []string{"ben", "carl", "dora", "emil"}
		stamps := rapid.SliceOfNDistinct(rapid.Int64Range(1, 4_000_000), 1, len(names), rapid.ID).Draw(t, "stamps")
		var bids []auction.Command
		for i, stamp := range stamps {
			amount := auction.Amount(rapid.Int64Range(900, 2000).Draw(t, "amount"))
			bids = append(bids, auctiontest.Restamped(s.Bid(id, names[i], amount), end-auction.Time(stamp)))
		}
		for _, c := range rapid.Permutation(bids).Draw(t, "delivery") {
			s.Accept(c)
		}
		state := s.State(id)
		before := *state
		winner := state.Winner()
		if !reflect.DeepEqual(*state, before) || !reflect.DeepEqual(state.Winner(), winner) {
			t.Fatal("judging the winner has changed the state, or the next judgement")
		}
		s.Ended(id)
		closed := s.State(id).Closed
		switch {
		case winner == nil && closed.Outcome != auction.Unsold,
			winner != nil && (closed.Winner != winner.Pseudonym || closed.Amount != winner.Amount):
			t.Fatalf("the record says %+v, the rules %+v", closed, winner)
		}
		s.CheckLogs()
	})
}

// A log that is not one does not replay.
func TestReplayRefuses(t *testing.T) {
	s := newScene(t)
	id, other := s.Listed("seller", s.Terms()), s.Listed("seller", s.Terms())
	s.Accept(s.Bid(id, "anna", 1000))
	s.Accept(s.Bid(id, "ben", 2000))
	s.Ended(id)
	log, foreign := s.Log(auction.LogID(id)), s.Log(auction.LogID(other))
	house, err := s.House(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	renumbered := func(e auction.Entry, seq uint64) auction.Entry {
		ev, err := auction.ParseEvent(e.Event)
		if err != nil {
			t.Fatal(err)
		}
		e.Seq, e.Event = seq, auction.JoinEvent(seq, ev.Tail())
		return e
	}
	spoiled := log[1]
	spoiled.Private = append([]byte{1}, spoiled.Private...)
	for name, entries := range map[string][]auction.Entry{
		"a gap":                    {log[0], log[2]},
		"no listing":               {renumbered(log[1], 1)},
		"two listings":             {log[0], renumbered(foreign[0], 2)},
		"a number not the event's": {log[0], {Seq: 2, Event: log[2].Event, Commitment: log[2].Commitment}},
		"another private part":     {log[0], spoiled},
		"after the close":          append(log[:4:4], renumbered(log[1], 5)),
		"another final head":       {log[0], log[1], renumbered(log[3], 3)},
		"an event of the house":    {s.Log(auction.HouseLog)[0]},
	} {
		if _, err := auction.Replay(house.Policies, entries); err == nil {
			t.Errorf("%s: replays", name)
		}
	}
	if _, err := auction.Replay(nil, log); auction.CodeOf(err) != auction.CodeUnknownPolicy {
		t.Errorf("without the policy: %v", err)
	}
	var public []auction.Entry
	for _, e := range log {
		public = append(public, e.Public())
	}
	seen, err := auction.Replay(house.Policies, public)
	if err != nil || seen.Head() != s.State(id).Head() || seen.Closed.Winner != s.State(id).Closed.Winner {
		t.Errorf("the public log replays to something else: %v", err)
	}
	if seen.Seller != (auction.Participant{}) || seen.Leader.Participant != (auction.Participant{}) {
		t.Error("the public log names a participant")
	}
}
