package store_test

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/store"
	"github.com/sigilo/sigilo/pkg/store/localredis"
	"github.com/sigilo/sigilo/pkg/store/storetest"
)

// eachRedis runs a test on an embedded and on a real Redis.
func eachRedis(t *testing.T, test func(t *testing.T, url string)) {
	for name, url := range map[string]string{
		"miniredis": "redis://" + miniredis.RunT(t).Addr(), "redis": storetest.StartRedis(t).URL(),
	} {
		t.Run(name, func(t *testing.T) { test(t, url) })
	}
}

// eachShape runs a test where eachRedis does, and on a Cluster. keys are for looking
// at what is there, and changing it.
func eachShape(t *testing.T, test func(t *testing.T, url string, keys redis.UniversalClient)) {
	eachRedis(t, func(t *testing.T, url string) { test(t, url, client(t, url)) })
	t.Run("cluster", func(t *testing.T) {
		d := storetest.Start(t, localredis.Cluster)
		c := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{d.Servers[0].Addr()}})
		t.Cleanup(func() { c.Close() })
		test(t, d.URL, c)
	})
}

// eachPrimary runs f for every server that takes writes, one after the other.
func eachPrimary(t *testing.T, c redis.UniversalClient, f func(redis.Cmdable) error) {
	t.Helper()
	var err error
	if cluster, ok := c.(*redis.ClusterClient); ok {
		var mu sync.Mutex
		err = cluster.ForEachMaster(t.Context(), func(_ context.Context, c *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			return f(c)
		})
	} else {
		err = f(c)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// past is what history did.
type past struct {
	closed, open auction.ID
	sent         []auction.Command                // some of what was accepted
	refused      map[auction.Code]auction.Command // by rules that refuse it at any time
	fresh        auction.Command                  // of somebody of whom no more refusals are remembered
}

// history fills a store with something of every kind.
func history(t *testing.T, s *auctiontest.Scene) past {
	t.Helper()
	list := s.List("seller", s.Terms())
	s.Accept(list)
	id := list.Auction
	p := past{closed: id, refused: make(map[auction.Code]auction.Command)}
	for i := range 200 { // more than a page
		c := s.Bid(id, []string{"anna", "ben"}[i%2], auction.Amount(1000+50*i))
		s.Accept(c)
		p.sent = append(p.sent, c)
	}
	other := s.Terms()
	other.Closes = other.Closes.Add(24 * time.Hour)
	second := s.Listed("anna", other)
	s.Accept(s.Bid(second, "ben", 1000))
	s.Clock.Set(s.State(id).End())
	s.Accept(auctiontest.Restamped(s.Bid(id, "carl", 90000), s.State(id).End()-1))
	s.Ended(id)
	late := s.Bid(second, "carl", 2000)
	s.Accept(late)
	p.open, p.sent = second, append(p.sent, list, late)
	refuse := func(code auction.Code, c auction.Command) {
		if _, err := s.Send(c); auction.CodeOf(err) != code {
			t.Fatalf("got %v, want %s", err, code)
		}
		p.refused[code] = c
	}
	refuse(auction.CodeAuctionEnded, s.Bid(id, "ben", 95000))
	refuse(auction.CodeOwnAuction, s.Bid(second, "anna", 9000))
	foreign := s.Bid(second, "ben", 9000)
	foreign.Currency = "USD"
	refuse(auction.CodeWrongCurrency, foreign)
	refuse(auction.CodeNotYourAuction, s.Withdrawal(second, "ben"))
	for range auction.MaxRefused {
		refuse(auction.CodeBidTooLow, s.Bid(second, "carl", 1999))
	}
	p.fresh = s.Bid(second, "carl", 1999)
	refuse(auction.CodeRateLimited, p.fresh)
	delete(p.refused, auction.CodeRateLimited) // which no pseudonym is refused with for good
	return p
}

// sendAgain expects of each command the answer that it had.
func (p past) sendAgain(t *testing.T, s *auctiontest.Scene) {
	t.Helper()
	for _, c := range p.sent {
		s.Accept(c)
	}
	for code, c := range p.refused {
		if _, err := s.Send(c); auction.CodeOf(err) != code {
			t.Errorf("refused with %s, and sent again: %v", code, err)
		}
	}
}

// forget takes out of projections what no log says: what was refused, and how
// often somebody was refused or listed lately.
func forget(all map[string]any) {
	const identity = 64 // bytes, before the number of what was accepted
	for key, value := range all {
		if fields, ok := value.(map[string]string); ok && strings.HasSuffix(key, ":answers") {
			maps.DeleteFunc(fields, func(name, value string) bool {
				return strings.HasPrefix(name, "listed:") || strings.HasPrefix(name, "refused:") ||
					len(value) > identity && value[identity] == ' '
			})
		}
	}
}

// projections are all keys but the streams and the private messages.
func projections(t *testing.T, c redis.UniversalClient) map[string]any {
	t.Helper()
	all := make(map[string]any)
	var names []string
	eachPrimary(t, c, func(c redis.Cmdable) error {
		some, err := c.Keys(t.Context(), "sigilo:*").Result()
		names = append(names, some...)
		return err
	})
	for _, key := range names {
		switch kind := key[strings.LastIndex(key, ":")+1:]; kind {
		case "log", "mail":
		case "mine":
			ids := c.ZRange(t.Context(), key, 0, -1).Val()
			slices.Sort(ids)
			all[key] = ids
		case "due":
			all[key] = c.ZRangeWithScores(t.Context(), key, 0, -1).Val()
		default:
			all[key] = c.HGetAll(t.Context(), key).Val()
		}
	}
	return all
}

// All projections are deleted, or all but what was answered, or none, and made
// anew: the state is the same, and so is what a client is told who sends again. The
// log does not say what was refused, which only the answers keep.
func TestRebuild(t *testing.T) {
	eachShape(t, func(t *testing.T, url string, keys redis.UniversalClient) {
		clock := auctiontest.NewClock()
		first := open(t, url, clock.Now)
		s := auctiontest.NewScene(t, t.Name(), first, clock)
		if _, err := first.Due(t.Context(), 0); err != nil { // which makes the list, as a replica does first
			t.Fatal(err)
		}
		p := history(t, s)
		audit := auction.Audit{Auction: p.closed, Auditor: auction.Hash{1}}
		for _, kind := range []auction.EventKind{auction.AuditApproved, auction.AuditDisclosed} {
			if err := s.Audit(t.Context(), kind, audit); err != nil {
				t.Fatal(err)
			}
		}
		want := projections(t, keys)
		for _, step := range []struct {
			what    string
			lost    func(key string) bool
			answers bool // are kept
		}{
			{"nothing", func(string) bool { return false }, true},
			{"all but the answers", func(key string) bool { return !strings.HasSuffix(key, ":answers") }, true},
			{"all", func(string) bool { return true }, false},
		} {
			for key := range want {
				if step.lost(key) {
					keys.Del(t.Context(), key)
				}
			}
			for _, log := range []auction.LogID{auction.HouseLog, auction.LogID(p.closed), auction.LogID(p.open)} {
				n, err := first.Rebuild(t.Context(), log)
				if err != nil || n != uint64(keys.XLen(t.Context(), keyOf(log)).Val()) {
					t.Fatalf("%s lost: %d entries, %v", step.what, n, err)
				}
			}
			// What was closed may be due once more, until it is closed once more.
			if err := s.Close(t.Context(), p.closed, auction.Head{}, nil, 0); err != nil {
				t.Fatal(err)
			}
			if !step.answers {
				forget(want)
			}
			if got := projections(t, keys); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s lost; rebuilt:\n%q\nwant:\n%q", step.what, got, want)
			}
			p.sendAgain(t, s)
			if _, err := s.Send(p.fresh); step.answers && auction.CodeOf(err) != auction.CodeRateLimited {
				t.Errorf("%s lost; one refusal more than are remembered: %v", step.what, err)
			}
		}
		s.CheckLogs()
		_, err := first.Rebuild(t.Context(), auction.LogID(s.Pseudonym()))
		if auction.CodeOf(err) != auction.CodeUnknownAuction {
			t.Errorf("rebuild of an unknown auction: %v", err)
		}
	})
}

// A state that is lost is rebuilt by whoever needs it.
func TestLostStateIsRebuilt(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		clock := auctiontest.NewClock()
		s := auctiontest.NewScene(t, t.Name(), open(t, url, clock.Now), clock)
		id := s.Listed("seller", s.Terms())
		first := s.Bid(id, "bidder", 1000)
		want := s.Accept(first)
		for _, key := range []string{"state", "answers", "certs"} {
			client(t, url).Del(t.Context(), "sigilo:{"+string(id)+"}:"+key)
		}
		if got := s.Accept(first); !reflect.DeepEqual(got.Entry, want.Entry) {
			t.Error("another answer than the first")
		}
		s.Accept(s.Bid(id, "bidder", 2000))
		s.CheckLogs()
	})
}

