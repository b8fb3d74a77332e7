package store_test

import (
	"context"
	"log/slog"
	"slices"
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

// No script needs two slots, whatever it is used for.
func TestContractOnCluster(t *testing.T) {
	t.Parallel()
	d := storetest.Start(t, localredis.Cluster)
	auctiontest.Run(t, func(t *testing.T, clock auction.Clock) auctiontest.Backend {
		flush(t, d)
		return open(t, d.URL, clock)
	})
}

// flush empties a deployment.
func flush(t *testing.T, d *localredis.Deployment) {
	t.Helper()
	for _, s := range d.Servers {
		c := redis.NewClient(&redis.Options{Addr: s.Addr()})
		defer c.Close()
		if role := c.Do(t.Context(), "ROLE"); role.Err() == nil && role.Val().([]any)[0] == "master" {
			if err := c.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// patience is for a failover on a machine that has much else to do.
const patience = 2 * time.Minute

func settle(t *testing.T, d *localredis.Deployment) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := d.Settle(ctx); err != nil {
		t.Fatal(err)
	}
}

func primary(t *testing.T, d *localredis.Deployment, id auction.ID) *localredis.Server {
	t.Helper()
	s, err := d.Primary(t.Context(), "sigilo:{"+string(id)+"}:log")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The primary is killed under load, where another takes its place: nothing that
// has a receipt is lost, nothing is there twice, every call comes to an end.
func TestFailoverLosesNothing(t *testing.T) {
	for name, shape := range map[string]func(string) (*localredis.Deployment, error){
		"sentinel": localredis.Sentinel, "cluster": localredis.Cluster,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := storetest.Start(t, shape)
			clock := auctiontest.NewClock()
			registry := prometheus.NewRegistry()
			replicas := []auctiontest.Backend{
				openWith(t, d.URL, clock.Now, slog.New(slog.DiscardHandler), registry), open(t, d.URL, clock.Now),
			}
			load := startLoad(t, auctiontest.NewScene(t, t.Name(), replicas[0], clock), replicas)
			load.await(load.total / 3)
			victim := primary(t, d, load.ids[0])
			victim.Kill()
			if name == "cluster" {
				awaitPromotion(t, d, load.ids[0], victim) // which takes writes once it has a replica
			}
			if err := victim.Restart(); err != nil {
				t.Fatal(err)
			}
			load.check()
			settle(t, d)
			for _, r := range replicas {
				auctiontest.NewScene(t, t.Name(), r, clock).CheckLogs()
			}
			if n := value(t, registry, "sigilo_history_changed_total"); n != 0 {
				t.Errorf("the history has changed %v times", n)
			}
		})
	}
}

func awaitPromotion(t *testing.T, d *localredis.Deployment, id auction.ID, old *localredis.Server) {
	t.Helper()
	deadline := time.After(patience)
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		if s, err := d.Primary(t.Context(), "sigilo:{"+string(id)+"}:log"); err == nil && s != old {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("nobody was promoted")
		}
	}
}

// What no replica has is neither receipted nor shown, to nobody, and may be gone
// after a failover without an alarm.
func TestNothingIsSeenBeforeAReplicaHasIt(t *testing.T) {
	t.Parallel()
	d := storetest.Start(t, localredis.Sentinel)
	clock := auctiontest.NewClock()
	registry := prometheus.NewRegistry()
	writer := openWith(t, d.URL, clock.Now, slog.New(slog.DiscardHandler), registry)
	s := auctiontest.NewScene(t, t.Name(), writer, clock)
	id := s.Listed("seller", s.Terms())
	s.Accept(s.Bid(id, "bidder", 1000))
	bid := s.Bid(id, "bidder", 2000)
	reader := open(t, d.URL, clock.Now)
	if state, err := reader.Auction(t.Context(), id); err != nil || state.Size() != 2 {
		t.Fatal(err)
	}

	first := primary(t, d, id)
	for _, r := range d.Servers {
		if r != first {
			if err := r.Suspend(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 { // the second time, the script finds the entry
		if a, err := s.Send(bid); !auction.CodeOf(err).Temporary() {
			t.Fatalf("a receipt for an entry that no replica has: %d, %v", a.Entry.Seq, err)
		}
	}
	c := client(t, "redis://"+first.Addr())
	if n := c.XLen(t.Context(), "sigilo:{"+string(id)+"}:log").Val(); n != 3 {
		t.Fatalf("%d entries at the primary, want one that no replica has", n)
	}
	for _, b := range []auctiontest.Backend{writer, reader} {
		if _, err := b.Auction(t.Context(), id); auction.CodeOf(err) != auction.CodeUnavailable {
			t.Errorf("a state of what no replica has: %v", err)
		}
		if entries, err := b.Entries(t.Context(), auction.LogID(id), 1, 2); err != nil || len(entries) != 2 {
			t.Errorf("what a replica has is not shown: %d entries, %v", len(entries), err)
		}
		if _, err := b.Entries(t.Context(), auction.LogID(id), 1, 3); auction.CodeOf(err) != auction.CodeUnavailable {
			t.Errorf("an entry that no replica has is shown: %v", err)
		}
	}

	first.Kill()
	for _, r := range d.Servers {
		if r != first {
			if err := r.Resume(); err != nil {
				t.Fatal(err)
			}
		}
	}
	awaitPromotion(t, d, id, first)
	a, err := sendUntilKnown(t.Context(), writer, bid)
	if err != nil || a.Entry.Seq != 3 {
		t.Fatalf("sent again: number %d, %v", a.Entry.Seq, err)
	}
	s.CheckLogs()
	if n := value(t, registry, "sigilo_history_changed_total"); n != 0 {
		t.Errorf("the history has changed %v times", n)
	}
}

// load is bidders who send again what they do not know the result of.
type load struct {
	t        *testing.T
	scene    *auctiontest.Scene
	ids      []auction.ID
	logs     [][]auction.Entry // that were receipted, by auction
	total    int
	answered chan struct{}
	running  sync.WaitGroup
	ended    chan struct{}
}

const loadBidders, loadBids = 4, 100

// startLoad lets each of some bidders bid in an auction of its own, over all
// replicas in turn.
func startLoad(t *testing.T, s *auctiontest.Scene, replicas []auctiontest.Backend) *load {
	t.Helper()
	l := &load{
		t: t, scene: s, total: loadBidders * loadBids,
		ids: make([]auction.ID, loadBidders), logs: make([][]auction.Entry, loadBidders),
		answered: make(chan struct{}, loadBidders*loadBids), ended: make(chan struct{}),
	}
	for i := range loadBidders {
		l.ids[i] = s.Listed("seller", s.Terms())
		commands := make([]auction.Command, loadBids)
		for j := range commands {
			commands[j] = s.Bid(l.ids[i], "bidder", auction.Amount(1000+50*j))
		}
		l.running.Go(func() {
			for j, c := range commands {
				a, err := sendUntilKnown(t.Context(), replicas[(i+j)%len(replicas)], c)
				if err != nil {
					t.Errorf("bid %d: %v", j, err)
					return
				}
				l.logs[i] = append(l.logs[i], a.Entry)
				l.answered <- struct{}{}
			}
		})
	}
	go func() {
		l.running.Wait()
		close(l.ended)
	}()
	return l
}

// await waits until n more bids are answered, or all bidders have ended.
func (l *load) await(n int) {
	for range n {
		select {
		case <-l.answered:
		case <-l.ended: // early, as a bidder failed
		}
	}
}

// check waits for the end, and compares the logs with what was receipted.
func (l *load) check() {
	l.t.Helper()
	<-l.ended
	if l.t.Failed() {
		return
	}
	l.scene.CheckLogs()
	for i, id := range l.ids {
		log := l.scene.Log(auction.LogID(id))
		if len(log) != loadBids+1 {
			l.t.Fatalf("%d entries, want the listing and %d bids", len(log), loadBids)
		}
		for j, e := range l.logs[i] {
			if e.Seq != uint64(j+2) || e.Leaf() != log[j+1].Leaf() {
				l.t.Fatalf("bid %d has a receipt for an entry that is not in the log", j)
			}
		}
	}
}

// A primary that stands alone, as one that was away while another took its
// place, cannot say that a history has changed.
func TestPrimaryAloneDoesNotChangeHistory(t *testing.T) {
	t.Parallel()
	d := storetest.Start(t, localredis.Sentinel)
	clock := auctiontest.NewClock()
	registry := prometheus.NewRegistry()
	backend := openWith(t, d.URL, clock.Now, slog.New(slog.DiscardHandler), registry)
	s := auctiontest.NewScene(t, t.Name(), backend, clock)
	id := s.Listed("seller", s.Terms())
	s.Accept(s.Bid(id, "bidder", 1000))
	if _, err := backend.Auction(t.Context(), id); err != nil {
		t.Fatal(err)
	}

	first := primary(t, d, id)
	replicas := slices.DeleteFunc(slices.Clone(d.Servers), func(r *localredis.Server) bool { return r == first })
	for _, r := range replicas {
		if err := r.Suspend(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client(t, "redis://"+first.Addr()).XDel(t.Context(), "sigilo:{"+string(id)+"}:log", "2-0").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := backend.Auction(t.Context(), id); auction.CodeOf(err) != auction.CodeUnavailable {
		t.Errorf("less than was known, without a replica: %v", err)
	}
	if n := value(t, registry, "sigilo_history_changed_total"); n != 0 {
		t.Errorf("the alarm was raised %v times by a primary alone", n)
	}
	for _, r := range replicas {
		if err := r.Resume(); err != nil {
			t.Fatal(err)
		}
	}
	for { // with a replica's word it has changed
		_, err := backend.Auction(t.Context(), id)
		if auction.CodeOf(err) == auction.CodeHistoryChanged {
			return
		}
		if !auction.CodeOf(err).Temporary() {
			t.Fatalf("less than was known: %v", err)
		}
	}
}
