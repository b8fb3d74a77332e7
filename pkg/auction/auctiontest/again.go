package auctiontest

import (
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func testAgain(t *testing.T, s *Scene) {
	list := s.List("seller", s.Terms())
	listed := s.Accept(list)
	bid := s.Bid(list.Auction, "bidder", 1000)
	first := s.Accept(bid)
	again := func() {
		t.Helper()
		houses, size := len(s.Log(auction.HouseLog)), s.State(list.Auction).Size()
		now := s.Clock.Time()
		for _, c := range []auction.Command{bid, Restamped(bid, now), Restamped(bid, now.Add(-time.Hour))} {
			a := s.Accept(c)
			s.checkAnswer(a, bid)
			s.equal(a.Entry, first.Entry)
		}
		for _, c := range []auction.Command{list, Restamped(list, now)} {
			a := s.Accept(c)
			s.checkAnswer(a, list)
			s.equal(a.Entry, listed.Entry)
		}
		s.equal(s.State(list.Auction).Size(), size)
		s.equal(len(s.Log(auction.HouseLog)), houses)
	}
	again()
	s.Accept(s.Bid(list.Auction, "other", 2000))
	again()
	s.Clock.Advance(time.Minute) // the stamps are too old now
	again()
	s.Clock.Advance(time.Hour) // the auction has ended
	again()
	s.Ended(list.Auction)
	again()
}

func testPseudonymUsed(t *testing.T, s *Scene) {
	list := s.List("seller", s.Terms())
	s.Accept(list)
	bid := s.Bid(list.Auction, "bidder", 1000)
	s.Accept(bid)
	low := s.Bid(list.Auction, "bidder", 1)
	_, err := s.Send(low)
	s.refused(err, auction.CodeBidTooLow)

	stolen := func(c auction.Command) auction.Command {
		c.Participant = Participant("thief")
		return c
	}
	listing := s.Bid(list.Auction, "bidder", 2000)
	listing.Pseudonym = list.Pseudonym
	used := func() {
		t.Helper()
		for _, c := range []auction.Command{
			Altered(list), stolen(list), Altered(bid), stolen(bid), Altered(low), stolen(low), listing,
		} {
			_, err := s.Send(c)
			s.refused(err, auction.CodePseudonymUsed)
		}
	}
	used()
	s.equal(s.State(list.Auction).Size(), uint64(2))
	s.Ended(list.Auction)
	used()
	s.Accept(bid)
}

func testRefusalFinal(t *testing.T, s *Scene) {
	id := s.Listed("seller", s.Terms())
	before := s.State(id)
	low := s.Bid(id, "bidder", 999)
	_, err := s.Send(low)
	s.equal(s.refused(err, auction.CodeBidTooLow).Least, auction.Amount(1000))
	hasty := s.Bid(id, "bidder", 1000)
	hasty = Restamped(hasty, hasty.TS.Add(time.Second))
	_, err = s.Send(hasty)
	s.refused(err, auction.CodeStampInFuture)
	bad := s.List("seller", s.Terms())
	bad.Head.Root[0]++
	_, err = s.Send(bad)
	s.refused(err, auction.CodeBadHead)
	s.equal(s.State(id), before)

	s.Accept(s.Bid(id, "bidder", 1100))
	s.Clock.Advance(time.Second)
	_, err = s.Send(low)
	s.equal(s.refused(err, auction.CodeBidTooLow).Least, auction.Amount(1000)) // as it was then
	_, err = s.Send(hasty)                                                     // in time now
	s.refused(err, auction.CodeStampInFuture)
	_, err = s.Send(Restamped(hasty, s.Clock.Time()))
	s.refused(err, auction.CodeStampInFuture)
	_, err = s.Send(bad)
	s.refused(err, auction.CodeBadHead)
	s.equal(s.State(id).Size(), uint64(2))
}
