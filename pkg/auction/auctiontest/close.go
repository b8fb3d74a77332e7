package auctiontest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func testRecorded(t *testing.T, s *Scene) {
	id := s.Listed("seller", s.Terms())
	s.Accept(s.Bid(id, "early", 2000))
	end := s.State(id).End()
	s.Clock.Set(end + 1)
	late := func(who string, amount auction.Amount, ts auction.Time) auction.Command {
		return Restamped(s.Bid(id, who, amount), ts)
	}
	// Stamped before the end, arriving after it: too low, a tie, the best, none
	// the wiser.
	high := late("high", 3000, end-1)
	for _, c := range []auction.Command{late("low", 1, end-3), late("tie", 2000, end-4), high} {
		a := s.Accept(c)
		s.checkAnswer(a, c)
		ev, err := auction.ParseEvent(a.Entry.Event)
		s.ok(err)
		s.equal(ev.Recorded, true)
		s.equal(s.State(id).Leader.Amount, auction.Amount(2000))
	}
	s.Accept(high) // again
	for range s.Policy.MaxRecorded - 1 {
		s.Accept(late("high", 2500, end-2))
	}
	for _, amount := range []auction.Amount{1, 9000} {
		_, err := s.Send(late("high", amount, end-1))
		s.refused(err, auction.CodeTooManyRecorded)
		_, err = s.Send(late("other", amount, end))
		s.refused(err, auction.CodeAuctionEnded)
	}
	s.equal(len(s.State(id).Bids), 1)
	s.Ended(id)
	closed := s.State(id).Closed
	s.equal(closed.Winner, high.Pseudonym)
	s.equal(closed.Amount, auction.Amount(3000))
	_, err := s.Send(late("last", 9000, end-1))
	s.refused(err, auction.CodeAuctionEnded)
}

func testClose(t *testing.T, s *Scene) {
	ctx := context.Background()
	id := s.Listed("seller", s.Terms())
	unsold := s.Listed("seller", s.Terms())
	head := s.State(id).Head()
	s.Accept(s.Bid(id, "bidder", 1000))
	state := s.State(id)
	median := state.End() + auction.Time(s.Policy.Grace) + 1
	s.Clock.Set(median)
	bad := state.Head()
	bad.Root[0]++
	ahead := state.Head()
	ahead.Size++
	s.refused(s.Close(ctx, auction.ID(s.Pseudonym()), head, Stamps(), median), auction.CodeUnknownAuction)
	if err := s.Close(ctx, id, head, Stamps(), median); !errors.Is(err, auction.ErrGrew) {
		t.Errorf("close over an old head: %v", err)
	}
	s.refused(s.Close(ctx, id, bad, Stamps(), median), auction.CodeBadHead)
	s.refused(s.Close(ctx, id, ahead, Stamps(), median), auction.CodeBadHead)
	s.refused(s.Close(ctx, id, state.Head(), Stamps(), median-1), auction.CodeAuctionOpen)
	s.equal(s.State(id), state)

	s.ok(s.Close(ctx, id, state.Head(), Stamps(), median))
	closed := s.State(id)
	s.equal(closed.Size(), uint64(3))
	want := state.ClosingEvent(Stamps(), median)
	want.Seq = 3
	s.equal(*closed.Closed, want)
	s.equal(closed.Closed.Outcome, auction.Sold)
	s.ok(s.Close(ctx, id, state.Head(), Stamps(), median))
	s.ok(s.Close(ctx, id, head, nil, 0))
	s.equal(s.State(id).Size(), uint64(3))
	_, err := s.Send(s.Bid(id, "bidder", 5000))
	s.refused(err, auction.CodeAuctionEnded)

	s.Ended(unsold)
	s.equal(s.State(unsold).Closed.Outcome, auction.Unsold)
}

func testCloseConcurrent(t *testing.T, s *Scene) {
	ctx := context.Background()
	id := s.Listed("seller", s.Terms())
	s.Accept(s.Bid(id, "bidder", 1000))
	state := s.State(id)
	median := state.End() + auction.Time(s.Policy.Grace) + 1
	s.Clock.Set(median)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = s.Close(ctx, id, state.Head(), Stamps(), median) })
	}
	wg.Wait()
	s.ok(errors.Join(errs...))
	s.equal(s.State(id).Size(), uint64(3))
}