// keyOf is the stream of a log of the house demo.
func keyOf(log auction.LogID) string {
	if log == auction.HouseLog {
		log = "demo"
	}
	return "sigilo:{" + string(log) + "}:log"
}

// What the house's projections knew is rebuilt by whoever misses it, each of them
// alone.
func TestLostHouseIsRebuilt(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		clock := auctiontest.NewClock()
		b := open(t, url, clock.Now)
		s := auctiontest.NewScene(t, t.Name(), b, clock)
		first := s.List("seller", s.Terms())
		want := s.Accept(first)
		id := first.Auction
		keys := client(t, url)
		end := s.State(id).End()
		dues := func() []auction.ID {
			t.Helper()
			ids, err := b.Due(t.Context(), end.Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			return ids
		}
		keys.Del(t.Context(), "sigilo:{demo}:due")
		if got := dues(); !slices.Equal(got, []auction.ID{id}) {
			t.Errorf("due are %d auctions, want the one", len(got))
		}
		lose := func() { keys.Del(t.Context(), "sigilo:{demo}:state", "sigilo:{demo}:answers") }
		lose()
		second := s.List("seller", s.Terms())
		s.Accept(second)
		if got := dues(); len(got) != 2 {
			t.Errorf("due are %d auctions, want two", len(got))
		}
		if got := s.Accept(first); !reflect.DeepEqual(got.Entry, want.Entry) {
			t.Error("another answer than the first")
		}
		lose()
		if got := s.Accept(first); !reflect.DeepEqual(got.Entry, want.Entry) {
			t.Error("another answer than the first after a loss")
		}
		lose()
		audit := auction.Audit{Auction: id, Auditor: auction.Hash{1}}
		if err := s.Audit(t.Context(), auction.AuditApproved, audit); err != nil {
			t.Errorf("audit: %v", err)
		}
		lose()
		if err := b.Adopt(t.Context(), s.Doc); err != nil {
			t.Fatal(err)
		}
		if err := s.Audit(t.Context(), auction.AuditApproved, audit); err != nil {
			t.Error(err)
		}
		if n := len(s.Log(auction.HouseLog)); n != 4 {
			t.Errorf("%d entries of the house log, want the policy, two listings and the audit", n)
		}
		s.CheckLogs()
	})
}

