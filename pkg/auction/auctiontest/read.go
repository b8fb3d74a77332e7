package auctiontest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func testDue(t *testing.T, s *Scene) {
	ctx := context.Background()
	terms := s.Terms()
	first := s.Listed("seller", terms)
	terms.Closes++
	second := s.Listed("seller", terms)
	due := func(before auction.Time) []auction.ID {
		t.Helper()
		ids, err := s.Due(ctx, before)
		s.ok(err)
		slices.Sort(ids)
		return ids
	}
	both := []auction.ID{first, second}
	slices.Sort(both)
	s.equal(len(due(terms.Closes-1)), 0)
	s.equal(due(terms.Closes), []auction.ID{first})
	s.equal(due(terms.Closes+1), both)
	s.Ended(first)
	s.equal(due(terms.Closes+1), []auction.ID{second})
	s.Ended(second)
	s.equal(len(due(terms.Closes+1)), 0)
}

func testMine(t *testing.T, s *Scene) {
	ctx := context.Background()
	id := s.Listed("seller", s.Terms())
	s.Accept(s.Bid(id, "bidder", 1000))
	other := s.Listed("bidder", s.Terms())
	for _, test := range []struct {
		who   string
		least []auction.ID
	}{
		{"seller", []auction.ID{id}}, {"bidder", []auction.ID{id, other}}, {"nobody", nil},
	} {
		got, err := s.Mine(ctx, Participant(test.who))
		s.ok(err)
		for _, want := range test.least {
			if !slices.Contains(got, want) {
				t.Errorf("an auction of %s is missing", test.who)
			}
		}
		if test.least == nil && len(got) > 0 {
			t.Errorf("auctions of somebody who did nothing")
		}
	}
	mine := func() []auction.ID {
		t.Helper()
		ids, err := s.Mine(ctx, Participant("bidder"))
		s.ok(err)
		return ids
	}
	before := mine()
	s.equal(before[0], other) // the latest first
	bad := s.List("bidder", s.Terms())
	bad.Head.Size++
	used := Altered(bad)
	_, err := s.Send(bad)
	s.refused(err, auction.CodeBadHead)
	_, err = s.Send(used)
	s.refused(err, auction.CodePseudonymUsed)
	s.equal(mine(), before)
	again := s.List("bidder", s.Terms())
	again.Pseudonym, again.Auction = auction.Pseudonym(other), other // a real one stays
	_, err = s.Send(again)
	s.refused(err, auction.CodePseudonymUsed)
	s.equal(mine(), before)
}

func testCertificates(t *testing.T, s *Scene) {
	ctx := context.Background()
	list := s.List("seller", s.Terms())
	s.Accept(list)
	one, two := s.Bid(list.Auction, "bidder", 1000), s.Bid(list.Auction, "bidder", 2000)
	low := s.Bid(list.Auction, "low", 1)
	s.Accept(one)
	s.Accept(two)
	_, err := s.Send(low)
	s.refused(err, auction.CodeBidTooLow)
	got, err := s.Certificates(ctx, list.Auction)
	s.ok(err)
	s.equal(got, map[auction.Hash][]auction.Blob{
		list.Certificate: list.Chain, one.Certificate: one.Chain,
	})
	got, err = s.Certificates(ctx, list.Auction, one.Certificate, low.Certificate)
	s.ok(err)
	s.equal(got, map[auction.Hash][]auction.Blob{one.Certificate: one.Chain})
	none, err := s.Certificates(ctx, auction.ID(s.Pseudonym()))
	s.ok(err)
	s.equal(len(none), 0)
}

func testPolicy(t *testing.T, s *Scene) {
	ctx := context.Background()
	_, _, err := s.PolicyOf(ctx, auction.ID(s.Pseudonym()))
	s.refused(err, auction.CodeUnknownAuction)
	id := s.Listed("seller", s.Terms())
	hash, policy, err := s.PolicyOf(ctx, id)
	s.ok(err)
	house, err := s.House(ctx)
	s.ok(err)
	s.equal(hash, house.InForce)
	s.equal(policy, house.Policies[house.InForce])
}

func testEntries(t *testing.T, s *Scene) {
	ctx := context.Background()
	id := s.Listed("seller", s.Terms())
	for i := range 9 {
		s.Accept(s.Bid(id, "bidder", 1000+50*auction.Amount(i)))
	}
	for _, test := range []struct {
		from  uint64
		limit int
		want  int
	}{
		{1, 100, 10}, {1, 3, 3}, {4, 3, 3}, {9, 3, 2}, {10, 3, 1}, {11, 3, 0}, {1000, 3, 0}, {0, 3, 0}, {1, 0, 0}, {1, -1, 0},
	} {
		got, err := s.Entries(ctx, auction.LogID(id), test.from, test.limit)
		s.ok(err)
		if len(got) != test.want {
			t.Errorf("%d entries from %d of at most %d, want %d", len(got), test.from, test.limit, test.want)
		}
		for i, e := range got {
			s.equal(e.Seq, test.from+uint64(i))
		}
	}
	none, err := s.Entries(ctx, auction.LogID(s.Pseudonym()), 1, 10)
	s.ok(err)
	s.equal(len(none), 0)
}

func testWatch(t *testing.T, s *Scene) {
	ctx := context.Background()
	woken := func(log auction.LogID) (chan struct{}, func()) {
		c := make(chan struct{}, 1)
		return c, s.Watch(log, func() {
			select {
			case c <- struct{}{}:
			default:
			}
		})
	}
	wait := func(c chan struct{}, seen func() bool) {
		t.Helper()
		deadline := time.After(10 * time.Second)
		for !seen() {
			select {
			case <-c:
			case <-deadline:
				t.Fatal("not woken")
			}
		}
	}
	house, stopHouse := woken(auction.HouseLog)
	id := s.Listed("seller", s.Terms())
	wait(house, func() bool { return len(s.Log(auction.HouseLog)) == 2 })
	stopHouse()

	one, stopOne := woken(auction.LogID(id))
	two, stopTwo := woken(auction.LogID(id))
	letter := make(chan struct{}, 1)
	stopMail := s.WatchMail(id, func() {
		select {
		case letter <- struct{}{}:
		default:
		}
	})
	mailed := func() {
		t.Helper()
		select {
		case <-letter:
		case <-time.After(10 * time.Second):
			t.Fatal("not woken for mail")
		}
	}
	s.Accept(s.Bid(id, "winner", 1000))
	wait(one, func() bool { return s.State(id).Size() == 2 })
	wait(two, func() bool { return s.State(id).Size() == 2 })
	stopTwo()
	stopTwo() // twice does no harm
	select {
	case <-two:
	default:
	}
	s.Ended(id)
	wait(one, func() bool { return s.State(id).Closed != nil })
	mailed()
	s.ok(s.Disclose(ctx, auction.NewAccepted(s.Disclosure(id, "winner", "sealed"))))
	wait(one, func() bool {
		_, winner, err := s.Disclosures(ctx, id)
		return err == nil && winner != nil
	})
	mailed()
	stopMail()
	stopOne()
	select {
	case <-two:
		t.Error("woken after stop")
	default:
	}
}
