package auctiontest

import (
	"context"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// A Story is an auction whose logs are kept as golden files, so that a change of
// their bytes, or of what they amount to, is noticed. On any backend that works
// with the scene's clock, [Signer] and [Zeros] it gives the same bytes.
type Story struct {
	Name string // of its file
	Tell func(*Scene) auction.ID
}

// NewStoryScene makes the scene of a story on a new backend.
func NewStoryScene(t TB, b Backend, clock *Clock) *Scene {
	t.Helper()
	return NewScene(t, "rules", b, clock)
}

// Stories are told of everything that an auction's log can hold.
func Stories() []Story {
	return []Story{
		{"log", tieAndLateBids},
		{"soft", softEnd},
		{"withdrawn", withdrawal},
		{"reserve_met", reserveOf(1500, auction.Sold)},
		{"reserve_unmet", reserveOf(1501, auction.Unsold)},
		{"extended", extension},
		{"cancelled", cancellation},
		{"suspended", suspension},
	}
}

// tieAndLateBids has a tie that the later bid wins, and bids that are recorded.
func tieAndLateBids(s *Scene) auction.ID {
	s.t.Helper()
	id := s.Listed("seller", s.Terms())
	s.Clock.Advance(time.Minute)
	tie, leader := s.Bid(id, "anna", 1000), s.Bid(id, "ben", 1000)
	s.Accept(leader)
	s.Accept(tie)
	end := s.State(id).End()
	s.Clock.Set(end)
	s.Accept(Restamped(s.Bid(id, "ben", 1049), end-2))
	s.Accept(Restamped(s.Bid(id, "carl", auction.MaxAmount), end-1))
	s.Ended(id)
	return id
}

// softEnd has an end that bids move three times, the last time to the latest end,
// after which one is recorded; a bid before the window and a tie move nothing.
func softEnd(s *Scene) auction.ID {
	s.t.Helper()
	terms := s.SoftTerms()
	terms.Soft.Latest = terms.Closes + auction.Time(2*terms.Soft.Extension)
	id := s.Listed("seller", terms)
	s.Clock.Advance(time.Minute)
	s.Accept(s.Bid(id, "anna", 1000))
	for _, amount := range []auction.Amount{2000, 3000, 4000} {
		s.Clock.Set(s.State(id).End() - 1_500_000)
		tie, leader := s.Bid(id, "carl", amount), s.Bid(id, "ben", amount)
		s.Accept(leader)
		s.Accept(tie)
	}
	s.Clock.Set(terms.Soft.Latest)
	s.Accept(Restamped(s.Bid(id, "ben", 5000), terms.Soft.Latest-1))
	s.Ended(id)
	return id
}

// withdrawal ends before the first bid.
func withdrawal(s *Scene) auction.ID {
	s.t.Helper()
	id := s.Listed("seller", s.Terms())
	s.Clock.Advance(time.Minute)
	s.Accept(s.Withdrawal(id, "seller"))
	return id
}

// reserveOf is an auction with a reserve price and a highest bid of 1500.
func reserveOf(price auction.Amount, outcome string) func(*Scene) auction.ID {
	return func(s *Scene) auction.ID {
		s.t.Helper()
		terms := s.Terms()
		terms.Reserve = s.Reserve(price)
		id := s.Listed("seller", terms)
		s.Accept(s.Bid(id, "anna", 1000))
		s.Accept(s.Bid(id, "ben", 1500))
		s.Ended(id)
		if got := s.State(id).Closed.Outcome; got != outcome {
			s.t.Fatalf("a reserve of %d: %s", price, got)
		}
		return id
	}
}

// extension has an end that the operator moves, and a bid after the first end.
func extension(s *Scene) auction.ID {
	s.t.Helper()
	terms := s.Terms()
	id := s.Listed("seller", terms)
	s.Accept(s.Bid(id, "anna", 1000))
	s.must("extend", s.Extend(context.Background(), id, terms.Closes.Add(time.Hour)))
	s.Clock.Set(terms.Closes)
	s.Accept(s.Bid(id, "ben", 2000))
	s.Ended(id)
	return id
}

// cancellation is an auction with a bid that the operator ends without a sale.
func cancellation(s *Scene) auction.ID {
	s.t.Helper()
	id := s.Listed("seller", s.Terms())
	s.Accept(s.Bid(id, "anna", 1000))
	s.Clock.Advance(time.Minute)
	s.must("cancel", s.Cancel(context.Background(), id))
	return id
}

// suspension is an auction of which two entries are found lost, and which goes on
// for as long as it stood still.
func suspension(s *Scene) auction.ID {
	s.t.Helper()
	ctx := context.Background()
	id := s.Listed("seller", s.Terms())
	s.Accept(s.Bid(id, "anna", 1000))
	s.Clock.Advance(time.Minute)
	s.must("suspend", s.Suspend(ctx, id, lost(2)))
	s.must("suspend", s.Suspend(ctx, id, lost(9)))
	s.Clock.Advance(time.Hour)
	s.must("resume", s.Resume(ctx, id, 0))
	s.Accept(s.Bid(id, "ben", 2000))
	s.Ended(id)
	return id
}

func (s *Scene) must(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// Summary is what the log of a closed auction amounts to.
type Summary struct {
	Head                  auction.Head
	Seller                auction.Hash
	Bids, Recorded        int
	Leader, Winner        auction.Pseudonym
	LeaderAmount, Amount  auction.Amount
	Least                 auction.Amount
	End, Arrival, TieEnds auction.Time
	TermsHash, PolicyHash auction.Hash
	Outcome               string
	Reserve               auction.Amount `json:",omitzero"` // opened; 0: none
	Lost                  int            `json:",omitzero"` // entries
}

// Summarize sums up a closed auction.
func Summarize(s *auction.State) Summary {
	sum := Summary{
		Head: s.Head(), Seller: auction.Hash(s.Seller), Bids: len(s.Bids), Recorded: len(s.Recorded),
		Winner: s.Closed.Winner, Amount: s.Closed.Amount,
		Least: s.Least(), End: s.End(), Arrival: s.Arrival(), TieEnds: s.TieEnds(),
		TermsHash: s.TermsHash, PolicyHash: s.Terms.Policy, Outcome: s.Closed.Outcome, Lost: len(s.Lost),
	}
	if s.Leader != nil {
		sum.Leader, sum.LeaderAmount = s.Leader.Pseudonym, s.Leader.Amount
	}
	if s.Closed.Reserve != nil {
		sum.Reserve = s.Closed.Reserve.Amount
	}
	return sum
}
