package store_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store/localredis"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// Where a primary of a Cluster hangs and nobody takes its place, a wake that is
// lost at another one only delays all the same.
func TestLostWakeWhileAPrimaryHangs(t *testing.T) {
	t.Parallel()
	d := storetest.Start(t, localredis.Cluster)
	for _, r := range d.Servers {
		c := client(t, "redis://"+r.Addr())
		for name, value := range map[string]string{"cluster-require-full-coverage": "no", "cluster-replica-no-failover": "yes"} {
			if err := c.ConfigSet(t.Context(), name, value).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	clock, registry := auctiontest.NewClock(), prometheus.NewRegistry()
	s := auctiontest.NewScene(t, t.Name(), openWith(t, d.URL, clock.Now, slog.New(slog.DiscardHandler), registry), clock)
	waitFor(t, func() bool { return value(t, registry, "sigilo_store_primaries") == 3 })

	woken := make(chan auction.ID, 64)
	watch := func() (auction.ID, *localredis.Server) {
		id := s.Listed("seller", s.Terms())
		t.Cleanup(s.Watch(auction.LogID(id), func() {
			select {
			case woken <- id:
			default:
			}
		}))
		return id, primary(t, d, id)
	}
	id, sound := watch()
	hanging := sound
	for hanging == sound {
		_, hanging = watch()
	}
	await(t, woken, id) // by the first look

	if err := hanging.Suspend(); err != nil {
		t.Fatal(err)
	}
	// A change that nothing publishes, made at its primary.
	c := redis.NewClient(&redis.Options{Addr: sound.Addr()})
	defer c.Close()
	for i := range 3 {
		if err := c.HSet(t.Context(), "sigilo:{"+string(id)+"}:mail", fmt.Sprint("received:", i), "1").Err(); err != nil {
			t.Fatal(err)
		}
		await(t, woken, id)
	}
}

// await waits until the watcher of an auction is woken.
func await(t *testing.T, woken <-chan auction.ID, id auction.ID) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case got := <-woken:
			if got == id {
				return
			}
		case <-deadline:
			t.Fatal("not woken")
		}
	}
}
