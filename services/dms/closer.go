package dms

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// closeEvery is how often a replica looks for auctions to close. Any replica
// may close; the store lets one of them win.
const closeEvery = 250 * time.Millisecond

// closer closes auctions whose end and grace have passed.
type closer struct {
	store interface {
		auction.Store
		auction.Reader
	}
	stamper func(auction.Hash, auction.Policy) (tsp.Stamper, error)
	clock   auction.Clock
	log     *slog.Logger
	metrics *metrics
	closed  func(auction.ID) // told of each that this replica closed; nil for nobody
}

// run looks for due auctions until ctx ends.
func (c *closer) run(ctx context.Context) error {
	tick := time.NewTicker(closeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := c.closeDue(ctx); err != nil && ctx.Err() == nil {
				c.log.WarnContext(ctx, "auctions that are due were not closed", "error", err)
			}
		}
	}
}

func (c *closer) closeDue(ctx context.Context) error {
	now, err := c.clock()
	if err != nil {
		return nil // no trusted time: nothing closes, and readiness says so
	}
	due, err := c.store.Due(ctx, now)
	if err != nil {
		return err
	}
	var errs []error
	var longest time.Duration
	for _, id := range due {
		overdue, err := c.close(ctx, id, now)
		longest = max(longest, overdue)
		errs = append(errs, err)
	}
	c.metrics.closeOverdue.Set(longest.Seconds())
	return errors.Join(errs...)
}

// close closes one auction if its grace has passed: stamp the final head, judge
// the log as a whole, and append the record if the log is still as long as that
// head. The stamps are of the auction's own policy, and later than end and grace,
// whatever this replica's clock said. It returns for how long an auction that is still open should have
// been closed.
func (c *closer) close(ctx context.Context, id auction.ID, now auction.Time) (time.Duration, error) {
	for {
		state, err := c.store.Auction(ctx, id)
		if auction.CodeOf(err) == auction.CodeTooOld { // archived, and due by a list that was rebuilt
			return 0, c.store.Close(ctx, id, auction.Head{}, nil, now)
		} else if err != nil {
			return 0, err
		}
		after := state.End() + auction.Time(state.Policy.Grace)
		if state.Closed != nil { // the list of what is due is behind
			return 0, c.store.Close(ctx, id, state.Head(), nil, now)
		}
		if state.Suspended() { // its operator decides, and the store has others due first
			err := c.store.Close(ctx, id, auction.Head{}, nil, now)
			if errors.Is(err, auction.ErrGrew) {
				continue // resumed meanwhile
			}
			if auction.CodeOf(err) == auction.CodeSuspended {
				err = nil
			}
			return 0, err
		}
		overdue := now.Sub(after)
		if overdue <= 0 {
			return 0, nil
		}
		head := state.Head()
		stamper, err := c.stamper(state.Terms.Policy, state.Policy)
		if err != nil {
			return overdue, err
		}
		tokens, median, err := stamper.Stamp(ctx, auction.CloseDigest(id, head))
		if err != nil {
			return overdue, err
		}
		if median <= after {
			return overdue, nil // the authorities are not there yet
		}
		stamps := make([]auction.Blob, len(tokens))
		for i, t := range tokens {
			stamps[i] = t
		}
		switch err := c.store.Close(ctx, id, head, stamps, median); {
		case errors.Is(err, auction.ErrGrew):
			continue // a bid came in between: it is judged too
		case err != nil:
			return overdue, err
		}
		c.metrics.closeLag.Observe(median.Sub(after).Seconds())
		c.log.InfoContext(ctx, "auction closed", "auction", string(id))
		if c.closed != nil {
			c.closed(id)
		}
		return 0, nil
	}
}
