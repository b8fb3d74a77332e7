package main

import (
	"context"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Four replicas find the same auctions due at the same moment, since all were
// suspended over the end, and the primary of their Redis is killed at that
// moment: each auction has one close record, over its whole log.
func TestExactlyOneCloseHoweverManyRace(t *testing.T) {
	t.Parallel()
	r := newTestRun(t, config{Redis: "sentinel", Replicas: 4})
	ctx, cancel := context.WithTimeout(t.Context(), roundTimeout)
	defer cancel()
	held := &round{people: r.crowd}
	var end auction.Time
	for i := range lots {
		id, err := r.crowd[0].list(ctx, "Raced for", lotLife)
		if err != nil {
			t.Fatal(err)
		}
		held.lots = append(held.lots, &lot{id: id, seller: r.crowd[0]})
		if err := r.calmBids(ctx, id, i+1); err != nil {
			t.Fatal(err)
		}
		shown, err := r.crowd[0].client.Item(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		end = shown.Terms.Closes
	}
	now, err := r.crowd[0].client.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	pause(ctx, end.Sub(now))
	race(t, ctx, r)
	follow(t, ctx, r, held)
	if err := r.house.healthy(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.settle(ctx, held); err != nil {
		t.Fatal(err)
	}
	record, err := r.read(ctx, held)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range audit(record) {
		t.Error(f)
	}
}

// race suspends all replicas until the grace of what has just ended is over, lets
// them go at once, and makes them go on with another primary.
func race(t *testing.T, ctx context.Context, r *run) {
	t.Helper()
	var replicas []*part
	for _, p := range r.house.services {
		if p.replica {
			replicas = append(replicas, p)
		}
	}
	for _, p := range replicas {
		if err := p.process.Suspend(); err != nil {
			t.Fatal(err)
		}
	}
	pause(ctx, lateness+time.Second)
	for _, p := range replicas {
		if err := p.process.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	primary, err := r.house.database.Primary(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	primary.Kill()
	err = await(ctx, "another primary", func(ctx context.Context) error {
		now, err := r.house.database.Primary(ctx, "")
		if err == nil && now == primary {
			err = errNothingYet
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := primary.Restart(); err != nil {
		t.Fatal(err)
	}
}

// follow has everybody follow every lot from the beginning to the close.
func follow(t *testing.T, ctx context.Context, r *run, held *round) {
	t.Helper()
	var follows errgroup.Group
	for _, l := range held.lots {
		for _, p := range r.crowd {
			follows.Go(func() error {
				one, stop := context.WithCancel(ctx)
				err := p.watch(one, auction.LogID(l.id), stop)
				if ctx.Err() == nil {
					err = nil // it was stopped at the close
				}
				return err
			})
		}
	}
	if err := follows.Wait(); err != nil {
		t.Fatal(err)
	}
}
