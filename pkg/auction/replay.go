package auction

import (
	"cmp"
	"fmt"
	"maps"
)

// Bid is an accepted or recorded bid of an auction's log.
type Bid struct {
	Seq         uint64
	Pseudonym   Pseudonym
	Participant Participant // zero in a public view
	Amount      Amount
	TS          Time // in a public view to the second
	Arrival     Time // running maximum over the log; 0 in a public view
}

// State is what an auction's log amounts to. It is a value: a copy stays as it
// is while the original takes more entries, and takes none itself. Not safe for
// concurrent use.
type State struct {
	Chain
	ID        ID
	Policy    Policy
	Terms     Terms
	TermsHash Hash
	Seller    Participant // zero in a public view
	Listed    Time        // time stamp of the listing
	Bids      []Bid       // accepted, in their order, without the recorded ones
	Leader    *Bid        // highest, nil before the first
	Recorded  []Bid       // arrived after the end, judged at the close
	Closed    *Event      // how it ended, nil while open
	Reserve   *Opening    // of the reserve; nil without one, and in a public view before the close
	Lost      []Lost      // entries that the house found lost, in the order of the finding

	leadSince Time // arrival of the first bid at the leader's amount
	moved     Time // end of the latest extension, 0 before the first
	outage    Time // end of the latest outage that was counted, 0 before the first
	suspended Time // since when nothing is taken, 0 if it is; in a public view to the second
}

// House is what the house log amounts to: a value like [State].
type House struct {
	Chain
	Policies map[Hash]Policy
	InForce  Hash // of the latest policy
	Listings []ID // in order of their listing
	Audits   map[Audit]bool
}

// Audit is an operator's leave for one auditor to see one auction's private parts.
type Audit struct {
	Auction ID
	Auditor Hash // thumbprint of the auditor's certificate
}

// Replay builds the state of an auction from its whole log. policies are those
// of the house log. It refuses a log that is not one: see [State.Apply].
func Replay(policies map[Hash]Policy, entries []Entry) (*State, error) {
	s := new(State)
	for _, e := range entries {
		if err := s.Apply(policies, e); err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Seq, err)
		}
	}
	return s, nil
}

// Apply takes one more entry. It checks the form of the log (numbers without
// gaps, the listing first, nothing after the close) and not whether the entry
// was rightly accepted: that is what an auditor does with [State.JudgeBid].
// An entry without its private part is applied as the public sees it.
func (s *State) Apply(policies map[Hash]Policy, e Entry) error {
	ev, priv, err := s.open(e)
	if err != nil {
		return err
	}
	if first := s.Size() == 0; first != (ev.Kind == SomeoneListed) || s.Closed != nil ||
		!first && ev.Auction != s.ID {
		return Refuse(CodeBadRequest, "an entry out of its place")
	}
	if s.Suspended() && !ev.whileSuspended() {
		return Verdict{Code: CodeSuspended}.Refusal()
	}
	switch ev.Kind {
	case SomeoneListed:
		terms, err := ParseTerms([]byte(ev.Terms))
		if err != nil {
			return err
		}
		policy, ok := policies[terms.Policy]
		if !ok {
			return Refuse(CodeUnknownPolicy, "listed under a policy that the house log does not hold")
		}
		if len(e.Private) > 0 && !terms.Opens(priv.Reserve) {
			return Refuse(CodeBadTerms, "a listing that does not open the reserve of its terms")
		}
		s.Reserve = priv.Reserve
		s.ID, s.Policy, s.Terms, s.TermsHash = ev.Auction, policy, terms, TermsHash([]byte(ev.Terms))
		s.Seller, s.Listed = priv.Participant, priv.TS
	case SomeoneBid:
		b := Bid{
			Seq: ev.Seq, Pseudonym: ev.Pseudonym, Participant: priv.Participant,
			Amount: ev.Amount, TS: priv.TS, Arrival: max(priv.Arrival, s.Arrival()),
		}
		if ev.Recorded {
			s.Recorded = append(s.Recorded, b)
		} else {
			s.accepted(b)
		}
	case AuctionExtended:
		if ev.Ends <= s.End() {
			return Refuse(CodeBadRequest, "an extension that does not extend")
		}
		if ev.Cause == CauseOutage {
			if ev.Ends != s.movedBy(*ev.Outage) {
				return Refuse(CodeBadRequest, "an extension by an outage that does not count, or to another end")
			}
			s.outage = ev.Outage.To
		}
		s.moved = ev.Ends
	case AuctionSuspended, AuctionResumed:
		at := max(priv.Arrival, s.Arrival())
		if len(e.Private) == 0 {
			at = priv.TS
		}
		if err := s.suspend(ev, at); err != nil {
			return err
		}
	case AuctionClosed:
		if ev.Head != nil && *ev.Head != s.Head() {
			return Refuse(CodeBadHead, "a close over another head than the log's")
		}
		if ev.Head != nil && !s.Terms.Opens(ev.Reserve) {
			return Refuse(CodeBadTerms, "a close that does not open the reserve of the terms")
		}
		s.Closed, s.Reserve = &ev, cmp.Or(ev.Reserve, s.Reserve)
	default:
		return Refuse(CodeBadRequest, "an event that is not of an auction's log")
	}
	s.add(e.Leaf(), priv.Arrival)
	return nil
}

