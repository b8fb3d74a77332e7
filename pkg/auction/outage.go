package auction

import (
	"context"
	"slices"
	"time"
)

const (
	// MinOutage is the shortest time without a heartbeat that a house keeps as an
	// [Outage].
	MinOutage = 20 * time.Second

	// MaxPulse is how old the latest heartbeat that a replica knows may be when it
	// takes a command up. The other half of MinOutage is for the command to be judged:
	// until then no outage can have come to light that the replica does not know.
	MaxPulse = MinOutage / 2

	// MaxOutages is how many outages a house keeps, the latest.
	MaxOutages = 100

	maxOutageAfter     = time.Hour
	minOutageExtension = time.Minute
	maxOutageExtension = 24 * time.Hour
)

// Outage is a time in which a house made no heartbeat, by the trusted time: it had
// no such time, no store that takes writes, or no replica, and so took no command
// either.
type Outage struct {
	From Time `json:"from"` // the last heartbeat before
	To   Time `json:"to"`   // the first one after
}

func (o Outage) valid() bool { return validTime(o.From) && validTime(o.To) && o.From < o.To }

// A Pulse is how a house knows when it could take commands. All methods are safe
// for concurrent use, durable, and fail as those of [Store] do.
type Pulse interface {
	// Beat makes a heartbeat. If the one before it was [MinOutage] ago or longer, by
	// whichever replica, the time between is kept as an outage, once. Then it extends
	// each auction to which an outage is owed that this process has not looked at
	// before. [Store.Place] and [Store.Close] do so too for the auction that they are
	// about, and make a heartbeat first if there may be an outage that they do not
	// know: no end is judged that is still to move.
	Beat(ctx context.Context) error
}

// ErrBehind is the refusal of a replica whose clock shows less than a heartbeat that
// it knows, or needs.
var ErrBehind = Refuse(CodeUnavailable, "the clock of this replica is behind: try again")

// Owed returns the first of the outages, in their order, that moves the end: see
// [State.OutageEvent].
func (s *State) Owed(outages []Outage) (Outage, bool) {
	i := slices.IndexFunc(outages, func(o Outage) bool { return s.movedBy(o) != 0 })
	if i < 0 {
		return Outage{}, false
	}
	return outages[i], true
}

// OutageEvent returns the event of an extension by an outage at the given trusted
// time, still without number and signature. It refuses an outage that moves no end
// with CodeBadTerms, and one that is not over by that time with CodeUnavailable.
func (s *State) OutageEvent(o Outage, now Time) (Event, error) {
	ends := s.movedBy(o)
	switch {
	case ends == 0:
		return Event{}, Refuse(CodeBadTerms, "an outage that does not move the end")
	case now < o.To:
		return Event{}, ErrBehind
	}
	return Event{
		Kind: AuctionExtended, Auction: s.ID, Time: int64(now) / 1_000_000, Ends: ends, Cause: CauseOutage, Outage: &o,
	}, nil
}

// movedBy returns where an outage moves the end, 0 if it does not: one that is long
// enough, began after the listing, after the outage that was counted before and
// before the end, and left less time than the policy gives. Nothing is moved once a
// bid was recorded at the end, as that was its bidder's last. An outage of a time in
// which bids were taken was none: the latest bid was stamped at most MaxPulse and the
// skew after it began.
//
// A public view, whose times are to the second, says the same or lets more pass.
func (s *State) movedBy(o Outage) Time {
	p := s.Policy
	after, ends := Time(p.OutageAfter), o.To+Time(p.OutageExtension)
	if after == 0 || !o.valid() || o.To-o.From < after || ends <= s.End() || !validTime(ends) ||
		o.From < s.Listed || o.From < s.outage || o.From >= s.End() ||
		s.Closed != nil || s.Suspended() || len(s.Recorded) > 0 {
		return 0
	}
	latest := o.From.Add(MaxPulse) + Time(p.Skew)
	if slices.ContainsFunc(s.Bids, func(b Bid) bool { return b.TS > latest }) {
		return 0
	}
	return ends
}

// outagesValid checks what a policy says of outages.
func (p Policy) outagesValid() bool {
	if p.OutageAfter == 0 && p.OutageExtension == 0 {
		return true
	}
	return p.OutageAfter >= MinOutage.Microseconds() && p.OutageAfter <= maxOutageAfter.Microseconds() &&
		p.OutageExtension >= minOutageExtension.Microseconds() && p.OutageExtension <= maxOutageExtension.Microseconds()
}
