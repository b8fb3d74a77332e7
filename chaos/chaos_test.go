package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	// What the programs are built from, so that no result is taken from a cache
	// when that has changed.
	_ "github.com/sigilo/sigilo/services/ca"
	_ "github.com/sigilo/sigilo/services/dms"
	_ "github.com/sigilo/sigilo/services/tsa"
)

var programsDir string // where the programs are; set by TestMain

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

// testMain builds the programs once for all tests.
func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sigilo-chaos-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	programsDir = dir
	return m.Run()
}

// newTestRun starts a house with its crowd, which end with the test.
func newTestRun(t *testing.T, cfg config) *run {
	t.Helper()
	r, err := open(t.Context(), cfg, t.TempDir(), programsDir, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.end)
	return r
}

// A round of what make chaos does: real processes are killed, stopped and cut
// off while people bid, and the auditor finds nothing, neither at once nor when it
// looks again. Then damage is planted in what it was given, and it finds that.
func TestNothingIsLost(t *testing.T) {
	for _, shape := range []string{"standalone", "sentinel"} {
		t.Run(shape, func(t *testing.T) {
			t.Parallel()
			r := newTestRun(t, config{Redis: shape, Replicas: 2})
			record := heldRound(t, r)
			if !t.Failed() {
				plantDamage(t, record)
				damageAfterwards(t, r, record)
			}
		})
	}
}

// damageAfterwards takes the close record from a log that was audited: whoever
// audits it once more finds that.
func damageAfterwards(t *testing.T, r *run, record *record) {
	t.Helper()
	r.over = append(r.over, record)
	found, err := r.again(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
	l := busiest(record)
	key := "sigilo:{" + string(l.id) + "}:log"
	primary, err := r.house.database.Primary(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{Addr: primary.Addr()})
	defer c.Close()
	if n, err := c.XDel(t.Context(), key, fmt.Sprintf("%d-0", len(l.entries))).Result(); n != 1 || err != nil {
		t.Fatalf("%d entries taken, %v", n, err)
	}
	if found, err = r.again(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found.count(closes) == 0 || found.count(missed) == 0 {
		t.Errorf("found %v, want what is gone", found)
	}
}

// heldRound holds a round that the auditor finds nothing in, or more where it had
// too few bids to show anything: a machine may have much else to do.
func heldRound(t *testing.T, r *run) *record {
	t.Helper()
	seed := rand.Uint64()
	for n := 1; ; n++ {
		t.Logf("round %d, seed %d", n, seed)
		held, err := r.round(t.Context(), n, seed)
		if err != nil {
			t.Fatal(err)
		}
		record, err := r.read(t.Context(), held)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range audit(record) {
			t.Error(f)
		}
		if t.Failed() || record.deeds().strong() == nil && len(busiest(record).entries) >= 4 {
			return record
		}
		if n == 4 {
			t.Fatal(errWeak)
		}
		r.forget(held)
	}
}

// What two faults at once take away had receipts. Nobody is left in the dark:
// followers are told, the replicas raise the alarm, and the receipts prove it.
func TestTwoFaultsAreNotSilent(t *testing.T) {
	t.Parallel()
	r := newTestRun(t, config{Redis: "standalone", Replicas: 2, Double: true})
	gone, found, err := r.double(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if gone != lostBids {
		t.Errorf("%d entries are gone, want %d", gone, lostBids)
	}
	for _, f := range found {
		t.Error(f)
	}
}
