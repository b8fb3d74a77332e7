package auction

import (
	"cmp"
	"slices"
)

// Verdict is what the rules say of one command. An empty Code accepts it.
type Verdict struct {
	Code     Code
	Least    Amount // with CodeBidTooLow: the least acceptable amount; 0 if none is left
	Recorded bool   // accepted, to be judged at the close
	Ends     Time   // accepted, and moves the end there; 0 if it does not
}

// MaxRefused bounds the refusals that are remembered of a participant in a log.
// Beyond it one is answered with CodeRateLimited, and its pseudonym stays new.
const MaxRefused = 100

// MaxListed bounds the auctions that a participant lists in each thousand seconds
// since the epoch, by the house log's time: each takes room in the store for as
// long as it is kept. One more is answered with CodeRateLimited, and its
// pseudonym stays new.
const MaxListed = 200

// listedSpan is the thousand seconds in which listings are counted.
func listedSpan(now Time) int64 { return int64(now) / 1e9 }

// Refusal returns the verdict as an error, nil if it accepts.
func (v Verdict) Refusal() error {
	if v.Code == "" {
		return nil
	}
	return &Refusal{Code: v.Code, Detail: advice[v.Code], Least: v.Least}
}

// advice says what to do about each refusal that the rules decide.
var advice = map[Code]string{
	CodeBadHead:         "name the head of the log that the house shows you",
	CodeStaleHead:       "the log has moved on: look at it, then sign anew",
	CodeHeadInFuture:    "take the time stamp after you looked at the log",
	CodeStampInFuture:   "the time stamp is ahead of the house's clock: check the time authority",
	CodeStampTooOld:     "the command arrived too long after its time stamp: make a new one",
	CodeBeforeListing:   "the time stamp is not after the listing",
	CodeAuctionEnded:    "the auction has ended",
	CodeWrongTerms:      "these are not the terms of the auction: look at it again",
	CodeWrongCurrency:   "bid in the currency of the auction",
	CodeOwnAuction:      "a seller may not bid on the own item",
	CodeNotYourAuction:  "only the seller may withdraw an auction",
	CodeHasBids:         "there is a bid: an auction is withdrawn before the first one",
	CodeBidTooLow:       "bid at least the least acceptable amount",
	CodeTooManyRecorded: "no more bids of yours are recorded for this close",
	CodeUnknownPolicy:   "list under the policy that the house has in force",
	CodeBadTerms:        "an auction closes 10 seconds to 90 days after its listing, a soft one too",
	CodeSuspended:       "the house has lost entries of this auction, and takes nothing until its operator decides: keep your receipts, they prove it",
	CodePseudonymUsed:   "this pseudonym has signed something else: make a new one for each command",
	CodeUnknownAuction:  "there is no such auction",
	CodeTooOld:          "the auction was closed long ago, and archived: the operator of the house has its evidence",
	CodeRateLimited:     "too many commands of yours were refused here, or too many auctions listed: look first, and slow down",
}

// JudgeList applies the rules to a list command that arrives at the given time.
// A duplicate must have been answered before.
func (h *House) JudgeList(c Command, arrival Time) Verdict {
	if len(h.Policies) == 0 || h.InForce != c.Listing.Policy {
		return Verdict{Code: CodeUnknownPolicy}
	}
	p := h.Policies[h.InForce]
	if code := h.checkHead(c.Head, c.TS, p); code != "" {
		return Verdict{Code: code}
	}
	if code := checkFresh(c.TS, max(arrival, h.Arrival()), p); code != "" {
		return Verdict{Code: code}
	}
	if !c.Listing.InSpan(c.TS) {
		return Verdict{Code: CodeBadTerms}
	}
	return Verdict{}
}

// InSpan reports whether an auction of these terms that is listed at ts is open
// for as long as the rules allow.
func (t Terms) InSpan(ts Time) bool {
	latest := t.Closes
	if t.Soft != nil {
		latest = t.Soft.Latest
	}
	return t.Closes >= ts.Add(MinOpen) && latest <= ts.Add(MaxOpen)
}

// Judge applies the rules to a bid or a withdrawal: see [State.JudgeBid].
func (s *State) Judge(c Command, arrival Time) Verdict {
	if c.Kind == KindWithdraw {
		return s.JudgeWithdraw(c, arrival)
	}
	return s.JudgeBid(c, arrival)
}

// JudgeBid applies the rules of design section 4 to a bid that arrives at the
// given time. A duplicate must have been answered before. The order of the
// checks is part of the rules: place.lua gives the same codes.
func (s *State) JudgeBid(c Command, arrival Time) Verdict {
	now := max(arrival, s.Arrival())
	switch {
	case s.Closed != nil:
		return Verdict{Code: CodeAuctionEnded}
	case s.Suspended():
		return Verdict{Code: CodeSuspended}
	case c.TermsHash != s.TermsHash:
		return Verdict{Code: CodeWrongTerms}
	case c.Currency != s.Terms.Currency:
		return Verdict{Code: CodeWrongCurrency}
	case c.Participant == s.Seller:
		return Verdict{Code: CodeOwnAuction}
	}
	if code := s.checkHead(c.Head, c.TS, s.Policy); code != "" {
		return Verdict{Code: code}
	}
	switch {
	case c.TS <= s.Listed:
		return Verdict{Code: CodeBeforeListing}
	case c.TS >= s.End():
		return Verdict{Code: CodeAuctionEnded}
	}
	if code := checkFresh(c.TS, now, s.Policy); code != "" {
		return Verdict{Code: code}
	}
	if now >= s.End() && s.Final() {
		if s.recordedBy(c.Participant) >= s.Policy.MaxRecorded {
			return Verdict{Code: CodeTooManyRecorded}
		}
		return Verdict{Recorded: true}
	}
	if !s.outbids(c.Amount, c.TS, now) {
		return Verdict{Code: CodeBidTooLow, Least: s.Least()}
	}
	return Verdict{Ends: s.extension(c.Amount, c.TS, now)}
}

