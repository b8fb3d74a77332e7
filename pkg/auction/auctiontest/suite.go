// Package auctiontest says in tests what every implementation of the auction's
// store must do: [Run] checks each sentence of the interfaces, [Histories]
// compares implementations with the in-memory model on random histories.
//
// It is imported by tests only.
package auctiontest

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Backend is everything that keeps auctions.
type Backend interface {
	auction.Store
	auction.Reader
	auction.Feed
	auction.Mailbox
	auction.Proofs
	auction.Operator
	auction.Pulse
	auction.Archive
}

// Factory returns an empty backend that lives until the test ends.
type Factory func(t *testing.T, clock auction.Clock) Backend

// Run runs the suite.
func Run(t *testing.T, open Factory) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *Scene)
	}{
		{"adopt appends a policy unless it is in force", testAdopt},
		{"a listing is in both logs", testListing},
		{"a listing is refused with the first reason", testListingRefused},
		{"a bid gets a numbered entry and a receipt", testBid},
		{"a bid is refused with the first reason", testBidRefused},
		{"what would spoil its log is refused", testMalformed},
		{"a bid that equals the highest wins by its stamp", testTie},
		{"sixteen digits stay exact", testSixteenDigits},
		{"sent again, a command gets its first answer", testAgain},
		{"a pseudonym signs one thing", testPseudonymUsed},
		{"a refusal is final and changes nothing", testRefusalFinal},
		{"no trusted time, no answer", testNoTime},
		{"bids at once are numbered without gaps", testConcurrent},
		{"a bid after the end is recorded, whatever its value", testRecorded},
		{"a late bid moves a soft end", testSoftClose},
		{"a seller withdraws before the first bid", testWithdraw},
		{"a withdrawal is refused with the first reason", testWithdrawRefused},
		{"a close opens the reserve, and sells nothing below", testReserve},
		{"so many refusals of a participant are remembered", testRefusedBound},
		{"so many auctions of a participant are listed at a time", testListedBound},
		{"an operator extends and cancels, in the open", testOperator},
		{"an auction that lost an entry takes nothing until it is resumed", testSuspend},
		{"a resumption opens nothing that had ended", testSuspendEnded},
		{"an outage moves the ends that were near, once", testOutage},
		{"no end is judged that an outage is still to move", testOutageUnseen},
		{"an outage comes before a loss that came to light with it", testOutageLoss},
		{"an outage counts by the policy of the listing", testOutagePolicy},
		{"a close is over the stamped head, once", testClose},
		{"many close at once, one record", testCloseConcurrent},
		{"seller and winner disclose, nobody else", testDisclose},
		{"messages stay until acknowledged", testAcknowledge},
		{"an audit is approved, then disclosed, once each", testAudit},
		{"due are the ended and open ones", testDue},
		{"mine are those I listed or bid in", testMine},
		{"certificates are kept once a signer", testCertificates},
		{"entries come in pages", testEntries},
		{"an auction keeps the policy that it was listed under", testPolicy},
		{"a watcher is woken until it stops", testWatch},
		{"what was archived leaves a tombstone", testArchive},
		{"proofs are kept once, a few of each authority", testProofs},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := NewClock()
			s := NewScene(t, t.Name(), open(t, clock.Now), clock)
			test.run(t, s)
			s.CheckLogs()
		})
	}
}

// CheckLogs checks what holds after every step: the logs replay to the states
// that the backend shows, and each auction of the house begins with its listing.
func (s *Scene) CheckLogs() {
	s.t.Helper()
	ctx := context.Background()
	house, err := s.House(ctx)
	if err != nil {
		s.t.Fatalf("house: %v", err)
	}
	replayed := new(auction.House)
	listings := make(map[auction.ID]auction.Entry)
	for _, e := range s.Log(auction.HouseLog) {
		if err := replayed.Apply(e); err != nil {
			s.t.Fatalf("replay the house log: %v", err)
		}
		if ev, err := auction.ParseEvent(e.Event); err == nil && ev.Kind == auction.SomeoneListed {
			listings[ev.Auction] = e
		}
	}
	if !reflect.DeepEqual(house, replayed) {
		s.t.Fatalf("the house log replays to another state")
	}
	for _, id := range house.Listings {
		if _, err := s.Removed(ctx, id); err == nil {
			continue // no log is left
		}
		log := s.Log(auction.LogID(id))
		state, err := auction.Replay(house.Policies, log)
		if err != nil {
			s.t.Fatalf("replay an auction: %v", err)
		}
		if hash, policy, err := s.PolicyOf(ctx, id); err != nil || hash != state.Terms.Policy || !reflect.DeepEqual(policy, state.Policy) {
			s.t.Fatalf("an auction is judged by another policy than it was listed under: %v", err)
		}
		if got := s.State(id); !reflect.DeepEqual(got, state) {
			s.t.Fatalf("the log of an auction replays to another state:\n%+v\n%+v", got, state)
		}
		if l := listings[id]; l.Commitment != log[0].Commitment || !bytes.Equal(l.Private, log[0].Private) {
			s.t.Fatalf("an auction begins with another listing than the house log's")
		}
	}
}

// checkAnswer checks that an answer is the entry in the log with a receipt for it.
func (s *Scene) checkAnswer(a auction.Answer, c auction.Command) {
	s.t.Helper()
	log, err := s.Entries(context.Background(), auction.LogID(c.Auction), a.Entry.Seq, 1)
	if err != nil || len(log) != 1 || !reflect.DeepEqual(log[0], a.Entry) {
		s.t.Fatalf("the answer's entry is not in the log: %v", err)
	}
	r := a.Receipt
	if r.Auction != c.Auction || r.Seq != a.Entry.Seq || r.Leaf != a.Entry.Leaf() || r.Index >= r.Batch {
		s.t.Fatalf("a receipt for something else: %+v", r)
	}
	if !bytes.Equal(r.Signature, signature(r)) {
		s.t.Fatalf("a receipt that was not signed as it stands")
	}
	p, err := a.Entry.Open()
	if err != nil || !bytes.Equal(p.JWS, c.JWS) || p.Participant != c.Participant {
		s.t.Fatalf("the private part is not the command's: %v", err)
	}
}

// refused checks the code of a refusal and returns it.
func (s *Scene) refused(err error, want auction.Code) *auction.Refusal {
	s.t.Helper()
	var r *auction.Refusal
	if !errors.As(err, &r) || r.Code != want {
		s.t.Fatalf("got %v, want the refusal %s", err, want)
	}
	return r
}

// ok checks that there is no error.
func (s *Scene) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("unexpected: %v", err)
	}
}

// equal checks that two values are deeply equal.
func (s *Scene) equal(got, want any) {
	s.t.Helper()
	if !reflect.DeepEqual(got, want) {
		s.t.Fatalf("got %v, want %v", got, want)
	}
}