func testDisclose(t *testing.T, s *Scene) {
	ctx := context.Background()
	send := func(c auction.Command) error { return s.Disclose(ctx, auction.NewAccepted(c)) }
	id, unsold := s.Listed("seller", s.Terms()), s.Listed("seller", s.Terms())
	s.Accept(s.Bid(id, "loser", 1000))
	s.Accept(s.Bid(id, "winner", 2000))
	s.refused(send(s.Disclosure(id, "seller", "x")), auction.CodeAuctionOpen)
	s.Ended(id)
	s.Ended(unsold)
	s.refused(send(s.Disclosure(id, "loser", "x")), auction.CodeNoDisclosure)
	s.refused(send(s.Disclosure(unsold, "seller", "x")), auction.CodeNoDisclosure)
	s.refused(send(s.Disclosure(auction.ID(s.Pseudonym()), "seller", "x")), auction.CodeUnknownAuction)
	seller, winner, err := s.Disclosures(ctx, id)
	s.ok(err)
	if seller != nil || winner != nil {
		t.Fatal("a disclosure that nobody sent")
	}

	w := s.Disclosure(id, "winner", "sealed\x00\xff by the winner")
	s.ok(send(w))
	s.ok(send(w))
	s.refused(send(Altered(w)), auction.CodePseudonymUsed)
	other := w
	other.Sealed = []byte("other")
	s.refused(send(other), auction.CodePseudonymUsed)
	seller, winner, err = s.Disclosures(ctx, id)
	s.ok(err)
	s.equal(seller, (*auction.Disclosure)(nil))
	s.equal(winner, &auction.Disclosure{JWS: w.JWS, Sealed: w.Sealed})

	v := s.Disclosure(id, "seller", "sealed by the seller")
	s.ok(send(v))
	seller, winner, err = s.Disclosures(ctx, id)
	s.ok(err)
	s.equal(seller, &auction.Disclosure{JWS: v.JWS, Sealed: v.Sealed})
	s.equal(winner, &auction.Disclosure{JWS: w.JWS, Sealed: w.Sealed})
}

func testAcknowledge(t *testing.T, s *Scene) {
	ctx := context.Background()
	id := s.Listed("seller", s.Terms())
	p, other := Participant("seller"), Participant("other")
	got, err := s.Acknowledged(ctx, id, p)
	s.ok(err)
	s.equal(len(got), 0)
	for range 2 {
		s.ok(s.Acknowledge(ctx, id, p, auction.MessageClosed))
	}
	got, err = s.Acknowledged(ctx, id, p)
	s.ok(err)
	s.equal(got, map[auction.MessageKind]bool{auction.MessageClosed: true})
	s.ok(s.Acknowledge(ctx, id, p, auction.MessageDisclosure))
	got, err = s.Acknowledged(ctx, id, p)
	s.ok(err)
	s.equal(len(got), 2)
	got, err = s.Acknowledged(ctx, id, other)
	s.ok(err)
	s.equal(len(got), 0)
}

func testAudit(t *testing.T, s *Scene) {
	ctx := context.Background()
	audit := auction.Audit{Auction: s.Listed("seller", s.Terms()), Auditor: auction.Hash{1}}
	other := auction.Audit{Auction: audit.Auction, Auditor: auction.Hash{2}}
	unknown := auction.Audit{Auction: auction.ID(s.Pseudonym()), Auditor: auction.Hash{1}}
	s.refused(s.Audit(ctx, auction.AuditDisclosed, audit), auction.CodeNotAllowed)
	s.refused(s.Audit(ctx, auction.AuditApproved, unknown), auction.CodeUnknownAuction)
	s.refused(s.Audit(ctx, auction.SomeoneBid, audit), auction.CodeBadRequest)
	s.Clock.Advance(time.Second)
	for range 2 {
		s.ok(s.Audit(ctx, auction.AuditApproved, audit))
	}
	s.refused(s.Audit(ctx, auction.AuditDisclosed, other), auction.CodeNotAllowed)
	for range 2 {
		s.ok(s.Audit(ctx, auction.AuditDisclosed, audit))
	}
	s.ok(s.Audit(ctx, auction.AuditApproved, audit))
	var kinds []auction.EventKind
	for _, e := range s.Log(auction.HouseLog) {
		ev, err := auction.ParseEvent(e.Event)
		s.ok(err)
		kinds = append(kinds, ev.Kind)
	}
	s.equal(kinds, []auction.EventKind{
		auction.PolicyAdopted, auction.SomeoneListed, auction.AuditApproved, auction.AuditDisclosed,
	})
	house, err := s.House(ctx)
	s.ok(err)
	s.equal(house.Audits, map[auction.Audit]bool{audit: true})
}
