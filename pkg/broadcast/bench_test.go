package broadcast_test

import (
	"testing"

	"github.com/sigilo/sigilo/pkg/broadcast"
)

// BenchmarkFanOut hands one event to 1000 followers, each of which takes it.
func BenchmarkFanOut(b *testing.B) {
	const followers = 1000
	log := new(tape)
	hub, _ := newHub(log)
	defer hub.Close()
	queues := make([]*broadcast.Queue, followers)
	for i := range queues {
		queues[i] = broadcast.NewQueue(100, 1<<16)
		defer follow(b, hub, 0, queues[i])()
	}
	b.ReportAllocs()
	for b.Loop() {
		log.grow(1)
		for _, q := range queues {
			if _, err := q.Next(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/followers, "ns/delivery")
}
