package allinone_test

import (
	"context"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/store/localredis"
	"github.com/sigilo/sigilo/pkg/store/storetest"
	"github.com/sigilo/sigilo/services/allinone"
)

// Redis is killed and starts again, or another server takes its place, while
// somebody bids at one replica and somebody follows at the other. The follower
// gets every event once and in order; nobody has to do anything about it.
func TestFollowOverRedisFaults(t *testing.T) {
	tests := map[string]struct {
		shape func(dir string) (*localredis.Deployment, error)
		fault func(context.Context, *localredis.Deployment, *localredis.Server) error
	}{
		"restart": {localredis.Standalone, func(_ context.Context, _ *localredis.Deployment, s *localredis.Server) error {
			s.Kill()
			return s.Restart()
		}},
		"failover": {localredis.Sentinel, func(ctx context.Context, d *localredis.Deployment, s *localredis.Server) error {
			s.Kill()
			if err := d.Replaced(ctx, s); err != nil {
				return err
			}
			return s.Restart()
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			redis := storetest.Start(t, tt.shape)
			h, err := allinone.Start(ctx, allinone.Config{Dir: t.TempDir(), Replicas: 2, RedisURL: redis.URL, OpenEnrolment: true})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Stop()
			seller := enrol(t, ctx, h, "sofia", "participant", h.Ready.DMS, client.Options{})
			bidder := enrol(t, ctx, h, "bruno", "participant", h.Ready.DMS[:1], client.Options{})
			follower := enrol(t, ctx, h, "felix", "participant", h.Ready.DMS[1:], client.Options{})
			id := listClock(t, ctx, seller)
			f, err := follower.Follow(ctx, auction.LogID(id))
			if err != nil {
				t.Fatal(err)
			}

			b := &steadyBids{done: make(chan struct{}), placed: make(map[auction.Pseudonym]uint64)}
			go b.run(t, ctx, bidder, id)
			b.await(ctx, 3)
			primary, err := redis.Primary(ctx, "sigilo:{"+string(id)+"}:log")
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.fault(ctx, redis, primary); err != nil {
				t.Fatal(err)
			}
			b.await(ctx, b.count.Load()+3)
			b.enough.Store(true)
			<-b.done
			b.follow(t, ctx, f)
		})
	}
}

// steadyBids is somebody who raises the own bid for as long as the test lasts.
type steadyBids struct {
	count  atomic.Int64 // that have a receipt
	enough atomic.Bool
	done   chan struct{}

	placed map[auction.Pseudonym]uint64 // where each is in the log; owned by run until done
}

// run bids. That a stamp becomes too old while Redis is away is no error; that
// it is not known what became of a bid would be.
func (b *steadyBids) run(t *testing.T, ctx context.Context, c *client.Client, id auction.ID) {
	defer close(b.done)
	for amount := auction.Amount(1000); !b.enough.Load(); amount++ {
		placed, err := c.Bid(ctx, id, amount)
		switch {
		case err == nil:
			b.placed[placed.Prepared.Pseudonym] = placed.Receipt.Seq
			b.count.Add(1)
		case auction.CodeOf(err) != auction.CodeStampTooOld:
			t.Errorf("a bid of %d: %v", amount, err)
			return
		}
	}
}

// await waits until n bids have a receipt, or there will be no more.
func (b *steadyBids) await(ctx context.Context, n int64) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for b.count.Load() < n {
		select {
		case <-b.done:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// follow holds that the follower is shown the listing and every bid that has a
// receipt, where its receipt says, and nothing else.
func (b *steadyBids) follow(t *testing.T, ctx context.Context, f *client.Follow) {
	t.Helper()
	missing := maps.Clone(b.placed)
	for seq := uint64(1); seq <= uint64(len(b.placed))+1; seq++ {
		event, err := f.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		switch at, ok := missing[event.Pseudonym]; {
		case event.Seq != seq:
			t.Fatalf("event %d comes as number %d", event.Seq, seq)
		case seq == 1 && event.Kind == auction.SomeoneListed:
		case event.Kind != auction.SomeoneBid || !ok || at != seq:
			t.Fatalf("event %d, %s, has no receipt, or another", seq, event.Kind)
		}
		delete(missing, event.Pseudonym)
	}
	t.Logf("%d bids were followed", len(b.placed))
	if size := f.Head().Size; len(missing) != 0 || size != uint64(len(b.placed))+1 {
		t.Errorf("%d bids are missing, and the log has %d entries", len(missing), size)
	}
}