// ApplyBid takes the entry with the given leaf that an accepted bid became, one
// that was not recorded. It does what Apply does with that entry, for whoever
// committed it and need not read it again. It refuses one that is not the next.
func (s *State) ApplyBid(b Bid, leaf Hash) error {
	if s.Size() == 0 || b.Seq != s.Size()+1 || s.Closed != nil || s.Suspended() {
		return Refuse(CodeBadRequest, "an entry out of its place")
	}
	arrival := b.Arrival
	b.Arrival = max(arrival, s.Arrival())
	s.accepted(b)
	s.add(leaf, arrival)
	return nil
}

func (s *State) accepted(b Bid) {
	s.lead(b)
	s.Bids = append(s.Bids, b)
}

// Apply takes one more entry of the house log: see [State.Apply].
func (h *House) Apply(e Entry) error {
	ev, priv, err := h.open(e)
	if err != nil {
		return err
	}
	switch ev.Kind {
	case PolicyAdopted:
		p, err := ParsePolicy([]byte(ev.Policy))
		if err != nil {
			return err
		}
		h.InForce = PolicyHash([]byte(ev.Policy))
		h.Policies = with(h.Policies, h.InForce, p)
	case SomeoneListed:
		h.Listings = append(h.Listings, ev.Auction)
	case AuditApproved:
		h.Audits = with(h.Audits, Audit{ev.Auction, *ev.Auditor}, true)
	case AuditDisclosed:
	default:
		return Refuse(CodeBadRequest, "an event that is not of the house log")
	}
	h.add(e.Leaf(), priv.Arrival)
	return nil
}

// with returns a copy of m that maps k to v: copies of a House stay as they are.
func with[K comparable, V any](m map[K]V, k K, v V) map[K]V {
	out := make(map[K]V, len(m)+1)
	maps.Copy(out, m)
	out[k] = v
	return out
}

// open parses the next entry of the chain and checks what both logs demand.
func (c *Chain) open(e Entry) (Event, Private, error) {
	ev, err := ParseEvent(e.Event)
	if err != nil {
		return Event{}, Private{}, err
	}
	if e.Seq != c.Size()+1 || ev.Seq != e.Seq {
		return Event{}, Private{}, Refuse(CodeBadRequest, "a gap in the log")
	}
	if len(e.Private) == 0 && len(e.Salt) == 0 {
		return ev, Private{TS: Time(ev.Time) * 1_000_000}, nil
	}
	priv, err := e.Open()
	if err != nil {
		return Event{}, Private{}, err
	}
	if int64(priv.TS)/1_000_000 != ev.Time {
		return Event{}, Private{}, Refuse(CodeBadRequest, "an event of another time than its stamps")
	}
	return ev, priv, nil
}

// PublicHead returns the latest head that may be shown: bids that were recorded
// after the end stay hidden until the close.
func (s *State) PublicHead() Head {
	if s.Closed == nil && len(s.Recorded) > 0 {
		return s.HeadAt(s.Recorded[0].Seq - 1)
	}
	return s.Head()
}

// ClosingEvent returns the close record over the whole log as it stands, except
// for its sequence number. stamps are q time stamps over [CloseDigest], median
// their median.
func (s *State) ClosingEvent(stamps []Blob, median Time) Event {
	head := s.Head()
	e := Event{
		Kind: AuctionClosed, Auction: s.ID, Time: int64(median) / 1_000_000,
		Outcome: Unsold, Head: &head, Stamps: stamps, Reserve: s.Reserve,
	}
	if w := s.Winner(); w != nil {
		e.Outcome, e.Winner, e.Amount = Sold, w.Pseudonym, w.Amount
	}
	return e
}
