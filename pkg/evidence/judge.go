package evidence

import (
	"math"

	"github.com/sigilo/sigilo/pkg/auction"
)

// An audit's bundle is judged by the rules themselves. What follows is as much
// of the rules as can be held against a log that shows less: never more than the
// rules demand, so that nothing rightly accepted is refused.

// judgeListing holds the rules of a listing that need nothing of the house log.
func judgeListing(c auction.Command, arrival auction.Time, p auction.Policy) error {
	if !c.Listing.InSpan(c.TS) {
		return auction.Refuse(auction.CodeBadTerms, "the auction closes too soon or too late after its listing")
	}
	// The house log may have seen a later arrival, and by that one it was no earlier.
	return judgeArrival(c.TS, arrival, math.MaxInt64, p)
}

// judgeArrival holds that a command arrived neither before its stamp nor long after.
// The rules go by the latest arrival in the log so far (14.3, now), which is one from
// earliest to latest.
func judgeArrival(ts, earliest, latest auction.Time, p auction.Policy) error {
	switch {
	case latest < ts-auction.Time(p.Skew):
		return auction.Refuse(auction.CodeStampInFuture, "it arrived before its time stamp")
	case earliest > ts+auction.Time(p.Freshness):
		return auction.Refuse(auction.CodeStampTooOld, "it arrived too long after its time stamp")
	}
	return nil
}

// judgeWithdrawal holds what the public part of a withdrawal shows.
func judgeWithdrawal(s *auction.State, ev auction.Event) error {
	switch {
	case len(s.Bids)+len(s.Recorded) > 0:
		return auction.Refuse(auction.CodeHasBids, "a withdrawal after the first bid")
	case timeOf(ev.Time+1) <= s.Listed:
		return auction.Refuse(auction.CodeBeforeListing, "a withdrawal stamped before the listing")
	case timeOf(ev.Time) >= s.End():
		return auction.Refuse(auction.CodeAuctionEnded, "a withdrawal stamped after the end")
	}
	return nil
}

// judgeShown holds of a bid or a withdrawal whose command is shown, in a log in
// which others are not, the rules that the others do not matter for. arrived is the
// latest at which it, or anything before it, can have arrived.
func judgeShown(s *auction.State, c auction.Command, arrival, arrived auction.Time) error {
	seller := s.Seller != (auction.Participant{}) // whether the listing's command is shown
	switch bid := c.Kind == auction.KindBid; {
	case bid && c.TermsHash != s.TermsHash:
		return auction.Refuse(auction.CodeWrongTerms, "a bid on other terms")
	case bid && c.Currency != s.Terms.Currency:
		return auction.Refuse(auction.CodeWrongCurrency, "a bid in another currency")
	case bid && c.Participant == s.Seller:
		return auction.Refuse(auction.CodeOwnAuction, "a bid of the seller")
	case !bid && seller && c.Participant != s.Seller:
		return auction.Refuse(auction.CodeNotYourAuction, "a withdrawal by another than the seller")
	case !s.Has(c.Head):
		return auction.Refuse(auction.CodeBadHead, "a command that names a head which is not of this log")
	case c.TS <= s.Listed: // to the second, if the listing's command is not shown
		return auction.Refuse(auction.CodeBeforeListing, "a command stamped before the listing")
	case c.TS >= s.End():
		return auction.Refuse(auction.CodeAuctionEnded, "a command stamped after the end")
	}
	return judgeArrival(c.TS, max(arrival, s.Arrival()), arrived, s.Policy)
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
// them, beats the leader, meets the reserve, and no other beats it by an
// increment; and where nothing was sold, no bid must have met the reserve.
func judgeOutcome(s *auction.State, ev auction.Event) error {
	wrong := malformed("the winner is not the one that the rules give")
	bids := s.Recorded
	if s.Leader != nil {
		bids = append([]auction.Bid{*s.Leader}, bids...)
	}
	least := s.Terms.Minimum // of what is sold
	if s.Reserve != nil {
		least = max(least, s.Reserve.Amount)
	}
	limit := least // from which on a bid would have won
	switch {
	case ev.Outcome == auction.Sold:
		won := false
		for _, b := range bids {
			won = won || b.Pseudonym == ev.Winner && b.Amount == ev.Amount
		}
		if !won || s.Leader != nil && ev.Amount < s.Leader.Amount || ev.Amount < least {
			return wrong
		}
		limit = ev.Amount + s.Terms.Increment
	case s.Leader != nil && s.Leader.Amount >= least:
		return wrong
	case s.Reserve != nil:
		limit = least + s.Terms.Increment // one below may lose to a bid that does not meet the reserve
	}
	for _, b := range bids {
		if b.Amount >= limit {
			return wrong
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
