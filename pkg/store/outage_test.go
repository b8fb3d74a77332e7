package store_test

import (
	"log/slog"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// Redis is away over the ends of auctions. Two replicas come back to it at once: what
// was near its end is extended, once, and whoever could not bid then bids and wins.
func TestRedisAwayOverAnEnd(t *testing.T) {
	server := storetest.StartRedis(t)
	clock := auctiontest.NewClock()
	var replicas []*store.Store
	var registries []*prometheus.Registry
	for range 2 {
		registry := prometheus.NewRegistry()
		registries = append(registries, registry)
		replicas = append(replicas, openWith(t, server.URL(), clock.Now, slog.New(slog.DiscardHandler), registry))
	}
	s := auctiontest.NewScene(t, t.Name(), replicas[0], clock)
	s.WithOutages()
	list := func(length time.Duration) auction.ID {
		terms := s.Terms()
		terms.Closes = s.Clock.Time().Add(length)
		return s.Listed("seller", terms)
	}
	ended, near, far := list(11*time.Second), list(25*time.Second), list(time.Hour)
	s.Accept(s.Bid(near, "anna", 1000))
	last := s.Bid(ended, "anna", 1000)
	begin := s.State(ended).End()
	clock.Set(begin)
	s.Accept(auctiontest.Restamped(last, begin-1)) // recorded: nobody can bid there any more
	for _, r := range replicas {
		beat(t, r)
	}

	server.Kill()
	clock.Advance(20 * time.Second)
	if err := replicas[0].Beat(t.Context()); !auction.CodeOf(err).Temporary() {
		t.Errorf("a heartbeat without Redis: %v", err)
	}
	clock.Advance(20 * time.Second)
	server.Restart()
	var both sync.WaitGroup
	for _, r := range replicas {
		both.Go(func() { beat(t, r) })
	}
	both.Wait()

	outage := auction.Outage{From: begin, To: begin.Add(40 * time.Second)}
	log := s.Log(auction.LogID(near))
	if len(log) != 3 {
		t.Fatalf("%d entries, want the listing, the bid and the extension", len(log))
	}
	event, err := auction.ParseEvent(log[2].Event)
	if err != nil || event.Cause != auction.CauseOutage || *event.Outage != outage || event.Ends != outage.To.Add(time.Minute) {
		t.Errorf("extended by %+v, %v", event, err)
	}
	for name, id := range map[string]auction.ID{"far from its end": far, "ended": ended} {
		for _, e := range s.Log(auction.LogID(id)) {
			if event, err := auction.ParseEvent(e.Event); err != nil || event.Kind == auction.AuctionExtended {
				t.Errorf("one that is %s: %+v, %v", name, event, err)
			}
		}
	}
	if n := value(t, registries[0], "sigilo_outages_total") + value(t, registries[1], "sigilo_outages_total"); n != 1 {
		t.Errorf("counted %v times", n)
	}

	r := *s
	r.Backend = replicas[1]
	winner := r.Bid(near, "ben", 2000)
	r.Accept(winner)
	for clock.Time() <= event.Ends.Add(5*time.Second) {
		clock.Advance(10 * time.Second)
		beat(t, replicas[0])
	}
	for _, r := range replicas {
		if err := r.Close(t.Context(), near, s.State(near).Head(), auctiontest.Stamps(), clock.Time()); err != nil {
			t.Error(err)
		}
	}
	if closed := r.State(near).Closed; closed == nil || closed.Winner != winner.Pseudonym {
		t.Errorf("closed as %+v", closed)
	}
	keys := client(t, server.URL())
	state := "sigilo:{" + string(near) + "}:state"
	want := keys.HGetAll(t.Context(), state).Val()
	if _, err := replicas[0].Rebuild(t.Context(), auction.LogID(near)); err != nil {
		t.Fatal(err)
	}
	if got := keys.HGetAll(t.Context(), state).Val(); !reflect.DeepEqual(got, want) {
		t.Errorf("a rebuild gives %v, want %v", got, want)
	}
	s.CheckLogs()
	r.CheckLogs()
}

// beat makes a heartbeat once Redis is there.
func beat(t *testing.T, r *store.Store) {
	t.Helper()
	for {
		err := r.Beat(t.Context())
		if err == nil {
			return
		}
		if !auction.CodeOf(err).Temporary() || t.Context().Err() != nil {
			t.Error(err)
			return
		}
	}
}

// An outage that another replica found is learned before a command is judged, and
// counts once the clock shows it to be over.
func TestOutageThatAnotherFound(t *testing.T) {
	server := storetest.StartRedis(t)
	clock, others := auctiontest.NewClock(), auctiontest.NewClock()
	replica := open(t, server.URL(), clock.Now)
	s := auctiontest.NewScene(t, t.Name(), replica, clock)
	s.WithOutages()
	id := s.Listed("seller", s.Terms())
	later := s.Terms()
	later.Closes = later.Closes.Add(time.Hour)
	elsewhere := s.Listed("seller", later)
	end := s.State(id).End()
	clock.Set(end.Add(-20 * time.Second))
	beat(t, replica)
	bid, other := s.Bid(id, "anna", 1000), s.Bid(elsewhere, "ben", 1000)

	back := end.Add(20 * time.Second)
	others.Set(back)
	_, err := open(t, server.URL(), others.Now).Place(t.Context(), auction.NewAccepted(auctiontest.Restamped(other, back)))
	if err != nil {
		t.Fatal(err)
	}
	if size := s.State(id).Size(); size != 1 {
		t.Fatalf("%d entries of an auction that nobody has looked at", size)
	}
	bid = auctiontest.Restamped(bid, back)
	clock.Set(back - 1)
	if _, err := s.Send(bid); auction.CodeOf(err) != auction.CodeUnavailable {
		t.Errorf("by a clock that is behind: %v", err)
	}
	clock.Set(back)
	if a := s.Accept(bid); a.Entry.Seq != 3 || s.State(id).End() != back.Add(time.Minute) {
		t.Errorf("number %d in an auction until %v", a.Entry.Seq, s.State(id).End().Std())
	}
	s.CheckLogs()
}
