package store_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

func TestScriptsAreLoadedAgain(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		clock := auctiontest.NewClock()
		s := auctiontest.NewScene(t, t.Name(), open(t, url, clock.Now), clock)
		id := s.Listed("seller", s.Terms())
		for i := range 5 {
			if err := client(t, url).ScriptFlush(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			s.Accept(s.Bid(id, "bidder", auction.Amount(1000+50*i)))
		}
		s.CheckLogs()
	})
}

// A wake that Redis does not deliver only delays.
func TestLostWake(t *testing.T) {
	server := storetest.StartRedis(t)
	clock := auctiontest.NewClock()
	s := auctiontest.NewScene(t, t.Name(), open(t, server.URL(), clock.Now), clock)
	id := s.Listed("seller", s.Terms())
	woken := make(chan struct{}, 1)
	stop := s.Watch(auction.LogID(id), func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
	defer stop()
	wait := func() {
		t.Helper()
		select {
		case <-woken:
		case <-time.After(20 * time.Second):
			t.Fatal("not woken")
		}
	}
	wait() // by the first look
	keys := client(t, server.URL())
	// A change that nothing publishes.
	if err := keys.HSet(t.Context(), "sigilo:{"+string(id)+"}:mail", "received:x", "1").Err(); err != nil {
		t.Fatal(err)
	}
	wait()
	// A subscription whose connection breaks.
	if err := keys.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	s.Accept(s.Bid(id, "bidder", 1000))
	wait()
}

func TestOpenChecksRedis(t *testing.T) {
	server := storetest.StartRedis(t)
	var logged bytes.Buffer
	try := func(url, house string) error {
		logged.Reset()
		s, err := store.Open(context.Background(), store.Options{
			URL: url, House: house, Clock: auctiontest.NewClock().Now, Signer: auctiontest.Signer{},
			Log: slog.New(slog.NewTextHandler(&logged, nil)), Registerer: prometheus.NewRegistry(),
		})
		if err == nil {
			stop(t, s)
		}
		return err
	}
	set := func(name, value string) {
		t.Helper()
		if err := client(t, server.URL()).ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := try(server.URL(), "demo"); err != nil || logged.Len() != 0 {
		t.Errorf("a Redis as it should be: %v, logged %q", err, logged.String())
	}
	if err := try(server.URL(), "Demo!"); err == nil {
		t.Error("a house with a bad id")
	}
	set("appendfsync", "everysec")
	if err := try(server.URL(), "demo"); err != nil || !strings.Contains(logged.String(), "may lose the latest entries") {
		t.Errorf("a Redis that syncs once a second: %v, logged %q", err, logged.String())
	}
	set("appendonly", "no")
	if err := try(server.URL(), "demo"); err == nil || !strings.Contains(err.Error(), "appendonly") {
		t.Errorf("a Redis that keeps nothing: %v", err)
	}
	set("appendonly", "yes")
	set("maxmemory-policy", "allkeys-lru")
	if err := try(server.URL(), "demo"); err == nil || !strings.Contains(err.Error(), "noeviction") {
		t.Errorf("a Redis that evicts: %v", err)
	}
	set("maxmemory-policy", "noeviction")
	if err := client(t, server.URL()).Do(t.Context(), "ACL", "SETUSER", "default", "-config").Err(); err != nil {
		t.Fatal(err)
	}
	if err := try(server.URL(), "demo"); err != nil || !strings.Contains(logged.String(), "appendfsync always") ||
		strings.Contains(logged.String(), "min-replicas") {
		t.Errorf("a Redis that does not show its settings: %v, logged %q", err, logged.String())
	}
	server.Kill()
	if err := try(server.URL(), "demo"); err == nil {
		t.Error("a Redis that is not there")
	}
	if err := try("redis://:hunter2@%zz", "demo"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a URL that does not parse: %v", err)
	}
}

// A Redis that got replicas after the start commits nothing that does not wait
// for them.
func TestReplicasSinceTheStart(t *testing.T) {
	server := storetest.StartRedis(t)
	clock := auctiontest.NewClock()
	var logged bytes.Buffer
	b := openLogged(t, server.URL(), clock.Now, slog.New(slog.NewTextHandler(&logged, nil)))
	s := auctiontest.NewScene(t, t.Name(), b, clock)
	id := s.Listed("seller", s.Terms())
	bid := s.Bid(id, "bidder", 1000)
	keys := client(t, server.URL())
	set := func(name, value string) {
		t.Helper()
		if err := keys.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("min-replicas-max-lag", "0") // the server itself demands nothing
	set("min-replicas-to-write", "1")
	if err := keys.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if a, err := s.Send(bid); !auction.CodeOf(err).Temporary() {
			t.Fatalf("committed without a replica: number %d, %v", a.Entry.Seq, err)
		}
	}
	set("min-replicas-to-write", "0")
	if a, err := sendUntilKnown(t.Context(), b, bid); err != nil || a.Entry.Seq != 2 {
		t.Errorf("number %d, %v", a.Entry.Seq, err)
	}
	stop(t, b)
	if !strings.Contains(logged.String(), "start it again") {
		t.Errorf("the log does not say what to do: %q", logged.String())
	}
}

// What a writer cannot send is refused as not committed.
func TestRedisAway(t *testing.T) {
	server := storetest.StartRedis(t)
	clock := auctiontest.NewClock()
	var logged bytes.Buffer
	b := openLogged(t, server.URL(), clock.Now, slog.New(slog.NewTextHandler(&logged, nil)))
	s := auctiontest.NewScene(t, t.Name(), b, clock)
	id := s.Listed("seller", s.Terms())
	bid := s.Bid(id, "bidder", 1000)
	server.Kill()
	for range 3 {
		if _, err := s.Send(bid); !auction.CodeOf(err).Temporary() {
			t.Errorf("place: %v", err)
		}
		if _, err := s.Auction(t.Context(), id); auction.CodeOf(err) != auction.CodeUnavailable {
			t.Errorf("auction: %v", err)
		}
	}
	server.Restart()
	if a, err := sendUntilKnown(t.Context(), b, bid); err != nil || a.Entry.Seq != 2 {
		t.Errorf("number %d, %v", a.Entry.Seq, err)
	}
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
	for _, secret := range []string{string(bid.JWS), string(bid.Pseudonym), bid.Participant.String(), bid.Digest.String()} {
		if strings.Contains(logged.String(), secret) {
			t.Errorf("the log shows %q", secret)
		}
	}
	if logged.Len() == 0 {
		t.Error("the log shows nothing")
	}
}

func TestStopEndsEverything(t *testing.T) {
	server := storetest.StartRedis(t)
	before := goleak.IgnoreCurrent()
	clock := auctiontest.NewClock()
	b := openStore(t, server.URL(), clock.Now)
	s := auctiontest.NewScene(t, t.Name(), b, clock)
	id := s.Listed("seller", s.Terms())
	s.Watch(auction.LogID(id), func() {})()
	bid := s.Bid(id, "bidder", 1000)
	stop(t, b)
	if _, err := s.Send(bid); auction.CodeOf(err) != auction.CodeUnavailable {
		t.Errorf("after the end: %v", err)
	}
	goleak.VerifyNone(t, before)
}
