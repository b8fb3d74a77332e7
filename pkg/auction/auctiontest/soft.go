package auctiontest

import (
	"context"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// SoftTerms are terms with a soft close: window and extension of a minute, and a
// latest end ten minutes after the end.
func (s *Scene) SoftTerms() auction.Terms {
	terms := s.Terms()
	minute := time.Minute.Microseconds()
	terms.Soft = &auction.SoftClose{Window: minute, Extension: minute, Latest: terms.Closes + auction.Time(10*minute)}
	return terms
}

// The window may be longer than the extension: then a bid that moves the end is
// followed by some that are stamped inside the window too.
func testSoftClose(t *testing.T, s *Scene) {
	s.Tick = 0
	for _, extensions := range []int64{1, 2} {
		terms := s.SoftTerms()
		terms.Soft.Window = extensions * terms.Soft.Extension
		softClose(t, s, terms)
	}
}

func softClose(t *testing.T, s *Scene, terms auction.Terms) {
	id := s.Listed("seller", terms)
	s.Clock.Set(terms.Closes - auction.Time(terms.Soft.Window) - 1)
	s.Accept(s.Bid(id, "anna", 1000)) // a microsecond before the window
	s.equal(s.State(id).End(), terms.Closes)

	s.Clock.Set(terms.Closes - auction.Time(terms.Soft.Extension))
	raise := s.Bid(id, "ben", 2000)
	s.Clock.Advance(time.Second)
	first := s.Accept(raise)
	moved := s.Clock.Time() + auction.Time(terms.Soft.Extension)
	s.equal(s.State(id).End(), moved)
	log := s.Log(auction.LogID(id))
	s.equal(len(log), 4)
	s.equal(log[2], first.Entry)
	want := auction.Event{
		Seq: 4, Kind: auction.AuctionExtended, Auction: id, Time: int64(raise.TS) / 1_000_000, Ends: moved, Cause: auction.CauseBid,
	}
	s.equal(string(log[3].Event), string(want.Encode()))
	s.equal(log[3].Commitment, first.Entry.Commitment)
	s.equal(s.Accept(raise).Entry, first.Entry) // again: nothing more
	s.equal(s.State(id).Size(), uint64(4))

	// A tie takes the lead, a low bid nothing; neither extends.
	s.Clock.Set(moved - 1_000_000)
	s.Accept(s.Bid(id, "anna", 3000))
	moved = s.State(id).End()
	tie := s.Bid(id, "carl", 3000)
	tie = Restamped(tie, tie.TS-1)
	s.Clock.Advance(time.Second)
	s.Accept(tie)
	_, err := s.Send(s.Bid(id, "carl", 3001))
	s.refused(err, auction.CodeBidTooLow)
	s.equal(s.State(id).End(), moved)
	s.equal(s.State(id).Leader.Pseudonym, tie.Pseudonym)

	// Stamped before a soft end, arriving after it: judged at once.
	s.Clock.Set(moved + 1)
	late := s.Accept(Restamped(s.Bid(id, "ben", 4000), moved-1))
	ev, err := auction.ParseEvent(late.Entry.Event)
	s.ok(err)
	s.equal(ev.Recorded, false)
	s.equal(s.State(id).Leader.Amount, auction.Amount(4000))
	due, err := s.Due(context.Background(), s.State(id).End())
	s.ok(err)
	s.equal(len(due), 0)

	// The latest end is final.
	for amount := auction.Amount(5000); s.State(id).End() < terms.Soft.Latest; amount += 50 {
		s.Clock.Set(s.State(id).End() - 1)
		s.Accept(s.Bid(id, "anna", amount))
	}
	s.equal(s.State(id).End(), terms.Soft.Latest)
	s.equal(s.State(id).Final(), true)
	s.Clock.Set(terms.Soft.Latest)
	last := s.Accept(Restamped(s.Bid(id, "ben", 9000), terms.Soft.Latest-1))
	ev, err = auction.ParseEvent(last.Entry.Event)
	s.ok(err)
	s.equal(ev.Recorded, true)
	s.Ended(id)
	s.equal(s.State(id).Closed.Amount, auction.Amount(9000))
}
