package store_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store/localredis"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// A closing is the last step of one auction, which several replicas take at the
// same moment.
type closing struct {
	t        *testing.T
	id       auction.ID
	state    *auction.State
	replicas []auctiontest.Backend
}

// once closes from one replica. Each has stamps of its own.
func (c *closing) once(i int) error {
	median := c.state.End() + auction.Time(c.state.Policy.Grace) + auction.Time(i+1)
	return c.replicas[i].Close(c.t.Context(), c.id, c.state.Head(), []auction.Blob{{byte(i)}}, median)
}

// race lets every replica come to the close record before any writes it: the
// primary takes no writes until all have judged the same head and wait.
func (c *closing) race(primary *redis.Client, one func(i int) error) []error {
	c.t.Helper()
	if err := primary.Do(c.t.Context(), "CLIENT", "PAUSE", patience.Milliseconds(), "WRITE").Err(); err != nil {
		c.t.Fatal(err)
	}
	errs := make([]error, len(c.replicas))
	var running sync.WaitGroup
	for i := range c.replicas {
		running.Go(func() { errs[i] = one(i) })
	}
	awaitBlocked(c.t, primary, len(c.replicas))
	if err := primary.Do(c.t.Context(), "CLIENT", "UNPAUSE").Err(); err != nil {
		c.t.Fatal(err)
	}
	running.Wait()
	return errs
}

// awaitBlocked waits until so many clients of a server wait for it.
func awaitBlocked(t *testing.T, server *redis.Client, n int) {
	t.Helper()
	ended := time.After(patience)
	for tick := time.NewTicker(time.Millisecond); ; {
		list, err := server.ClientList(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		blocked := 0
		for line := range strings.Lines(list) {
			for field := range strings.FieldsSeq(line) {
				if flags, ok := strings.CutPrefix(field, "flags="); ok && strings.Contains(flags, "b") {
					blocked++
				}
			}
		}
		if blocked >= n {
			return
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("%d calls wait, want %d", blocked, n)
		}
	}
}

// Four replicas close at the same moment, and what they write is lost with the
// primary, as no other server has it: nobody was told of it. They do it again at
// the next primary: there is one close record.
func TestCloseThroughAFailover(t *testing.T) {
	t.Parallel()
	d := storetest.Start(t, localredis.Sentinel)
	clock := auctiontest.NewClock()
	registry := prometheus.NewRegistry()
	c := &closing{t: t, replicas: []auctiontest.Backend{
		openWith(t, d.URL, clock.Now, slog.New(slog.DiscardHandler), registry),
		open(t, d.URL, clock.Now), open(t, d.URL, clock.Now), open(t, d.URL, clock.Now),
	}}
	s := auctiontest.NewScene(t, t.Name(), c.replicas[0], clock)
	c.id = s.Listed("seller", s.Terms())
	s.Accept(s.Bid(c.id, "bidder", 1000))
	settle(t, d) // a receipt needs one replica: that both are killed below must not lose the bid
	c.state = s.State(c.id)
	clock.Set(c.state.End().Add(time.Hour))
	for _, r := range c.replicas { // each has seen it all, so it needs no other server's word for it
		if _, err := r.Auction(t.Context(), c.id); err != nil {
			t.Fatal(err)
		}
	}

	first := primary(t, d, c.id)
	server := client(t, "redis://"+first.Addr())
	// However slow this machine is, the primary does not miss its replicas.
	if err := server.ConfigSet(t.Context(), "min-replicas-max-lag", "600").Err(); err != nil {
		t.Fatal(err)
	}
	var others []*localredis.Server
	for _, r := range d.Servers {
		if r != first {
			others = append(others, r)
			if err := r.Suspend(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, err := range c.race(server, c.once) {
		if !auction.CodeOf(err).Temporary() {
			t.Errorf("replica %d has closed what no other server knows: %v", i, err)
		}
	}
	if n := server.XLen(t.Context(), "sigilo:{"+string(c.id)+"}:log").Val(); n != 3 {
		t.Errorf("%d entries at the primary, want the listing, a bid and one close record", n)
	}
	for i, r := range c.replicas {
		if _, err := r.Auction(t.Context(), c.id); auction.CodeOf(err) != auction.CodeUnavailable {
			t.Errorf("replica %d shows what no other server knows: %v", i, err)
		}
	}

	for _, r := range append(others, first) { // so that they find nothing in their sockets
		r.Kill()
	}
	for _, r := range others {
		if err := r.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	awaitPromotion(t, d, c.id, first)
	c.again(t, d)
	for i, r := range c.replicas {
		after := auctiontest.NewScene(t, t.Name(), r, clock)
		after.CheckLogs()
		if state := after.State(c.id); state.Size() != 3 || state.Closed == nil {
			t.Errorf("replica %d shows %d entries, want the listing, a bid and one close record", i, state.Size())
		}
	}
	if n := value(t, registry, "sigilo_history_changed_total"); n != 0 {
		t.Errorf("the history has changed %v times", n)
	}
}

// again closes at whoever is the primary now, until each replica knows that it
// is done.
func (c *closing) again(t *testing.T, d *localredis.Deployment) {
	t.Helper()
	for _, r := range c.replicas { // which have to find it first
		for {
			state, err := r.Auction(t.Context(), c.id)
			if err == nil && state.Size() == 2 {
				break
			}
			if err == nil || !auction.CodeOf(err).Temporary() {
				t.Fatalf("%v, %v", state, err)
			}
		}
	}
	errs := c.race(client(t, "redis://"+primary(t, d, c.id).Addr()), func(i int) error {
		for {
			if err := c.once(i); !auction.CodeOf(err).Temporary() || t.Context().Err() != nil {
				return err
			}
		}
	})
	for i, err := range errs {
		if err != nil {
			t.Errorf("replica %d: %v", i, err)
		}
	}
}
