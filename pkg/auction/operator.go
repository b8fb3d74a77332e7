package auction

import "context"

// An Operator does what the operator of a house may do to an open auction, and
// what the house must do when Redis has lost entries, by a public entry that the
// house signs. Nobody can shorten an auction, change its terms, or open one again.
// All methods are safe for concurrent use, durable, and fail as those of [Store]
// do; they refuse an auction that has ended with CodeAuctionEnded and an unknown
// one with CodeUnknownAuction.
type Operator interface {
	// Extend moves the end, also past the latest of a soft close. It refuses an
	// end that has passed with CodeAuctionEnded, one that is not later than
	// before, or more than [MaxOpen] ahead, with CodeBadTerms, and an auction that
	// is suspended with CodeSuspended.
	Extend(ctx context.Context, id ID, ends Time) error

	// Cancel ends the auction; nothing is sold.
	Cancel(ctx context.Context, id ID) error

	// Suspend notes that an entry is lost, once. From then on nothing is taken
	// until the operator resumes or cancels the auction. That the house has given
	// its word for the entry is the caller's duty to know; it refuses one that the
	// log has, when it would say so, with CodeBadRequest. What an outage owes to the
	// auction is given first: see [Pulse].
	Suspend(ctx context.Context, id ID, lost Lost) error

	// Resume ends a suspension. The auction ends when it would have, later by as
	// long as it was suspended, or at ends if that is later still; 0 is no wish. It
	// refuses an end that is too early, or more than [MaxOpen] ahead, with
	// CodeBadTerms, one for an auction that had ended before it was suspended with
	// CodeAuctionEnded, and an auction that is not suspended with CodeBadRequest.
	Resume(ctx context.Context, id ID, ends Time) error
}

// ExtendEvent returns the event of an extension by the operator at the given
// trusted time, still without number and signature: see [Operator].
func (s *State) ExtendEvent(ends, now Time) (Event, error) {
	switch {
	case s.Suspended():
		return Event{}, Verdict{Code: CodeSuspended}.Refusal()
	case s.Closed != nil || max(now, s.Arrival()) >= s.End():
		return Event{}, Verdict{Code: CodeAuctionEnded}.Refusal()
	case ends <= s.End():
		return Event{}, Refuse(CodeBadTerms, "an extension ends later than the auction does now")
	case ends > now.Add(MaxOpen) || !validTime(ends):
		return Event{}, Refuse(CodeBadTerms, "an extension ends at most 90 days from now")
	}
	return Event{
		Kind: AuctionExtended, Auction: s.ID, Time: int64(now) / 1_000_000, Ends: ends, Cause: CauseOperator,
	}, nil
}

// CancelEvent is ExtendEvent for the end of an auction by the operator.
func (s *State) CancelEvent(now Time) (Event, error) {
	if s.Closed != nil {
		return Event{}, Verdict{Code: CodeAuctionEnded}.Refusal()
	}
	return Event{Kind: AuctionClosed, Auction: s.ID, Time: int64(now) / 1_000_000, Outcome: Cancelled}, nil
}

// Notice is what the house signs of an event that no participant commands and no
// rule demands: what follows the sequence number, without the signature.
func (e Event) Notice() []byte {
	e.Signature = nil
	return e.Tail()
}
