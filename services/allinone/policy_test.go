package allinone_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/services/allinone"
	"github.com/sigilo/sigilo/services/ca"
)

// A house whose time authorities change: what was listed under the old ones is
// stamped and judged by them to its end.
func TestAuthoritiesChange(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	h, err := allinone.Start(ctx, allinone.Config{Dir: dir, Replicas: 1, Authorities: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	}()
	file := filepath.Join(dir, "keys", ca.FilePolicy)
	both, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	only := func(authority int) func(*auction.Policy) {
		return func(p *auction.Policy) { p.Authorities = p.Authorities[authority : authority+1] }
	}
	adopt(t, ctx, h, file, both, only(0))
	seller := enrol(t, ctx, h, "sofia", "participant", h.Ready.DMS, client.Options{})
	bidder := enrol(t, ctx, h, "bruno", "participant", h.Ready.DMS, client.Options{})
	list := func() auction.ID {
		now, err := seller.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		placed, err := seller.List(ctx, client.Listing{
			Title: "Clock", Currency: "EUR", Minimum: 1000, Closes: now.Add(time.Hour), TieWindow: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		return placed.Prepared.Auction
	}
	old := list()
	bid := func(id auction.ID, amount auction.Amount) {
		t.Helper()
		if _, err := bidder.Bid(ctx, id, amount); err != nil {
			t.Errorf("bid %d: %v", amount, err)
		}
	}
	bid(old, 1000)
	before, _, err := bidder.Policy(ctx)
	if err != nil {
		t.Fatal(err)
	}
	adopt(t, ctx, h, file, both, only(1))
	young := list()
	bidder.Close()
	if bidder, err = client.New(bidder.Profile(), client.Options{}); err != nil {
		t.Fatal(err)
	}
	defer bidder.Close()
	bid(old, 1100)
	bid(young, 1000)
	bid(old, 1200)
	after, _, err := bidder.Policy(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := before.Authorities[0].Name, after.Authorities[0].Name; a != "tsa1" || b != "tsa2" {
		t.Errorf("authorities %s and then %s", a, b)
	}
}

// adopt has the house take a changed policy, by a replica that is configured with
// it. made is the policy to change.
func adopt(t *testing.T, ctx context.Context, h *allinone.House, file string, made []byte, change func(*auction.Policy)) {
	t.Helper()
	policy, err := auction.ParsePolicy(made)
	if err != nil {
		t.Fatal(err)
	}
	change(&policy)
	data, err := policy.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.StartReplica(); err != nil {
		t.Fatal(err)
	}
	waitReady(t, ctx, strings.TrimSuffix(h.Ready.Metrics[len(h.Ready.Metrics)-1], "metrics")+"readyz") // once its policy is in force
}
