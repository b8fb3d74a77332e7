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
		terms.Soft.Window *= rapid.Int64Range(1, 2).Draw(t, "extensions in a window")
		id := s.Listed("seller", terms)
		answer := min(terms.Soft.Window, terms.Soft.Extension) - s.Policy.Freshness - terms.TieWindow
		for range rapid.IntRange(1, 25).Draw(t, "bids") {
			state := s.State(id)
			who, amount := rapid.SampledFrom([]string{"honest", "hoarder"}).Draw(t, "who"), state.Least()
			at := max(s.Clock.Time(), state.End()-auction.Time(rapid.Int64Range(-4_000_000, 70_000_000).Draw(t, "to the end")))
			ts := at - auction.Time(rapid.Int64Range(0, s.Policy.Freshness+1).Draw(t, "age of the stamp"))
			head := state.Head()
			if lead := state.Leader; lead != nil {
				head = state.HeadAt(lead.Seq - 1)
				if rapid.Bool().Draw(t, "tie") {
					amount = lead.Amount
					at = max(s.Clock.Time(), lead.Arrival+auction.Time(rapid.Int64Range(0, terms.TieWindow+1).Draw(t, "later")))
					ts = lead.TS - auction.Time(rapid.Int64Range(0, 2).Draw(t, "earlier"))
				}
			}
			s.Clock.Set(at)
			c := auctiontest.Restamped(s.Bid(id, who, amount), ts)
			c.Head = head
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

// A rung is a bid that somebody stamped before a final end and sends after it.
type rung struct {
	who   string
	steps int64 // increments over the lead at the end
	age   int64 // of the stamp at the end, in microseconds
	pause time.Duration
}

// What the sender of a rung is told then, and what all are shown.
type told struct {
	Code     auction.Code
	Seq      uint64
	Recorded bool
	Leader   auction.Bid
	Least    auction.Amount
	Public   auction.Head
	End      auction.Time
}

// At a final end a ladder of hoarded stamps is a choice in the dark. The hoarder
// sees what is public and sends the rungs that the rules still take: what he is
// told, and all are shown, is the same whatever others bid that late, and he
// wins only if his best rung beats theirs.
func TestLaddersWinNothingAtAFinalEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		soft := rapid.Bool().Draw(t, "soft")
		ladder := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) rung {
			return rung{
				who:   rapid.SampledFrom([]string{"hoarder", "anna", "ben"}).Draw(t, "who"),
				steps: rapid.Int64Range(-1, 4).Draw(t, "steps"),
				age:   rapid.Int64Range(1, 4_000_000).Draw(t, "age"),
				pause: time.Duration(rapid.IntRange(0, 100).Draw(t, "pause")) * time.Millisecond,
			}
		}), 1, 9).Draw(t, "rungs")
		one := lateRungs(t, soft, ladder)
		for i := range ladder {
			if ladder[i].who != "hoarder" {
				ladder[i].steps = rapid.Int64Range(-1, 4).Draw(t, "other steps")
			}
		}
		if two := lateRungs(t, soft, ladder); !reflect.DeepEqual(one, two) {
			t.Fatalf("others bid other amounts, and that shows:\n%+v\n%+v", one, two)
		}
	})
}

// lateRungs sends rungs after a final end, checks who wins, and returns what was
// told of each.
func lateRungs(t *rapid.T, soft bool, ladder []rung) []told {
	s := newScene(t)
	s.Tick = 0
	terms := s.Terms()
	if soft {
		terms = s.SoftTerms()
		terms.Soft.Latest = terms.Closes + 1
	}
	id := s.Listed("seller", terms)
	s.Clock.Set(terms.Closes - 10_000_000)
	s.Accept(s.Bid(id, "early", 2000)) // which moves a soft end to the latest
	end := s.State(id)
	if !end.Final() {
		t.Fatal("the end is not final")
	}
	s.Clock.Set(end.End())
	best := *end.Leader
	var all []told
	for _, r := range ladder {
		s.Clock.Advance(r.pause)
		c := s.Bid(id, r.who, end.Leader.Amount+auction.Amount(r.steps)*terms.Increment)
		c.Head = end.Head() // the latest that is public
		c = auctiontest.Restamped(c, end.End()-auction.Time(r.age))
		a, err := s.Send(c)
		state := s.State(id)
		one := told{
			Code: auction.CodeOf(err), Seq: a.Entry.Seq, Leader: *state.Leader, Least: state.Least(),
			Public: state.PublicHead(), End: state.End(),
		}
		if err == nil {
			event, err := auction.ParseEvent(a.Entry.Event)
			if err != nil {
				t.Fatal(err)
			}
			one.Recorded = event.Recorded
			if c.Amount > best.Amount || best.Seq > end.Size() && c.Amount == best.Amount && c.TS < best.TS {
				best = auction.Bid{Seq: a.Entry.Seq, Pseudonym: c.Pseudonym, Amount: c.Amount, TS: c.TS}
			}
		}
		all = append(all, one)
	}
	s.Ended(id)
	if closed := s.State(id).Closed; closed.Winner != best.Pseudonym || closed.Amount != best.Amount {
		t.Fatalf("%d wins, and the best is %d", closed.Amount, best.Amount)
	}
	return all
}
