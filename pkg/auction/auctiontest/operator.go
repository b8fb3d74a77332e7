package auctiontest

import (
	"context"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func testOperator(t *testing.T, s *Scene) {
	ctx := context.Background()
	terms := s.SoftTerms()
	id := s.Listed("seller", terms)
	unknown := auction.ID(s.Pseudonym())
	s.refused(s.Extend(ctx, unknown, terms.Closes+1), auction.CodeUnknownAuction)
	s.refused(s.Cancel(ctx, unknown), auction.CodeUnknownAuction)
	s.refused(s.Extend(ctx, id, terms.Closes), auction.CodeBadTerms)
	s.refused(s.Extend(ctx, id, terms.Closes-1), auction.CodeBadTerms) // nobody shortens
	s.refused(s.Extend(ctx, id, s.Clock.Time().Add(auction.MaxOpen)+1), auction.CodeBadTerms)
	s.equal(s.State(id).Size(), uint64(1))

	s.Clock.Set(terms.Closes - 1)
	later := terms.Soft.Latest.Add(time.Second)
	s.ok(s.Extend(ctx, id, later))
	state := s.State(id)
	s.equal(state.End(), later)
	s.equal(state.Final(), true)
	event, err := auction.ParseEvent(s.Log(auction.LogID(id))[1].Event)
	s.ok(err)
	want := auction.Event{
		Seq: 2, Kind: auction.AuctionExtended, Auction: id, Time: int64(terms.Closes-1) / 1_000_000, Ends: later,
		Cause: auction.CauseOperator,
	}
	want.Signature, err = Signer{}.SignNotice(want.Notice())
	s.ok(err)
	s.equal(event, want)
	due, err := s.Due(ctx, later)
	s.ok(err)
	s.equal(len(due), 0)

	s.Clock.Set(terms.Soft.Latest)
	s.Accept(s.Bid(id, "bidder", 1000)) // after the end of the terms
	s.Clock.Set(later)
	s.refused(s.Extend(ctx, id, later.Add(time.Hour)), auction.CodeAuctionEnded) // nobody opens again
	s.Accept(Restamped(s.Bid(id, "late", 2000), later-1))
	s.Clock.Set(later - 1) // a clock that is behind
	s.refused(s.Extend(ctx, id, later.Add(time.Hour)), auction.CodeAuctionEnded)

	s.ok(s.Cancel(ctx, id))
	state = s.State(id)
	s.equal(state.Closed.Outcome, auction.Cancelled)
	s.equal(state.Winner(), (*auction.Bid)(nil))
	_, err = state.Party(Participant("bidder"))
	s.refused(err, auction.CodeNoDisclosure)
	s.refused(s.Cancel(ctx, id), auction.CodeAuctionEnded)
	s.refused(s.Extend(ctx, id, later.Add(time.Hour)), auction.CodeAuctionEnded)
	_, err = s.Send(s.Bid(id, "bidder", 5000))
	s.refused(err, auction.CodeAuctionEnded)
	s.ok(s.Close(ctx, id, state.Head(), Stamps(), later.Add(time.Hour)))
	s.equal(s.State(id), state)
}
