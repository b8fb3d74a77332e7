package evidence

import (
	"github.com/sigilo/sigilo/pkg/auction"
)

// An audit's bundle is judged by the rules themselves. What follows is as much
// of the rules as can be held against a log that shows less: never more than the
// rules demand, so that nothing rightly accepted is refused.

// judgeListing holds the rules of a listing that need nothing of the house log.
func judgeListing(c auction.Command, arrival auction.Time, p auction.Policy) error {
	open := c.Listing.Closes.Sub(c.TS)
	if open < auction.MinOpen || open > auction.MaxOpen {
		return auction.Refuse(auction.CodeBadTerms, "the auction closes too soon or too late after its listing")
	}
	return judgeArrival(c.TS, arrival, p)
}

// judgeArrival holds that a command arrived neither before its stamp nor long after.
func judgeArrival(ts, arrival auction.Time, p auction.Policy) error {
	switch {
	case arrival < ts-auction.Time(p.Skew):
		return auction.Refuse(auction.CodeStampInFuture, "it arrived before its time stamp")
	case arrival > ts+auction.Time(p.Freshness):
		return auction.Refuse(auction.CodeStampTooOld, "it arrived too long after its time stamp")
	}
	return nil
}

// judgeShown holds of a bid whose command is shown, in a log in which others
// are not, the rules that the others do not matter for.
func judgeShown(s *auction.State, c auction.Command, arrival auction.Time) error {
	switch {
	case c.TermsHash != s.TermsHash:
		return auction.Refuse(auction.CodeWrongTerms, "a bid on other terms")
	case c.Currency != s.Terms.Currency:
		return auction.Refuse(auction.CodeWrongCurrency, "a bid in another currency")
	case c.Participant == s.Seller:
		return auction.Refuse(auction.CodeOwnAuction, "a bid of the seller")
	case !s.Has(c.Head):
		return auction.Refuse(auction.CodeBadHead, "a bid that names a head which is not of this log")
	case c.TS <= s.Listed: // to the second, if the listing's command is not shown
		return auction.Refuse(auction.CodeBeforeListing, "a bid stamped before the listing")
	case c.TS >= s.End():
		return auction.Refuse(auction.CodeAuctionEnded, "a bid stamped after the end")
	}
	return judgeArrival(c.TS, arrival, s.Policy)
}

// judgePublic holds what the public part of a bid shows of the rules: times to
// the second, and amounts.
func judgePublic(s *auction.State, ev auction.Event) error {
	switch {
	case timeOf(ev.Time+1) <= s.Listed:
		return auction.Refuse(auction.CodeBeforeListing, "a bid stamped before the listing")
	case timeOf(ev.Time) >= s.End():
		return auction.Refuse(auction.CodeAuctionEnded, "a bid stamped after the end")
	case ev.Recorded:
		return nil
	case len(s.Recorded) > 0:
		return auction.Refuse(auction.CodeAuctionEnded, "a bid judged after others arrived past the end")
	case s.Leader == nil && ev.Amount < s.Terms.Minimum:
		return auction.Refuse(auction.CodeBidTooLow, "a bid below the minimum")
	case s.Leader == nil || ev.Amount >= s.Leader.Amount+s.Terms.Increment:
		return nil
	case ev.Amount == s.Leader.Amount && s.Terms.TieWindow > 0 && ev.Time <= int64(s.Leader.TS)/1_000_000:
		return nil // an earlier stamp at the same amount
	}
	return auction.Refuse(auction.CodeBidTooLow, "a bid that does not outbid the one before")
}

// judgeOutcome holds what can be said of the winner among recorded bids, whose
// order depends on times that are not shown: the winner is the leader or one of
// them, beats the leader, and no other beats it by an increment.
func judgeOutcome(s *auction.State, ev auction.Event) error {
	bids := s.Recorded
	if s.Leader != nil {
		bids = append([]auction.Bid{*s.Leader}, bids...)
	}
	won := ev.Outcome == auction.Unsold
	for _, b := range bids {
		won = won || b.Pseudonym == ev.Winner && b.Amount == ev.Amount
	}
	if !won || s.Leader != nil && ev.Amount < s.Leader.Amount ||
		ev.Outcome == auction.Sold && ev.Amount < s.Terms.Minimum {
		return malformed("the winner is not the one that the rules give")
	}
	limit := s.Terms.Minimum // from which on a bid would have won
	if ev.Outcome == auction.Sold {
		limit = ev.Amount + s.Terms.Increment
	}
	for _, b := range bids {
		if b.Amount >= limit {
			return malformed("the winner is not the one that the rules give")
		}
	}
	return nil
}

// extension holds that the end moves where the rules move it: an extension by a
// bid stands right after that bid and repeats its commitment. In an audit, which
// shows all times, it is exactly the one of the rules, and none is missing. before
// is the state before e, after the bid.
func (r *replay) extension(before *auction.State, e auction.Entry, ev auction.Event) error {
	moves := ev.Kind == auction.AuctionExtended && ev.Cause == auction.CauseBid
	if r.bundle.Kind == Audit {
		if moves != (r.moves > 0) || moves && ev.Ends != r.moves {
			return malformed("the end is not where the rules move it")
		}
	}
	if !moves {
		return nil
	}
	bid := r.event
	if bid.Kind != auction.SomeoneBid || bid.Recorded || e.Commitment != r.last.Commitment || ev.Time != bid.Time {
		return malformed("an extension that is not of the bid before it")
	}
	if soft := before.Terms.Soft; soft == nil || ev.Ends > soft.Latest ||
		timeOf(bid.Time+1) <= before.End()-auction.Time(soft.Window) ||
		ev.Ends > timeOf(bid.Time+1)+auction.Time(before.Policy.Freshness+soft.Extension) {
		return malformed("an extension that the terms do not allow")
	}
	return nil
}

// timeOf is the time of so many seconds since 1970.
func timeOf(s int64) auction.Time { return auction.Time(s * 1_000_000) }
