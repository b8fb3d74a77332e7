package store_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// What comes while Redis is busy is committed together and signed together, in
// groups that are no bigger than they may be, and each bid has its own receipt.
func TestGroupCommit(t *testing.T) {
	const bidders, most = 70, 64
	server := storetest.StartRedis(t)
	clock := auctiontest.NewClock()
	registry := prometheus.NewRegistry()
	b := openWith(t, server.URL(), clock.Now, slog.New(slog.DiscardHandler), registry)
	s := auctiontest.NewScene(t, t.Name(), b, clock)
	id := s.Listed("seller", s.Terms())
	for i := range bidders { // so that the auction is in everybody's list before the pause
		s.Accept(s.Bid(id, fmt.Sprint("bidder", i), auction.Amount(1000+50*i)))
	}
	end := s.State(id).End()
	clock.Set(end)
	s.Tick = 0
	var commands []auction.Command // all of which are recorded, in whatever order they come
	for i := range bidders * s.Policy.MaxRecorded {
		c := s.Bid(id, fmt.Sprint("bidder", i%bidders), 9000)
		commands = append(commands, auctiontest.Restamped(c, end-1))
	}
	redis := client(t, server.URL())
	if err := redis.Do(t.Context(), "CLIENT", "PAUSE", patience.Milliseconds(), "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	answers := make([]auction.Answer, len(commands))
	var running sync.WaitGroup
	for i, c := range commands {
		running.Go(func() {
			var err error
			if answers[i], err = sendUntilKnown(t.Context(), b, c); err != nil {
				t.Errorf("bid %d: %v", i, err)
			}
		})
	}
	ended := time.After(patience)
	for tick := time.NewTicker(time.Millisecond); value(t, registry, "sigilo_store_queue") <= most; {
		select {
		case <-tick.C:
		case <-ended:
			t.Fatal("no more calls wait than go into one group")
		}
	}
	if err := redis.Do(t.Context(), "CLIENT", "UNPAUSE").Err(); err != nil {
		t.Fatal(err)
	}
	running.Wait()
	if t.Failed() {
		return
	}
	together := false
	log := s.Log(auction.LogID(id))
	for i, a := range answers {
		r := a.Receipt
		private, err := a.Entry.Open()
		if err != nil || string(private.JWS) != string(commands[i].JWS) {
			t.Fatalf("bid %d is answered with the entry of another: %v", i, err)
		}
		if leaf := log[r.Seq-1].Leaf(); r.Seq != a.Entry.Seq || r.Leaf != leaf || string(r.Signature) != fmt.Sprintf("%s %d %v", id, r.Seq, leaf) {
			t.Fatalf("bid %d has a receipt for something else: %+v", i, r)
		}
		if r.Index >= r.Batch || r.Batch > most {
			t.Fatalf("bid %d is number %d of a batch of %d", i, r.Index, r.Batch)
		}
		together = together || r.Batch > 1
	}
	if !together {
		t.Error("each bid was committed alone")
	}
	s.CheckLogs()
}
