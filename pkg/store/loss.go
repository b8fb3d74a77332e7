package store

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/sigilo/sigilo/pkg/auction"
)

// lose deals with an auction's entry that was read before and is not where it
// was. The log is read anew, as it is now. Where it lacks what was known, the
// auction is suspended, for its operator to look at, and what was known is
// forgotten. It returns the refusal where that cannot be. The caller holds v.mu.
func (s *Store) lose(ctx context.Context, v *view) error {
	if v.log == auction.HouseLog { // all auctions hang on it: nothing goes on here
		return s.historyChanged(ctx, v.log, "an entry is not what it was")
	}
	ctx = context.WithoutCancel(ctx) // whoever asked may go; what was found stays true
	for {
		now, err := s.anew(ctx, v.log)
		if errors.Is(err, errNoState) || auction.CodeOf(err) == auction.CodeUnknownAuction {
			return s.historyChanged(ctx, v.log, "nothing is left of it")
		}
		if err == nil {
			err = s.suspendChanged(ctx, v, now)
		}
		if errors.Is(err, auction.ErrGrew) {
			continue // there may be less to say now
		} else if err != nil {
			return err
		}
		v.state.Store(now)
		v.own.mu.Lock()
		v.own.bids = nil
		v.own.mu.Unlock()
		return nil
	}
}

// anew replays an auction as it is now, whatever is known of it. One of which
// nothing is left is opened again from the house log.
func (s *Store) anew(ctx context.Context, log auction.LogID) (*auction.State, error) {
	v := newView(log)
	err := s.withState(ctx, auction.ID(log), func() error {
		for {
			page, err := s.page(ctx, log, v.chain().Size()+1, pageSize)
			if err != nil {
				return err
			}
			if err := s.grow(ctx, v, page); err != nil {
				return err
			}
			if v.chain().Size() == 0 {
				return errNoState
			}
			if len(page) < pageSize {
				return nil
			}
		}
	})
	return v.state.Load(), err
}

// suspendChanged raises the alarm and suspends an auction whose log, which was
// replayed just now, lacks what the view knows. It returns [auction.ErrGrew] where
// the log is longer meanwhile.
func (s *Store) suspendChanged(ctx context.Context, v *view, now *auction.State) error {
	before := v.state.Load()
	known := before.Leaves()
	if shared(known, now.Leaves()) == len(known) {
		return nil // a primary that had lost its place showed the past, and nothing is lost
	}
	// A suspension that the view does not know stands behind all that both logs
	// share: what is lost was lost before it. If the operator has decided on it, the
	// replica was only away; until then, the more is named the better.
	if !now.Suspended() && slices.ContainsFunc(now.Lost, func(l auction.Lost) bool { return !slices.Contains(before.Lost, l) }) {
		s.log.InfoContext(ctx, "entries are lost that their auction was suspended for",
			slog.String("auction", string(v.log)))
		return nil
	}
	changed := s.historyChanged(ctx, v.log, "an entry is not what it was")
	err := s.suspend(ctx, now, auction.Lost{Seq: uint64(len(known)), Leaf: known[len(known)-1]})
	switch {
	case err == nil || auction.CodeOf(err) == auction.CodeAuctionEnded: // which takes nothing anyway
		return nil
	case errors.Is(err, auction.ErrGrew):
		return err
	}
	s.log.ErrorContext(ctx, "an auction with a changed history is not suspended yet",
		slog.String("auction", string(v.log)), slog.Any("error", err))
	return changed
}

// shared returns how many leaves two logs have in common from the first on.
func shared(a, b []auction.Hash) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// historyChanged tells the operator that a log is not the one that was read
// before, and returns the refusal.
func (s *Store) historyChanged(ctx context.Context, log auction.LogID, what string) error {
	s.metrics.changed.Inc()
	s.log.ErrorContext(ctx, "the history of a log has changed",
		slog.String("log", string(log)), slog.String("what", what))
	return auction.Refuse(auction.CodeHistoryChanged, "the log is not the one that was shown before")
}
