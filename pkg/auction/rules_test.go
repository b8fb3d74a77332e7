package auction_test

import (
	"context"
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

// Whoever is outbid before a final end has time to answer: a ladder of stamps
// that somebody hoards wins nothing at a soft end. The hoarder sees all, stamps
// every microsecond, and sends what the rules still take; nobody keeps the end of
// an auction from coming by ties or by bids that are refused.
func TestLaddersWinNothingAtASoftEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newScene(t)
		s.Tick = 0
		terms := s.SoftTerms()
		terms.TieWindow = rapid.SampledFrom([]int64{0, 1, 1_000_000}).Draw(t, "tie window")
		id := s.Listed("seller", terms)
		answer := min(terms.Soft.Window, terms.Soft.Extension) - s.Policy.Freshness - terms.TieWindow
		for range rapid.IntRange(1, 25).Draw(t, "bids") {
			state := s.State(id)
			s.Clock.Set(max(s.Clock.Time(), state.End()-auction.Time(rapid.Int64Range(-4_000_000, 70_000_000).Draw(t, "to the end"))))
			who, amount := rapid.SampledFrom([]string{"honest", "hoarder"}).Draw(t, "who"), state.Least()
			if state.Leader != nil && rapid.Bool().Draw(t, "tie") {
				amount = state.Leader.Amount
			}
			age := rapid.Int64Range(0, s.Policy.Freshness+1).Draw(t, "age of the stamp")
			c := auctiontest.Restamped(s.Bid(id, who, amount), s.Clock.Time()-auction.Time(age))
			if state.Leader != nil {
				c.Head = state.HeadAt(state.Leader.Seq - 1)
			}
			_, err := s.Send(c)
			after := s.State(id)
			left := int64(after.End() - max(s.Clock.Time(), state.Arrival()))
			switch raises := state.Leader == nil || amount > state.Leader.Amount; {
			case (err != nil || !raises) && after.End() != state.End():
				t.Fatal("a bid that does not raise the price has moved the end")
			case err == nil && !after.Final() && left < answer:
				t.Fatalf("the lead changed %d us before the end, less than %d", left, answer)
			}
		}
	})
}

// A bid that arrives at a soft end or after it, and raises the price, moves the
// end by the whole extension, or to the latest one, however long the freshness
// is: nobody's last word can be a reaction. Terms under which it could are refused.
func TestARaiseAfterASoftEndMovesIt(t *testing.T) {
	lengths := rapid.SampledFrom([]int64{1, 59_999_999, 60_000_000, 60_000_000, 60_000_001, 90_000_000})
	rapid.Check(t, func(t *rapid.T) {
		s := newScene(t)
		s.Tick = 0
		s.Policy.Freshness = rapid.Int64Range(1, 60_000_000).Draw(t, "freshness")
		s.Policy.Grace = s.Policy.Freshness
		var err error
		if s.Doc, err = s.Policy.Encode(); err != nil {
			t.Fatal(err)
		}
		if err := s.Adopt(context.Background(), s.Doc); err != nil {
			t.Fatal(err)
		}
		terms := s.SoftTerms()
		terms.Soft.Window, terms.Soft.Extension = lengths.Draw(t, "window"), lengths.Draw(t, "extension")
		terms.Soft.Latest = terms.Closes + auction.Time(rapid.Int64Range(1, 600_000_000).Draw(t, "latest"))
		if _, err := terms.Encode(); err != nil {
			return
		}
		id := s.Listed("seller", terms)
		for range 5 {
			before := s.State(id)
			late := rapid.Int64Range(0, s.Policy.Freshness-1).Draw(t, "after the end")
			age := rapid.Int64Range(late+1, s.Policy.Freshness).Draw(t, "age of the stamp")
			s.Clock.Set(before.End() + auction.Time(late))
			_, err := s.Send(auctiontest.Restamped(s.Bid(id, "bidder", before.Least()), s.Clock.Time()-auction.Time(age)))
			least := min(terms.Soft.Latest, before.End()+auction.Time(terms.Soft.Extension))
			if moved := s.State(id).End(); err == nil && !before.Final() && moved < least {
				t.Fatalf("a raise %d us after the end moved it by %v", late, moved.Sub(before.End()))
			}
		}
	})
}
