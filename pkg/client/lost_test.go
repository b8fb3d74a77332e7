package client_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Whatever a person does, a connection that ends meanwhile, or a token that does,
// is not the person's matter while another replica is there: also while the
// client reads on in the house log.
func TestConnectionEndsWhileReading(t *testing.T) {
	failures := []struct {
		name string
		of   func(*wire.EntriesAnswer) []wire.ServerMessage
	}{
		{"connection", func(*wire.EntriesAnswer) []wire.ServerMessage { return nil }},
		{"token", func(e *wire.EntriesAnswer) []wire.ServerMessage {
			return pass(&wire.RefusedAnswer{ID: e.ID, Code: auction.CodeTokenExpired})
		}},
	}
	actions := []struct {
		name string
		do   func(context.Context, *testing.T, person, auction.ID) error
	}{
		{"items", func(ctx context.Context, _ *testing.T, p person, _ auction.ID) error {
			_, err := p.Items(ctx)
			return err
		}},
		{"item", func(ctx context.Context, _ *testing.T, p person, id auction.ID) error {
			_, err := p.Item(ctx, id)
			return err
		}},
		{"bid", func(ctx context.Context, _ *testing.T, p person, id auction.ID) error {
			_, err := p.Bid(ctx, id, 1000)
			return err
		}},
		{"evidence", func(ctx context.Context, _ *testing.T, p person, id auction.ID) error {
			_, err := p.Evidence(ctx, id, evidence.Public)
			return err
		}},
		{"follow", func(ctx context.Context, _ *testing.T, p person, id auction.ID) error {
			_, err := p.Follow(ctx, auction.LogID(id))
			return err
		}},
		{"list", func(ctx context.Context, t *testing.T, p person, _ auction.ID) error {
			_, err := p.List(ctx, client.Listing{
				Title: "A clock", Currency: "EUR", Minimum: 1000, Closes: must(p.Now(ctx))(t).Add(time.Minute), TieWindow: time.Second,
			})
			return err
		}},
	}
	for _, failure := range failures {
		for _, action := range actions {
			t.Run(failure.name+"/"+action.name, func(t *testing.T) {
				l := newLiar(t)
				p := enrolAt(t, l, theHouse.Ready.DMS[0])
				var fails atomic.Bool
				l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
					page, ok := m.(*wire.EntriesAnswer)
					if ok && page.Log == auction.HouseLog && fails.CompareAndSwap(true, false) {
						return failure.of(page)
					}
					return pass(m)
				}
				must(p.MyItems(within(t)))(t) // it is connected, and has read the house log so far
				id := enrol(t).list(t)
				fails.Store(true)
				if err := action.do(within(t), t, p, id); err != nil || fails.Load() {
					t.Fatalf("the house is still to fail: %v, and the person was told: %v", fails.Load(), err)
				}
			})
		}
	}
}

// With a connection all that goes over it ends: nothing is left to stop.
func TestStopOverLostConnection(t *testing.T) {
	l := newLiar(t)
	p := enrolAt(t, l)
	var ends atomic.Bool
	l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		if ends.Load() {
			return nil
		}
		return pass(m)
	}
	f := must(p.Follow(within(t), auction.LogID(enrol(t).list(t))))(t)
	wantEvents(t, f, auction.SomeoneListed)
	ends.Store(true)
	check(t, f.Stop(within(t)))
}
