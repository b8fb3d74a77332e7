package auctiontest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func testArchive(t *testing.T, s *Scene) {
	ctx := context.Background()
	list := s.List("seller", s.Terms())
	s.Accept(list)
	longer := s.Terms()
	longer.Closes = longer.Closes.Add(time.Hour)
	id, other := list.Auction, s.Listed("seller", longer)
	bid := s.Bid(id, "bidder", 1000)
	s.Accept(bid)
	s.refused(s.Remove(ctx, id, 2, nil), auction.CodeAuctionOpen)
	s.refused(s.Remove(ctx, auction.ID(s.Pseudonym()), 1, nil), auction.CodeUnknownAuction)
	s.Clock.Set(s.State(id).End())
	s.Ended(id)
	disclosure := s.Disclosure(id, "seller", "x")
	s.ok(s.Disclose(ctx, auction.NewAccepted(disclosure)))
	s.ok(s.Acknowledge(ctx, id, Participant("bidder"), auction.MessageClosed))
	if err := s.Remove(ctx, id, 2, nil); err != auction.ErrGrew {
		t.Errorf("removed though not all of it is kept: %v", err)
	}
	s.refused(s.Remove(ctx, id, 3, make([]byte, auction.MaxLast+1)), auction.CodeTooLarge)
	_, err := s.Removed(ctx, id)
	s.refused(err, auction.CodeUnknownAuction)
	s.equal(s.State(id).Size(), uint64(3)) // nothing happened yet

	last := []byte("{\"the\": \"last\"}\n\x00\xff")
	s.ok(s.Remove(ctx, id, 3, last))
	s.ok(s.Remove(ctx, id, 0, nil)) // which changes nothing
	if got, err := s.Removed(ctx, id); err != nil || !bytes.Equal(got, last) {
		t.Errorf("the tombstone keeps %q, %v", got, err)
	}

	place := func(c auction.Command) error { _, err := s.Send(c); return err }
	withdrawal := s.Withdrawal(other, "seller")
	withdrawal.Auction = id
	gone := map[string]func() error{
		"state":      func() error { _, err := s.Auction(ctx, id); return err },
		"policy":     func() error { _, _, err := s.PolicyOf(ctx, id); return err },
		"entries":    func() error { _, err := s.Entries(ctx, auction.LogID(id), 1, 10); return err },
		"the end":    func() error { _, err := s.Entries(ctx, auction.LogID(id), 3, 10); return err },
		"the bid":    func() error { return place(bid) },
		"listing":    func() error { return place(list) },
		"withdrawal": func() error { return place(withdrawal) },
		"extend":     func() error { return s.Extend(ctx, id, s.Clock.Time()+1) },
		"cancel":     func() error { return s.Cancel(ctx, id) },
		"disclose":   func() error { return s.Disclose(ctx, auction.NewAccepted(disclosure)) },
		"audit": func() error {
			return s.Audit(ctx, auction.AuditApproved, auction.Audit{Auction: id, Auditor: auction.Hash{1}})
		},
	}
	for what, ask := range gone {
		if err := ask(); auction.CodeOf(err) != auction.CodeTooOld {
			t.Errorf("%s: %v", what, err)
		}
	}
	s.ok(s.Close(ctx, id, auction.Head{}, nil, 0)) // it was
	for who, want := range map[string]int{"seller": 1, "bidder": 0} {
		mine, err := s.Mine(ctx, Participant(who))
		s.ok(err)
		s.equal(len(mine), want)
	}
	seller, _, err := s.Disclosures(ctx, id)
	s.ok(err)
	got, err := s.Acknowledged(ctx, id, Participant("bidder"))
	s.ok(err)
	if seller != nil || len(got) > 0 {
		t.Errorf("messages are left: %v, %v", seller, got)
	}
	s.Accept(s.Bid(other, "bidder", 1000)) // all others go on
}
