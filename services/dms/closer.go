package dms

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
	stamper tsp.Stamper
	clock   auction.Clock
	log     *slog.Logger
	lag     prometheus.Observer // seconds from end + grace to the close
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
	for _, id := range due {
		errs = append(errs, c.close(ctx, id, now))
	}
	return errors.Join(errs...)
}

// close closes one auction if its grace has passed: stamp the final head, judge
// the log as a whole, and append the record if the log is still as long as that
// head. The stamps must be later than end and grace, whatever this replica's
// clock said.
func (c *closer) close(ctx context.Context, id auction.ID, now auction.Time) error {
	for {
		state, err := c.store.Auction(ctx, id)
		if err != nil {
			return err
		}
		after := state.End() + auction.Time(state.Policy.Grace)
		if state.Closed == nil && now <= after {
			return nil
		}
		head := state.Head()
		var stamps []auction.Blob
		median := now
		if state.Closed == nil {
			digest := auction.CloseDigest(id, head)
			tokens, at, err := c.stamper.Stamp(ctx, digest)
			if err != nil {
				return err
			}
			if at <= after {
				return nil // the authorities are not there yet
			}
			median = at
			for _, t := range tokens {
				stamps = append(stamps, t)
			}
		}
		switch err := c.store.Close(ctx, id, head, stamps, median); {
		case errors.Is(err, auction.ErrGrew):
			continue // a bid came in between: it is judged too
		case err != nil:
			return err
		}
		if state.Closed == nil {
			c.lag.Observe(median.Sub(after).Seconds())
			c.log.InfoContext(ctx, "auction closed", "auction", string(id))
		}
		return nil
	}
}
