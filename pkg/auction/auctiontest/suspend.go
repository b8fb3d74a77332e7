package auctiontest

import (
	"context"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// lost names an entry that no log has.
func lost(seq uint64) auction.Lost { return auction.Lost{Seq: seq, Leaf: auction.Hash{byte(seq), 1}} }

func testSuspend(t *testing.T, s *Scene) {
	ctx := context.Background()
	terms := s.Terms()
	id := s.Listed("seller", terms)
	bid := s.Bid(id, "anna", 1000)
	entry := s.Accept(bid)
	s.refused(s.Suspend(ctx, auction.ID(s.Pseudonym()), lost(1)), auction.CodeUnknownAuction)
	there := auction.Lost{Seq: entry.Receipt.Seq, Leaf: entry.Receipt.Leaf}
	s.refused(s.Suspend(ctx, id, there), auction.CodeBadRequest)
	s.refused(s.Suspend(ctx, id, auction.Lost{Leaf: auction.Hash{1}}), auction.CodeBadRequest)
	s.refused(s.Resume(ctx, id, 0), auction.CodeBadRequest)
	s.equal(s.State(id).Size(), uint64(2))

	since := s.Clock.Time()
	s.ok(s.Suspend(ctx, id, lost(2)))
	s.ok(s.Suspend(ctx, id, lost(2))) // known
	s.ok(s.Suspend(ctx, id, lost(9)))
	s.refused(s.Suspend(ctx, id, there), auction.CodeBadRequest)
	state := s.State(id)
	s.equal(state.Suspended(), true)
	s.equal(state.Lost, []auction.Lost{lost(2), lost(9)})
	s.equal(state.Size(), uint64(4))
	event, err := auction.ParseEvent(s.Log(auction.LogID(id))[2].Event)
	s.ok(err)
	named := lost(2)
	want := auction.Event{
		Seq: 3, Kind: auction.AuctionSuspended, Auction: id, Time: int64(since) / 1_000_000, Lost: &named,
	}
	want.Signature, err = Signer{}.SignNotice(want.Notice())
	s.ok(err)
	s.equal(event, want)

	// Nothing is taken, and what was taken before gets its answer.
	refused := s.Bid(id, "ben", 2000)
	_, err = s.Send(refused)
	s.refused(err, auction.CodeSuspended)
	_, err = s.Send(s.Withdrawal(id, "seller"))
	s.refused(err, auction.CodeSuspended)
	s.refused(s.Extend(ctx, id, terms.Closes.Add(time.Hour)), auction.CodeSuspended)
	again, err := s.Send(bid)
	s.ok(err)
	s.equal(again.Receipt.Seq, entry.Receipt.Seq)
	s.Clock.Set(terms.Closes.Add(time.Hour))
	state = s.State(id)
	s.refused(s.Close(ctx, id, state.Head(), Stamps(), s.Clock.Time()), auction.CodeSuspended)
	s.equal(s.State(id), state)

	// All of the time comes back, or more.
	least := terms.Closes + s.Clock.Time() - since
	s.refused(s.Resume(ctx, id, least-1), auction.CodeBadTerms)
	s.refused(s.Resume(ctx, id, s.Clock.Time().Add(auction.MaxOpen)+1), auction.CodeBadTerms)
	s.ok(s.Resume(ctx, id, 0))
	state = s.State(id)
	s.equal(state.Suspended(), false)
	s.equal(state.End(), least)
	s.refused(s.Resume(ctx, id, 0), auction.CodeBadRequest)
	s.ok(s.Suspend(ctx, id, lost(9))) // that was decided
	s.equal(s.State(id), state)
	due, err := s.Due(ctx, least)
	s.ok(err)
	s.equal(len(due), 0)
	s.Accept(Restamped(refused, s.Clock.Time())) // nothing remembers that it was refused

	s.ok(s.Suspend(ctx, id, lost(10)))
	s.Clock.Advance(time.Minute)
	later := least.Add(time.Hour)
	s.ok(s.Resume(ctx, id, later))
	s.equal(s.State(id).End(), later)

	s.ok(s.Suspend(ctx, id, lost(11)))
	s.ok(s.Cancel(ctx, id))
	state = s.State(id)
	s.equal(state.Suspended(), false)
	s.refused(s.Suspend(ctx, id, lost(12)), auction.CodeAuctionEnded)
	s.refused(s.Resume(ctx, id, 0), auction.CodeAuctionEnded)
	s.equal(s.State(id), state)
}

func testSuspendEnded(t *testing.T, s *Scene) {
	ctx := context.Background()
	terms := s.Terms()
	id := s.Listed("seller", terms)
	s.Accept(s.Bid(id, "anna", 1000))
	late := s.Bid(id, "ben", 2000)
	s.Clock.Set(terms.Closes)
	s.Accept(Restamped(late, terms.Closes-1))
	s.ok(s.Suspend(ctx, id, lost(7)))
	s.Clock.Advance(time.Hour)
	s.refused(s.Resume(ctx, id, s.Clock.Time().Add(time.Hour)), auction.CodeAuctionEnded)
	s.ok(s.Resume(ctx, id, 0))
	state := s.State(id)
	s.equal(state.End(), terms.Closes) // nothing opens again
	s.ok(s.Close(ctx, id, state.Head(), Stamps(), s.Clock.Time()))
	s.equal(s.State(id).Closed.Outcome, auction.Sold)
}
