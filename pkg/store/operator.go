package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Extend implements [auction.Operator].
func (s *Store) Extend(ctx context.Context, id auction.ID, ends auction.Time) error {
	state, err := s.Auction(ctx, id)
	if err != nil {
		return err
	}
	_, err = s.order(ctx, id, orderScript,
		func(now auction.Time) (auction.Event, error) { return state.ExtendEvent(ends, now) }, endsArg)
	if err == nil {
		s.postpone(ctx, id, ends)
	}
	return err
}

// Cancel implements [auction.Operator].
func (s *Store) Cancel(ctx context.Context, id auction.ID) error {
	state, err := s.Auction(ctx, id)
	if err != nil {
		return err
	}
	_, err = s.order(ctx, id, orderScript, state.CancelEvent, endsArg)
	if err == nil {
		s.metrics.closes.WithLabelValues(auction.Cancelled).Inc()
	}
	return err
}

// Suspend implements [auction.Operator].
func (s *Store) Suspend(ctx context.Context, id auction.ID, lost auction.Lost) error {
	for {
		state, err := s.Auction(ctx, id)
		if err != nil {
			return err
		}
		if err := s.suspend(ctx, state, lost); !errors.Is(err, auction.ErrGrew) {
			return err
		} // else what is missed may have come
	}
}

// suspend is Suspend judged by one state. It returns [auction.ErrGrew] if the log
// has another size: a log that has the entry must never say that it is lost, for
// it would not replay again. So it does if an outage was owed, which is given first:
// a suspension behind the end would leave nothing to resume.
func (s *Store) suspend(ctx context.Context, state *auction.State, lost auction.Lost) error {
	if state.Policy.OutageAfter != 0 {
		p, err := s.heartbeat(ctx)
		if err != nil {
			return notYet(err)
		}
		if looked, err := s.give(ctx, state, p); err != nil {
			return err
		} else if looked {
			return auction.ErrGrew
		}
	}
	_, err := s.order(ctx, state.ID, suspendScript,
		func(now auction.Time) (auction.Event, error) { return state.SuspendEvent(lost, now) },
		func(e auction.Event) []any { return []any{text(state.Size()), lostField(*e.Lost)} })
	return err
}

// Resume implements [auction.Operator].
func (s *Store) Resume(ctx context.Context, id auction.ID, ends auction.Time) error {
	for {
		state, err := s.Auction(ctx, id)
		if err != nil {
			return err
		}
		event, err := s.order(ctx, id, moveScript,
			func(now auction.Time) (auction.Event, error) { return state.ResumeEvent(ends, now) }, moveArgs(state))
		if errors.Is(err, auction.ErrGrew) {
			continue // what is lost was found meanwhile, or somebody else has resumed it
		}
		if err == nil { // it was put off perhaps while it was suspended: see Close
			s.moveDue(ctx, id, max(event.Ends, state.End()), redis.ZAddArgs{XX: true})
		}
		return err
	}
}

// order appends an event that the house signs. It is judged by the state as it
// was read, which says why not, and by the script, which sees the latest and gets
// what args takes out of the event.
func (s *Store) order(
	ctx context.Context, id auction.ID, run *script,
	judge func(now auction.Time) (auction.Event, error), args func(auction.Event) []any,
) (event auction.Event, err error) {
	k := s.keys(auction.LogID(id))
	err = s.withState(ctx, id, func() error {
		var sealed stored
		return s.submit(ctx, &call{
			script: run, keys: []string{k.state, k.log, k.mail}, size: 1024,
			args: func(now auction.Time, deadline string) ([]any, error) {
				var err error
				if event, err = judge(now); err != nil {
					return nil, err
				}
				if event.Signature, err = s.signer.SignNotice(event.Notice()); err != nil {
					return nil, fmt.Errorf("sign notice: %w", err)
				}
				if sealed.Entry, err = s.seal(auction.Private{Arrival: now, TS: now}); err != nil {
					return nil, err
				}
				all := append([]any{deadline, text(now)}, args(event)...)
				return append(all, event.Tail(), sealed.Commitment[:], sealed.Salt, sealed.Private), nil
			},
			finish: func(reply []string) (*auction.Receipt, error) {
				if reply[0] == "done" {
					return nil, nil
				}
				entry, again, err := parsePlaced(reply, sealed)
				if err == nil {
					s.metrics.appended(run, entry, again)
				}
				return nil, err
			},
		})
	})
	return event, err
}

// moveArgs are the arguments of move.lua for an event that was judged by a state.
func moveArgs(state *auction.State) func(auction.Event) []any {
	return func(e auction.Event) []any { return []any{text(state.Size()), text(e.Ends)} }
}

func endsArg(e auction.Event) []any { return []any{text(e.Ends)} }

// lostField names an entry that is lost, in the state and to suspend.lua.
func lostField(l auction.Lost) string { return text(l.Seq) + ":" + l.Leaf.String() }
