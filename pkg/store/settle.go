package store

import (
	"context"
	"log/slog"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// lookAgain is for how long an auction that is suspended is not due after it did
// not close, so that many of them keep no other from closing. It stays in the list:
// whatever fails or crosses when it is resumed, it closes this much later at most.
const lookAgain = 10 * time.Second

// Close implements [auction.Store].
func (s *Store) Close(ctx context.Context, id auction.ID, head auction.Head, stamps []auction.Blob, median auction.Time) error {
	state, err := s.Auction(ctx, id)
	if auction.CodeOf(err) == auction.CodeTooOld { // archived, so it was closed
		s.leaveDue(ctx, id)
		return nil
	} else if err != nil {
		return err
	}
	done, err := state.CheckClose(head, median)
	if auction.CodeOf(err) == auction.CodeSuspended {
		s.postpone(ctx, id, median.Add(lookAgain))
	}
	if err != nil {
		return err
	}
	if !done {
		if err := s.repay(ctx, id, state.End()); err != nil { // after which the log is longer, if it was owed something
			return err
		}
		event := state.ClosingEvent(stamps, median)
		err := s.withState(ctx, id, func() error { return s.runClose(ctx, id, head, event, median) })
		if err != nil {
			return err
		}
	}
	s.leaveDue(ctx, id)
	return nil
}

// leaveDue takes an auction out of the list of what is due. That is a hint: what
// stays in it is closed once more, which does nothing, and leaves it then.
func (s *Store) leaveDue(ctx context.Context, id auction.ID) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := s.client.ZRem(ctx, s.keys(auction.HouseLog).due, string(id)).Err(); err != nil {
		s.log.WarnContext(ctx, "a closed auction stays in the list of those due", slog.Any("error", err))
	}
}

func (s *Store) runClose(ctx context.Context, id auction.ID, head auction.Head, event auction.Event, median auction.Time) error {
	k := s.keys(auction.LogID(id))
	tail := event.Tail()
	added, err := s.append(ctx, &call{script: closeScript, keys: []string{k.state, k.log, k.mail}, size: len(tail) + 512},
		func(now auction.Time) auction.Private { return auction.Private{Arrival: now, TS: median} },
		func(now auction.Time, deadline string, e auction.Entry) []any {
			return []any{deadline, text(head.Size), text(now), tail, e.Commitment[:], e.Salt, e.Private}
		})
	if added {
		s.metrics.closes.WithLabelValues(event.Outcome).Inc()
	}
	return err
}

// append runs a script that appends an event which no participant commands. It
// returns false if the event was there already.
func (s *Store) append(
	ctx context.Context, c *call, private func(auction.Time) auction.Private,
	args func(auction.Time, string, auction.Entry) []any,
) (bool, error) {
	var added bool
	var sealed stored
	c.args = func(now auction.Time, deadline string) ([]any, error) {
		var err error
		if sealed.Entry, err = s.seal(private(now)); err != nil {
			return nil, err
		}
		return args(now, deadline, sealed.Entry), nil
	}
	c.finish = func(reply []string) (*auction.Receipt, error) {
		if reply[0] != "ok" {
			return nil, word(reply)
		}
		entry, again, err := parsePlaced(reply, sealed)
		if err == nil {
			s.metrics.appended(c.script, entry, again)
			added = !again
		}
		return nil, err
	}
	if err := s.submit(ctx, c); err != nil {
		return false, err
	}
	return added, nil
}

// Adopt implements [auction.Store].
func (s *Store) Adopt(ctx context.Context, policy []byte) error {
	p, err := auction.ParsePolicy(policy)
	if err != nil {
		return err
	}
	return s.note(ctx, "", auction.Event{Kind: auction.PolicyAdopted, Policy: string(policy)},
		auction.PolicyHash(policy).String(), text(p.Skew), text(p.Freshness))
}

// Audit implements [auction.Store].
func (s *Store) Audit(ctx context.Context, kind auction.EventKind, audit auction.Audit) error {
	switch kind {
	case auction.AuditApproved:
		if _, err := s.Auction(ctx, audit.Auction); err != nil {
			return err
		}
	case auction.AuditDisclosed:
		house, err := s.House(ctx)
		if err != nil {
			return err
		}
		if !house.Audits[audit] {
			return auction.Refuse(auction.CodeNotAllowed, "no operator has approved this audit")
		}
	default:
		return auction.Refuse(auction.CodeBadRequest, "an audit is approved or disclosed")
	}
	event := auction.Event{Kind: kind, Auction: audit.Auction, Auditor: &audit.Auditor}
	return s.note(ctx, auditMark(kind, audit), event, "", "", "")
}

// auditMark is the field of the house's answers that an audit event is there once
// for. It is no pseudonym.
func auditMark(kind auction.EventKind, audit auction.Audit) string {
	return string(kind) + ":" + string(audit.Auction) + ":" + audit.Auditor.String()
}

// note appends an event to the house log, timed by the trusted time.
func (s *Store) note(ctx context.Context, mark string, event auction.Event, policy, skew, freshness string) error {
	k := s.keys(auction.HouseLog)
	return s.withHouse(ctx, func() error {
		_, err := s.append(ctx,
			&call{script: noteScript, keys: []string{k.state, k.log, k.answers}, size: len(event.Policy) + 1024},
			func(now auction.Time) auction.Private { return auction.Private{Arrival: now, TS: now} },
			func(now auction.Time, deadline string, e auction.Entry) []any {
				event.Time = int64(now) / 1_000_000
				return []any{
					deadline, mark, policy, skew, freshness, text(now), event.Tail(),
					e.Commitment[:], e.Salt, e.Private,
				}
			})
		return err
	})
}

// Disclose implements [auction.Store].
func (s *Store) Disclose(ctx context.Context, cmd auction.Accepted) error {
	c := cmd.Command()
	state, err := s.Auction(ctx, c.Auction)
	if err != nil {
		return err
	}
	side, err := state.Party(c.Participant) // final: an auction closes once
	if err != nil {
		return err
	}
	k := s.keys(auction.LogID(c.Auction))
	value := encodeBlobs(c.JWS, c.Sealed)
	return s.submit(ctx, &call{
		script: discloseScript, keys: []string{k.mail, k.log}, size: len(value) + 256,
		args:   func(auction.Time, string) ([]any, error) { return []any{side.String(), value}, nil },
		finish: func(reply []string) (*auction.Receipt, error) { return nil, word(reply) },
	})
}