// A replica may die after list.lua and before open.lua: whoever meets the
// auction opens it.
func TestListingThatWasNotOpened(t *testing.T) {
	eachRedis(t, func(t *testing.T, url string) {
		clock := auctiontest.NewClock()
		s := auctiontest.NewScene(t, t.Name(), open(t, url, clock.Now), clock)
		for name, meet := range map[string]func(*auctiontest.Scene, auction.Command){
			"looks":   func(s *auctiontest.Scene, c auction.Command) { s.State(c.Auction) },
			"reads":   func(s *auctiontest.Scene, c auction.Command) { s.Log(auction.LogID(c.Auction)) },
			"bids":    func(s *auctiontest.Scene, c auction.Command) { s.Accept(s.Bid(c.Auction, "bidder", 1000)) },
			"repeats": func(s *auctiontest.Scene, c auction.Command) { s.Accept(c) },
		} {
			c := s.List("seller", s.Terms())
			want := s.Accept(c)
			keys := client(t, url)
			keys.Del(t.Context(), keys.Keys(t.Context(), "sigilo:{"+string(c.Auction)+"}:*").Val()...)
			r := *s
			r.Backend = open(t, url, clock.Now) // one that has not seen it
			meet(&r, c)
			if got := r.Log(auction.LogID(c.Auction))[0]; !reflect.DeepEqual(got, want.Entry) {
				t.Errorf("%s: another first entry", name)
			}
		}
		s.CheckLogs()
	})
}

// value is that of a counter or a gauge without labels.
func value(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

func openLogged(t *testing.T, url string, clock auction.Clock, log *slog.Logger) *store.Store {
	t.Helper()
	return openWith(t, url, clock, log, prometheus.NewRegistry())
}

func openWith(t *testing.T, url string, clock auction.Clock, log *slog.Logger, registry *prometheus.Registry) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{
		URL: url, House: "demo", Clock: clock, Signer: auctiontest.Signer{}, Random: auctiontest.Zeros{},
		Log: log, Registerer: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}
