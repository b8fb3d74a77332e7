package store_test

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"pgregory.net/rapid"

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
