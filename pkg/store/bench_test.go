package store_test

import (
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// BenchmarkPlace places bids from many callers at once, which the writers send
// in groups. Each bid has the size of a real one.
func BenchmarkPlace(b *testing.B) {
	for name, url := range map[string]func() string{
		"redis":     func() string { return storetest.StartRedis(b).URL() },
		"miniredis": func() string { return "redis://" + miniredis.RunT(b).Addr() },
	} {
		b.Run(name, func(b *testing.B) {
			clock := auctiontest.NewClock()
			s := auctiontest.NewScene(b, b.Name(), open(b, url(), clock.Now), clock)
			s.Tick = 0
			id := s.Listed("seller", s.Terms())
			clock.Advance(1000)
			template := s.Bid(id, "bidder", 1)
			template.JWS, template.Tokens = make([]byte, 700), [][]byte{make([]byte, 900)}
			template.Chain = []auction.Blob{make([]byte, 600), make([]byte, 500)}
			commands := make([]auction.Command, b.N)
			for i := range commands {
				commands[i] = template
				commands[i].Pseudonym = s.Pseudonym()
				commands[i].Amount = auction.Amount(1000 + 50*i)
			}
			var next atomic.Int64
			b.SetParallelism(64)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c := commands[next.Add(1)-1]
					// One that another has overtaken is too low, which is an answer as well.
					if _, err := s.Send(c); err != nil && auction.CodeOf(err) != auction.CodeBidTooLow {
						b.Error(err)
					}
				}
			})
		})
	}
}
