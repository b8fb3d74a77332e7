package store_test

import (
	"context"
	"sync"
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
	const kills = 3
	server := storetest.StartRedis(t)
	clock := auctiontest.NewClock()
	replicas := []auctiontest.Backend{open(t, server.URL(), clock.Now), open(t, server.URL(), clock.Now)}
	load := startLoad(t, auctiontest.NewScene(t, t.Name(), replicas[0], clock), replicas)
	for range kills {
		load.await(load.total / (kills + 1))
		server.Kill()
		server.Restart()
	}
	load.check()
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

// A call that stood still for longer than it may be old is not committed when
// Redis comes to it, and the caller may send again.
func TestStaleCallIsNotCommitted(t *testing.T) {
	server := storetest.StartRedis(t)
	clock := auctiontest.NewClock()
	s := auctiontest.NewScene(t, t.Name(), open(t, server.URL(), clock.Now), clock)
	id := s.Listed("seller", s.Terms())
	first, bid := s.Bid(id, "bidder", 1000), s.Bid(id, "bidder", 2000)
	s.Accept(first)
	if err := client(t, server.URL()).Do(t.Context(), "CLIENT", "PAUSE", "2200", "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(bid); !auction.CodeOf(err).Temporary() {
		t.Errorf("got %v", err)
	}
	if size := s.State(id).Size(); size != 2 {
		t.Errorf("%d entries, want the listing and the first bid", size)
	}
	if a, err := sendUntilKnown(t.Context(), s.Backend, bid); err != nil || a.Entry.Seq != 3 {
		t.Errorf("sent again: number %d, %v", a.Entry.Seq, err)
	}
}

// A Redis whose memory is full takes nothing, and loses nothing.
func TestFullRedis(t *testing.T) {
	server := storetest.StartRedis(t)
	clock := auctiontest.NewClock()
	s := auctiontest.NewScene(t, t.Name(), open(t, server.URL(), clock.Now), clock)
	id := s.Listed("seller", s.Terms())
	first, bid := s.Bid(id, "bidder", 1000), s.Bid(id, "bidder", 2000)
	s.Accept(first)
	keys := client(t, server.URL())
	if err := keys.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(bid); auction.CodeOf(err) != auction.CodeUnavailable {
		t.Errorf("got %v", err)
	}
	s.CheckLogs()
	if err := keys.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	s.Accept(bid)
	s.CheckLogs()
}

// Calls that are too big for one pipeline together go in several.
func TestBigCalls(t *testing.T) {
	clock := auctiontest.NewClock()
	s := auctiontest.NewScene(t, t.Name(), open(t, storetest.StartRedis(t).URL(), clock.Now), clock)
	id := s.Listed("seller", s.Terms())
	var running sync.WaitGroup
	for i := range 60 {
		c := s.Bid(id, "bidder", auction.Amount(1000+50*i))
		c.JWS = append(c.JWS, make([]byte, 30_000)...)
		running.Go(func() {
			if _, err := s.Send(c); err != nil && auction.CodeOf(err) != auction.CodeBidTooLow {
				t.Error(err)
			}
		})
	}
	running.Wait()
	s.CheckLogs()
}
