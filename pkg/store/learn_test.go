package store_test

import (
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

var xrangeCalls = regexp.MustCompile(`cmdstat_xrange:calls=(\d+)`)

// readings is how often streams were read so far, by scripts too.
func readings(t *testing.T, c *redis.Client) int {
	t.Helper()
	stats, err := c.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	match := xrangeCalls.FindStringSubmatch(stats)
	if match == nil {
		return 0
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A bidder names the latest head. Where the replica made it itself, it reads
// nothing for it, but for the script's own look at the log.
func TestOwnBidsAreNotRead(t *testing.T) {
	server := storetest.StartRedis(t)
	c := client(t, server.URL())
	clock := auctiontest.NewClock()
	replica, other := open(t, server.URL(), clock.Now), open(t, server.URL(), clock.Now)
	s := auctiontest.NewScene(t, t.Name(), other, clock) // looks through the other one
	id := s.Listed("seller", s.Terms())
	place := func(amount auction.Amount) int {
		t.Helper()
		bid := s.Bid(id, "bidder", amount)
		before := readings(t, c)
		if _, err := replica.Place(t.Context(), auction.NewAccepted(bid)); err != nil {
			t.Fatal(err)
		}
		return readings(t, c) - before
	}
	place(1000) // the first one meets the auction
	for i := range 5 {
		if n := place(auction.Amount(2000 + 100*i)); n != 1 {
			t.Errorf("%d readings for a bid after an own one", n)
		}
	}
	s.Accept(s.Bid(id, "bidder", 5000)) // by the other replica
	if n := place(6000); n < 2 {
		t.Errorf("a bid of another replica came out of nowhere")
	}
	if n := place(7000); n != 1 {
		t.Errorf("%d readings for a bid after an own one", n)
	}
	auctiontest.NewScene(t, t.Name(), replica, clock).CheckLogs()
}

// Many who ask at once for a log that a replica does not know have it replayed
// once.
func TestOneLoadInFlight(t *testing.T) {
	server := storetest.StartRedis(t)
	c := client(t, server.URL())
	clock := auctiontest.NewClock()
	s := auctiontest.NewScene(t, t.Name(), open(t, server.URL(), clock.Now), clock)
	id := s.Listed("seller", s.Terms())
	const bids = 5*128 + 1
	for i := range bids { // six pages
		s.Accept(s.Bid(id, "bidder", auction.Amount(1000+50*i)))
	}
	fresh := open(t, server.URL(), clock.Now)
	const askers = 20
	before := readings(t, c)
	var asked sync.WaitGroup
	for range askers {
		asked.Go(func() {
			if state, err := fresh.Auction(t.Context(), id); err != nil || len(state.Bids) != bids {
				t.Errorf("asked: %v", err)
			}
		})
	}
	asked.Wait()
	// Six pages, two readings of the house log, and at most a look for each asker.
	if n := readings(t, c) - before; n > 6+2+2*askers {
		t.Errorf("%d readings for %d askers", n, askers)
	}
}

// Bids that are committed together are learned in any order, also with those of
// another replica between them.
func TestOwnBidsAtOnce(t *testing.T) {
	server := storetest.StartRedis(t)
	clock := auctiontest.NewClock()
	replica, other := open(t, server.URL(), clock.Now), open(t, server.URL(), clock.Now)
	s := auctiontest.NewScene(t, t.Name(), replica, clock)
	id := s.Listed("seller", s.Terms())
	for round := range 20 {
		var sent sync.WaitGroup
		for i := range 20 {
			bid := s.Bid(id, "bidder", auction.Amount(1000*(20*round+i+1)))
			sent.Go(func() {
				to := replica
				if i%7 == 0 {
					to = other
				}
				_, err := to.Place(t.Context(), auction.NewAccepted(bid))
				if code := auction.CodeOf(err); code != "" && code != auction.CodeBidTooLow {
					t.Error(err)
				}
			})
		}
		sent.Wait()
		s.CheckLogs()
	}
	auctiontest.NewScene(t, t.Name(), other, clock).CheckLogs()
}

// Bids are not even sent to a replica that waits for private messages alone.
func TestMailIsNotWokenByBids(t *testing.T) {
	server := storetest.StartRedis(t)
	clock := auctiontest.NewClock()
	replica := open(t, server.URL(), clock.Now)
	s := auctiontest.NewScene(t, t.Name(), replica, clock)
	id := s.Listed("seller", s.Terms())
	stop := replica.WatchMail(id, func() {})
	defer stop()
	c, base := client(t, server.URL()), "sigilo:{"+string(id)+"}:"
	waitFor(t, func() bool { return c.PubSubNumSub(t.Context(), base+"mail").Val()[base+"mail"] == 1 })
	if n := c.PubSubNumSub(t.Context(), base+"log").Val()[base+"log"]; n != 0 {
		t.Errorf("%d subscriptions to the bids", n)
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited for nothing")
		}
	}
}
