package auctiontest

import (
	"context"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func testWithdraw(t *testing.T, s *Scene) {
	ctx := context.Background()
	id := s.Listed("seller", s.Terms())
	s.Clock.Advance(time.Minute)
	c := s.Withdrawal(id, "seller")
	a := s.Accept(c)
	s.checkAnswer(a, c)
	s.equal(s.Accept(c).Entry, a.Entry) // again
	want := auction.Event{
		Seq: 2, Kind: auction.AuctionClosed, Auction: id, Pseudonym: c.Pseudonym, Time: int64(c.TS) / 1_000_000,
		Outcome: auction.Withdrawn,
	}
	state := s.State(id)
	s.equal(*state.Closed, want)
	s.equal(state.Winner(), (*auction.Bid)(nil))
	for _, who := range []string{"seller", "bidder"} {
		_, err := state.Party(Participant(who))
		s.refused(err, auction.CodeNoDisclosure)
	}
	_, err := s.Send(s.Bid(id, "bidder", 1000))
	s.refused(err, auction.CodeAuctionEnded)
	_, err = s.Send(s.Withdrawal(id, "seller"))
	s.refused(err, auction.CodeAuctionEnded)
	s.Clock.Set(state.End().Add(time.Hour))
	s.ok(s.Close(ctx, id, state.Head(), Stamps(), s.Clock.Time())) // nothing more to do
	s.equal(s.State(id), state)
}

func testWithdrawRefused(t *testing.T, s *Scene) {
	id := s.Listed("seller", s.Terms())
	s.Clock.Advance(time.Minute)
	end := s.State(id).End()
	type spoil = func(*auction.Command)
	other := func(c *auction.Command) { c.Participant = Participant("other") }
	root := func(c *auction.Command) { c.Head.Root[0]++ }
	at := func(t auction.Time) spoil { return func(c *auction.Command) { *c = Restamped(*c, t) } }
	shift := func(d time.Duration) spoil { return func(c *auction.Command) { *c = Restamped(*c, c.TS.Add(d)) } }
	refused := func(want auction.Code, spoils ...spoil) {
		t.Helper()
		c := s.Withdrawal(id, "seller")
		for _, spoil := range spoils {
			spoil(&c)
		}
		_, err := s.Send(c)
		if r := s.refused(err, want); r.Detail == "" {
			t.Errorf("%s: no advice", want)
		}
	}
	refused(auction.CodeNotYourAuction, other, root)
	refused(auction.CodeBadHead, root, at(s.State(id).Listed))
	refused(auction.CodeBeforeListing, at(s.State(id).Listed))
	refused(auction.CodeAuctionEnded, at(end))
	refused(auction.CodeStampInFuture, shift(500*time.Millisecond+time.Microsecond))
	refused(auction.CodeStampTooOld, shift(-5*time.Second-time.Microsecond))
	s.Accept(s.Bid(id, "bidder", 1000))
	refused(auction.CodeHasBids)
	s.Clock.Set(end)
	refused(auction.CodeAuctionEnded, at(end-1)) // before it says whether there are bids
	s.equal(s.State(id).Size(), uint64(2))
	c := s.Withdrawal(auction.ID(s.Listed("seller", s.Terms())), "seller")
	c.Auction = auction.ID(s.Pseudonym())
	_, err := s.Send(c)
	s.refused(err, auction.CodeUnknownAuction)
}

func testReserve(t *testing.T, s *Scene) {
	for _, test := range []struct {
		bid, late auction.Amount // 0: none
		outcome   string
		amount    auction.Amount
	}{
		{0, 0, auction.Unsold, 0},
		{4999, 0, auction.Unsold, 0},
		{5000, 0, auction.Sold, 5000},
		{4999, 5049, auction.Sold, 5049},
		{4999, 5048, auction.Unsold, 0}, // not an increment more
		{0, 5000, auction.Sold, 5000},
	} {
		terms := s.Terms()
		terms.Reserve = s.Reserve(5000)
		c := s.List("seller", terms)
		s.Accept(c)
		if test.bid > 0 {
			s.Accept(s.Bid(c.Auction, "bidder", test.bid))
		}
		if end := s.State(c.Auction).End(); test.late > 0 {
			s.Clock.Set(end)
			s.Accept(Restamped(s.Bid(c.Auction, "late", test.late), end-1))
		}
		s.Ended(c.Auction)
		closed := s.State(c.Auction).Closed
		s.equal(closed.Outcome, test.outcome)
		s.equal(closed.Amount, test.amount)
		s.equal(closed.Reserve, c.Reserve)
	}
	terms := s.Terms()
	terms.Reserve = s.Reserve(5000)
	for _, opening := range []*auction.Opening{
		nil, {Amount: 5001, Salt: s.openings[*terms.Reserve].Salt}, {Amount: 5000, Salt: make(auction.Blob, auction.SaltSize)}, {Amount: 5000},
	} {
		c := s.List("seller", terms)
		c.Reserve = opening
		_, err := s.Send(c)
		s.refused(err, auction.CodeBadRequest)
	}
}

// A participant fills no memory by being refused: beyond a bound a refusal is
// told otherwise and not remembered. What is right is taken all the same.
func testRefusedBound(t *testing.T, s *Scene) {
	id := s.Listed("seller", s.Terms())
	first := s.Bid(id, "poor", 1)
	_, err := s.Send(first)
	s.refused(err, auction.CodeBidTooLow)
	for range auction.MaxRefused - 1 {
		_, err := s.Send(s.Bid(id, "poor", 1))
		s.refused(err, auction.CodeBidTooLow)
	}
	more := s.Bid(id, "poor", 1)
	for range 2 {
		_, err = s.Send(more)
		s.refused(err, auction.CodeRateLimited)
	}
	_, err = s.Send(first) // remembered
	s.refused(err, auction.CodeBidTooLow)
	_, err = s.Send(Altered(more)) // not remembered, so nobody has used the pseudonym
	s.refused(err, auction.CodeRateLimited)
	_, err = s.Send(s.Bid(id, "other", 1))
	s.refused(err, auction.CodeBidTooLow)
	s.Accept(s.Bid(id, "poor", 1000))
	elsewhere := s.Listed("seller", s.Terms())
	_, err = s.Send(s.Bid(elsewhere, "poor", 1))
	s.refused(err, auction.CodeBidTooLow)
}

// A participant fills no store with listings, whatever replicas it sends them
// to. Others list all the time, and it does again in the next thousand seconds.
func testListedBound(t *testing.T, s *Scene) {
	const span = auction.Time(1e9)
	s.Clock.Set((s.Clock.Time()/span + 1) * span) // so that it does not end on the way
	for range auction.MaxListed {
		s.Listed("busy", s.Terms())
	}
	more := s.List("busy", s.Terms())
	for range 2 {
		_, err := s.Send(more)
		s.refused(err, auction.CodeRateLimited)
	}
	_, err := s.Send(Altered(more)) // nothing remembers it
	s.refused(err, auction.CodeRateLimited)
	s.Listed("other", s.Terms())
	s.Clock.Set((s.Clock.Time()/span + 1) * span)
	s.Listed("busy", s.Terms())
}