// JudgeWithdraw applies the rules to a withdrawal: see [State.JudgeBid].
// withdraw.lua gives the same codes.
func (s *State) JudgeWithdraw(c Command, arrival Time) Verdict {
	now := max(arrival, s.Arrival())
	switch {
	case s.Closed != nil:
		return Verdict{Code: CodeAuctionEnded}
	case s.Suspended():
		return Verdict{Code: CodeSuspended}
	case c.Participant != s.Seller:
		return Verdict{Code: CodeNotYourAuction}
	}
	if code := s.checkHead(c.Head, c.TS, s.Policy); code != "" {
		return Verdict{Code: code}
	}
	switch {
	case c.TS <= s.Listed:
		return Verdict{Code: CodeBeforeListing}
	case c.TS >= s.End():
		return Verdict{Code: CodeAuctionEnded}
	}
	if code := checkFresh(c.TS, now, s.Policy); code != "" {
		return Verdict{Code: code}
	}
	switch {
	case now >= s.End():
		return Verdict{Code: CodeAuctionEnded}
	case s.Leader != nil:
		return Verdict{Code: CodeHasBids}
	}
	return Verdict{}
}

// End is the effective end of the auction: stamps must be before it.
func (s *State) End() Time { return max(s.Terms.Closes, s.moved) }

// Final reports whether no bid can move the end any more. At such an end bids
// that arrive late are recorded, at another they are judged at once.
func (s *State) Final() bool { return s.Terms.Soft == nil || s.End() >= s.Terms.Soft.Latest }

// extension returns where an accepted bid moves the end, 0 if it does not: only
// one that raises the price does, so ties cannot keep an auction open.
func (s *State) extension(amount Amount, ts, arrival Time) Time {
	soft := s.Terms.Soft
	if s.Final() || s.Leader != nil && amount == s.Leader.Amount || ts < s.End()-Time(soft.Window) {
		return 0
	}
	if ends := min(soft.Latest, arrival+Time(soft.Extension)); ends > s.End() {
		return ends
	}
	return 0
}

// Least returns the least amount that a bid must have now, 0 if there is none
// below the bound of all amounts.
func (s *State) Least() Amount {
	if s.Leader == nil {
		return s.Terms.Minimum
	}
	if least := s.Leader.Amount + s.Terms.Increment; least.Valid() {
		return least
	}
	return 0
}

// outbids holds rule 3: the first bid reaches the minimum, a later one the
// highest plus the increment; or it equals the highest, has the earlier stamp,
// and arrives within the tie window of the first bid at that value. So the
// earliest stamp wins a tie in whatever order the network delivered.
func (s *State) outbids(amount Amount, ts, arrival Time) bool {
	lead := s.Leader
	if lead == nil {
		return amount >= s.Terms.Minimum
	}
	if amount >= lead.Amount+s.Terms.Increment {
		return true
	}
	return amount == lead.Amount && ts < lead.TS && arrival <= s.TieEnds()
}

// TieEnds is the latest arrival at which a bid that equals the leader's, with an
// earlier stamp, still takes the lead; 0, before any arrival, where none does.
func (s *State) TieEnds() Time {
	if s.Leader == nil || s.Terms.TieWindow == 0 {
		return 0
	}
	return s.leadSince + Time(s.Terms.TieWindow)
}

func (s *State) lead(b Bid) {
	if s.Leader == nil || b.Amount != s.Leader.Amount {
		s.leadSince = b.Arrival
	}
	s.Leader = &b
}

func (s *State) recordedBy(p Participant) int {
	n := 0
	for _, b := range s.Recorded {
		if b.Participant == p {
			n++
		}
	}
	return n
}

// Winner returns the bid that wins if the log ends here: the leader after the
// recorded bids were judged in order of (ts, sequence). It is nil if there is
// none, if it does not meet the reserve, and in an auction that ended otherwise.
// It is a pure function of the log; in a public view, which shows neither exact
// times nor, before the close, the reserve, it may name another bid.
func (s *State) Winner() *Bid {
	if s.Closed != nil && s.Closed.Head == nil {
		return nil
	}
	end := *s
	recorded := slices.Clone(s.Recorded)
	slices.SortFunc(recorded, func(a, b Bid) int {
		return cmp.Or(cmp.Compare(a.TS, b.TS), cmp.Compare(a.Seq, b.Seq))
	})
	for _, b := range recorded {
		if end.outbids(b.Amount, b.TS, b.Arrival) {
			end.lead(b)
		}
	}
	if s.Reserve != nil && end.Leader != nil && end.Leader.Amount < s.Reserve.Amount {
		return nil
	}
	return end.Leader
}
