package store_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// The rules in Lua are the rules in Go: random histories over three replicas
// give what the in-memory model gives.
func TestHistories(t *testing.T) {
	embedded := miniredis.RunT(t)
	for name, url := range map[string]string{
		"miniredis": "redis://" + embedded.Addr(), "redis": storetest.StartRedis(t).URL(),
	} {
		t.Run(name, func(t *testing.T) {
			keys := client(t, url)
			rapid.Check(t, func(rt *rapid.T) {
				if err := keys.FlushAll(t.Context()).Err(); err != nil {
					rt.Fatal(err)
				}
				clock := auctiontest.NewClock()
				replicas := make([]auctiontest.Backend, 3)
				for i := range replicas {
					s := openStore(rt, url, clock.Now)
					defer stop(rt, s)
					replicas[i] = s
				}
				auctiontest.History(rt, clock, replicas...)
			})
		})
	}
}

func TestChangedHistoryIsNoticed(t *testing.T) {
	eachShape(t, func(t *testing.T, url string, keys redis.UniversalClient) {
		for name, change := range map[string]func(log string){
			"gone": func(log string) { keys.Del(t.Context(), log) },
			"other": func(log string) {
				entries := keys.XRange(t.Context(), log, "-", "+").Val()
				keys.Del(t.Context(), log)
				for i, e := range entries {
					if i == 1 {
						e.Values["c"] = strings.Repeat("x", 32)
					}
					keys.XAdd(t.Context(), &redis.XAddArgs{Stream: log, ID: e.ID, Values: e.Values})
				}
			},
		} {
			t.Run(name, func(t *testing.T) {
				eachPrimary(t, keys, func(c redis.Cmdable) error { return c.FlushAll(t.Context()).Err() })
				var logged bytes.Buffer
				clock := auctiontest.NewClock()
				registry := prometheus.NewRegistry()
				b := openWith(t, url, clock.Now, slog.New(slog.NewTextHandler(&logged, nil)), registry)
				s := auctiontest.NewScene(t, t.Name(), b, clock)
				id := s.Listed("seller", s.Terms())
				s.Accept(s.Bid(id, "bidder", 1000))
				s.State(id)
				change("sigilo:{" + string(id) + "}:log")
				if _, err := s.Auction(t.Context(), id); auction.CodeOf(err) != auction.CodeHistoryChanged {
					t.Errorf("got %v", err)
				}
				if !strings.Contains(logged.String(), "history of a log has changed") {
					t.Error("the operator is not told")
				}
				if n := value(t, registry, "sigilo_history_changed_total"); n < 1 {
					t.Errorf("counted %v times", n)
				}
			})
		}
	})
}
