package auction

import "slices"

// Lost is an entry for which the house has given its word, and which its log has
// not: Redis lost it. Who got a receipt for it holds the proof.
type Lost struct {
	Seq  uint64 `json:"seq"`
	Leaf Hash   `json:"leaf"`
}

const maxSeq = 1 << 53 // that all programs can read

func (l Lost) valid() bool { return l.Seq >= 1 && l.Seq < maxSeq && l.Leaf != (Hash{}) }

// Lacks reports whether the entry is not the one of the chain with its number.
func (c *Chain) Lacks(l Lost) bool {
	return l.Seq < 1 || l.Seq > c.Size() || c.leaves[l.Seq-1] != l.Leaf
}

// Suspended reports whether the auction takes nothing until the operator resumes
// or cancels it, since an entry was found lost.
func (s *State) Suspended() bool { return s.suspended != 0 && s.Closed == nil }

// SuspendedSince is when an auction that is suspended, or was cancelled while it
// was, took its last command; 0 for another.
func (s *State) SuspendedSince() Time { return s.suspended }

// SuspendEvent returns the event that says at the given trusted time what is
// lost, still without number and signature: see [Operator.Suspend].
func (s *State) SuspendEvent(lost Lost, now Time) (Event, error) {
	switch {
	case s.Closed != nil:
		return Event{}, Verdict{Code: CodeAuctionEnded}.Refusal()
	case !lost.valid() || !s.Lacks(lost):
		return Event{}, Refuse(CodeBadRequest, "that entry is not lost")
	}
	return Event{Kind: AuctionSuspended, Auction: s.ID, Time: int64(now) / 1_000_000, Lost: &lost}, nil
}

// ResumeEvent is SuspendEvent for the end of a suspension: see [Operator.Resume].
func (s *State) ResumeEvent(ends, now Time) (Event, error) {
	least := s.ResumedEnd(max(now, s.Arrival()))
	switch {
	case s.Closed != nil:
		return Event{}, Verdict{Code: CodeAuctionEnded}.Refusal()
	case !s.Suspended():
		return Event{}, Refuse(CodeBadRequest, "the auction is not suspended")
	case ends != 0 && least == 0:
		return Event{}, Refuse(CodeAuctionEnded, "the auction had ended when it was suspended")
	case ends != 0 && ends < least:
		return Event{}, Refuse(CodeBadTerms, "a resumption gives back all the time that was lost")
	case ends > now.Add(MaxOpen):
		return Event{}, Refuse(CodeBadTerms, "a resumed auction ends at most 90 days from now")
	}
	latest := s.Lost[len(s.Lost)-1]
	return Event{
		Kind: AuctionResumed, Auction: s.ID, Time: int64(now) / 1_000_000, Ends: max(ends, least), Lost: &latest,
	}, nil
}

// ResumedEnd is the earliest end that a suspended auction may have once it is
// resumed at the given time, the running maximum of the arrivals included: all the
// time that it had left comes back. It is 0 where the end had passed.
func (s *State) ResumedEnd(now Time) Time {
	if s.suspended >= s.End() {
		return 0
	}
	return s.End() + now - s.suspended
}

// whileSuspended reports whether the event may stand in the log of an auction that
// is suspended.
func (e Event) whileSuspended() bool {
	return e.Kind == AuctionSuspended || e.Kind == AuctionResumed ||
		e.Kind == AuctionClosed && e.Outcome == Cancelled
}

// suspend takes a suspension or a resumption that arrived at the given time. A
// resumption names the loss that was found last, and so stands for one place: what
// the house signed for it lifts no other suspension.
// Whether all lost time is given back is not checked here, since a public view
// has no exact times.
func (s *State) suspend(ev Event, arrival Time) error {
	if ev.Kind == AuctionSuspended {
		if !s.Lacks(*ev.Lost) || slices.Contains(s.Lost, *ev.Lost) {
			return Refuse(CodeBadRequest, "a suspension for an entry that is not lost, or was found lost before")
		}
		s.Lost = append(s.Lost, *ev.Lost)
		if s.suspended == 0 {
			s.suspended = arrival
		}
		return nil
	}
	if !s.Suspended() || *ev.Lost != s.Lost[len(s.Lost)-1] || ev.Ends != 0 && ev.Ends < s.End() {
		return Refuse(CodeBadRequest, "a resumption of what is not suspended, of another loss, or to an earlier end")
	}
	s.suspended, s.moved = 0, max(s.moved, ev.Ends)
	return nil
}
