package store_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// Redis is killed at any moment, again and again, while bidders bid and send
// again what they do not know the result of: nothing that has a receipt is lost,
// nothing is there twice.
func TestKilledRedisLosesNothing(t *testing.T) {
	const bidders, bids, kills = 4, 100, 3
	server := storetest.StartRedis(t)
	clock := auctiontest.NewClock()
	replicas := []auctiontest.Backend{open(t, server.URL(), clock.Now), open(t, server.URL(), clock.Now)}
	s := auctiontest.NewScene(t, t.Name(), replicas[0], clock)
	var answered atomic.Int64
	var running sync.WaitGroup
	logs := make([][]auction.Entry, bidders)
	ids := make([]auction.ID, bidders)
	for i := range bidders {
		ids[i] = s.Listed("seller", s.Terms())
		commands := make([]auction.Command, bids)
		for j := range commands {
			commands[j] = s.Bid(ids[i], "bidder", auction.Amount(1000+50*j))
		}
		running.Go(func() {
			for j, c := range commands {
				a, err := sendUntilKnown(t.Context(), replicas[(i+j)%2], c)
				if err != nil {
					t.Errorf("bid %d: %v", j, err)
					return
				}
				logs[i] = append(logs[i], a.Entry)
				answered.Add(1)
			}
		})
	}
	for i := range int64(kills) {
		for answered.Load() < (i+1)*bidders*bids/(kills+1) && !t.Failed() {
			time.Sleep(time.Millisecond) // the moment does not matter
		}
		server.Kill()
		server.Restart()
	}
	running.Wait()
	if t.Failed() {
		return
	}
	s.CheckLogs()
	for i, id := range ids {
		log := s.Log(auction.LogID(id))
		if len(log) != bids+1 {
			t.Fatalf("%d entries, want the listing and %d bids", len(log), bids)
		}
		for j, e := range logs[i] {
			if e.Seq != uint64(j+2) || e.Leaf() != log[j+1].Leaf() {
				t.Fatalf("bid %d has a receipt for an entry that is not in the log", j)
			}
		}
	}
}

func sendUntilKnown(ctx context.Context, b auctiontest.Backend, c auction.Command) (auction.Answer, error) {
	for {
		a, err := b.Place(ctx, auction.NewAccepted(c))
		if !auction.CodeOf(err).Temporary() || ctx.Err() != nil {
			return a, err
		}
	}
}

// A caller who gives up while Redis stands still learns that the result is not
// known, and sending again tells it.
func TestUnknownResult(t *testing.T) {
	server := storetest.StartRedis(t)
	clock := auctiontest.NewClock()
	s := auctiontest.NewScene(t, t.Name(), open(t, server.URL(), clock.Now), clock)
	id := s.Listed("seller", s.Terms())
	first, second := s.Bid(id, "bidder", 1000), s.Bid(id, "bidder", 2000)
	s.Accept(first)

	redis := client(t, server.URL())
	if err := redis.Do(t.Context(), "CLIENT", "PAUSE", "60000", "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.Place(ctx, auction.NewAccepted(second)); !auction.CodeOf(err).Temporary() {
		t.Errorf("got %v", err)
	}
	if err := redis.Do(t.Context(), "CLIENT", "UNPAUSE").Err(); err != nil {
		t.Fatal(err)
	}
	a, err := sendUntilKnown(t.Context(), s.Backend, second)
	if err != nil || a.Entry.Seq != 3 {
		t.Fatalf("sent again: number %d, %v", a.Entry.Seq, err)
	}
	s.CheckLogs()
}
