package auctiontest

import (
	"context"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// listedUntil lists an auction that ends at the given time.
func (s *Scene) listedUntil(closes auction.Time) auction.ID {
	s.t.Helper()
	terms := s.Terms()
	terms.Closes = closes
	return s.Listed("seller", terms)
}

func testOutage(t *testing.T, s *Scene) {
	ctx := context.Background()
	s.WithOutages()
	begin := s.Clock.Time().Add(time.Second)
	passed := s.listedUntil(begin.Add(25 * time.Second))
	near := s.listedUntil(begin.Add(90 * time.Second))
	far := s.listedUntil(begin.Add(100*time.Second + 1))
	s.Accept(s.Bid(passed, "anna", 1000))
	s.Clock.Set(begin)
	s.ok(s.Beat(ctx))

	s.Clock.Set(begin.Add(40 * time.Second))
	s.ok(s.Beat(ctx))
	s.ok(s.Beat(ctx))
	outage := auction.Outage{From: begin, To: begin.Add(40 * time.Second)}
	ends := outage.To.Add(time.Minute)
	for id, size := range map[auction.ID]uint64{passed: 3, near: 2, far: 1} {
		state := s.State(id)
		s.equal(state.Size(), size)
		s.equal(max(state.End(), ends), state.End())
	}
	event, err := auction.ParseEvent(s.Log(auction.LogID(near))[1].Event)
	s.ok(err)
	want := auction.Event{
		Seq: 2, Kind: auction.AuctionExtended, Auction: near, Time: int64(outage.To) / 1_000_000, Ends: ends,
		Cause: auction.CauseOutage, Outage: &outage,
	}
	want.Signature, err = Signer{}.SignNotice(want.Notice())
	s.ok(err)
	s.equal(event, want)

	// Who could not bid before bids now, and wins.
	late := s.Bid(passed, "ben", 2000)
	s.Accept(late)
	due, err := s.Due(ctx, ends)
	s.ok(err)
	s.equal(len(due), 0)

	// A shorter time counts for nobody, and the same outage not again.
	s.Clock.Set(begin.Add(65 * time.Second))
	s.ok(s.Beat(ctx))
	s.equal(s.State(near).Size(), uint64(2))

	// The next one counts too, but not where a bid was recorded at the end.
	s.Clock.Set(begin.Add(90 * time.Second))
	s.ok(s.Beat(ctx))
	recorded := Restamped(s.Bid(near, "carl", 1000), ends-1)
	s.Clock.Set(ends)
	s.Accept(recorded)
	s.equal(len(s.State(near).Recorded), 1)
	s.Clock.Advance(40 * time.Second)
	s.ok(s.Beat(ctx))
	s.equal(s.State(near).End(), ends)
	s.equal(s.State(passed).End(), s.Clock.Time().Add(time.Minute))
	s.equal(s.State(far).End(), s.Clock.Time().Add(time.Minute))
	s.ok(s.Close(ctx, near, s.State(near).Head(), Stamps(), ends+auction.Time(s.Policy.Grace)+1))

	end := s.State(passed).End()
	for s.Clock.Time() < end.Add(10*time.Second) {
		s.Clock.Advance(10 * time.Second)
		s.ok(s.Beat(ctx))
	}
	s.Ended(passed)
	s.equal(s.State(passed).Closed.Winner, late.Pseudonym)
}

// Nobody has looked for the outage: a command and a close do so themselves.
func testOutageUnseen(t *testing.T, s *Scene) {
	ctx := context.Background()
	s.WithOutages()
	begin := s.Clock.Time().Add(time.Second)
	bidden := s.listedUntil(begin.Add(25 * time.Second))
	closed := s.listedUntil(begin.Add(25 * time.Second))
	withdrawn := s.listedUntil(begin.Add(25 * time.Second))
	unlisted := s.listedUntil(begin.Add(25 * time.Second))
	bid, withdrawal := s.Bid(bidden, "anna", 1000), s.Withdrawal(withdrawn, "seller")
	s.Clock.Set(begin)
	s.ok(s.Beat(ctx))
	s.Clock.Set(begin.Add(40 * time.Second))
	ends := s.Clock.Time().Add(time.Minute)
	s.Accept(Restamped(bid, s.Clock.Time()))
	s.Accept(Restamped(withdrawal, s.Clock.Time()))
	head, median := s.State(closed).Head(), s.Clock.Time()
	s.equal(s.Close(ctx, closed, head, Stamps(), median), auction.ErrGrew)
	s.refused(s.Close(ctx, closed, s.State(closed).Head(), Stamps(), median), auction.CodeAuctionOpen)
	for _, id := range []auction.ID{bidden, closed, withdrawn} {
		s.equal(s.State(id).End(), ends)
	}
	s.equal(s.State(unlisted).Size(), uint64(1))
	s.ok(s.Beat(ctx))
	s.equal(s.State(unlisted).End(), ends)

	// A clock that is behind closes nothing, since an outage may come to light.
	soon := s.listedUntil(s.Clock.Time().Add(20 * time.Second))
	state := s.State(soon)
	late := state.End().Add(10 * time.Second)
	s.refused(s.Close(ctx, soon, state.Head(), Stamps(), late), auction.CodeUnavailable)
	s.Clock.Set(state.End())
	s.ok(s.Close(ctx, soon, state.Head(), Stamps(), late))
}

// An entry is lost in an outage, as in a failover that takes long: the time that the
// outage took comes first, so that there is an end which a resumption can put off.
func testOutageLoss(t *testing.T, s *Scene) {
	ctx := context.Background()
	s.WithOutages()
	begin := s.Clock.Time().Add(time.Second)
	id := s.listedUntil(begin.Add(25 * time.Second))
	s.Clock.Set(begin)
	s.ok(s.Beat(ctx))
	s.Clock.Set(begin.Add(40 * time.Second))
	s.ok(s.Suspend(ctx, id, lost(2)))
	state := s.State(id)
	s.equal(state.Suspended(), true)
	s.equal(state.Size(), uint64(3))
	s.equal(state.End(), begin.Add(100*time.Second))

	s.Clock.Advance(10 * time.Minute)
	s.ok(s.Resume(ctx, id, 0))
	s.equal(s.State(id).End(), begin.Add(100*time.Second+10*time.Minute))
	s.Accept(s.Bid(id, "anna", 1000))
}

// An outage counts by the policy that its auction was listed under.
func testOutagePolicy(t *testing.T, s *Scene) {
	ctx := context.Background()
	begin := s.Clock.Time().Add(time.Second)
	without := s.listedUntil(begin.Add(25 * time.Second))
	s.WithOutages()
	with := s.listedUntil(begin.Add(25 * time.Second))
	s.Clock.Set(begin)
	s.ok(s.Beat(ctx))
	s.Clock.Set(begin.Add(40 * time.Second))
	s.ok(s.Beat(ctx))
	s.equal(s.State(without).Size(), uint64(1))
	s.equal(s.State(with).Size(), uint64(2))
	s.ok(s.Close(ctx, without, s.State(without).Head(), Stamps(), begin.Add(40*time.Second)))
	_, err := s.Send(s.Bid(with, "anna", 1000))
	s.ok(err)
}
