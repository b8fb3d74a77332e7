package store

import (
	"context"
	"fmt"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Extend implements [auction.Operator].
func (s *Store) Extend(ctx context.Context, id auction.ID, ends auction.Time) error {
	err := s.order(ctx, id, ends, func(state *auction.State, now auction.Time) (auction.Event, error) {
		return state.ExtendEvent(ends, now)
	})
	if err == nil {
		s.postpone(ctx, id, ends)
	}
	return err
}

// Cancel implements [auction.Operator].
func (s *Store) Cancel(ctx context.Context, id auction.ID) error {
	err := s.order(ctx, id, 0, (*auction.State).CancelEvent)
	if err == nil {
		s.metrics.closes.WithLabelValues(auction.Cancelled).Inc()
	}
	return err
}

// order appends what the operator does. It is judged by the state as it is read,
// which says why not, and by the script, which sees the latest.
func (s *Store) order(
	ctx context.Context, id auction.ID, ends auction.Time,
	judge func(*auction.State, auction.Time) (auction.Event, error),
) error {
	state, err := s.Auction(ctx, id)
	if err != nil {
		return err
	}
	k := s.keys(auction.LogID(id))
	return s.withState(ctx, id, func() error {
		var sealed stored
		return s.submit(ctx, &call{
			script: orderScript, keys: []string{k.state, k.log, k.mail}, size: 1024,
			args: func(now auction.Time, deadline string) ([]any, error) {
				event, err := judge(state, now)
				if err != nil {
					return nil, err
				}
				if event.Signature, err = s.signer.SignNotice(event.Notice()); err != nil {
					return nil, fmt.Errorf("sign notice: %w", err)
				}
				if sealed.Entry, err = s.seal(auction.Private{Arrival: now, TS: now}); err != nil {
					return nil, err
				}
				return []any{
					deadline, text(now), text(ends), event.Tail(), sealed.Commitment[:], sealed.Salt, sealed.Private,
				}, nil
			},
			finish: func(reply []string) (*auction.Receipt, error) {
				entry, again, err := parsePlaced(reply, sealed)
				if err == nil {
					s.metrics.appended(orderScript, entry, again)
				}
				return nil, err
			},
		})
	})
}
