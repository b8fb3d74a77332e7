package allinone_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/store/localredis"
	"github.com/sigilo/sigilo/pkg/wire"
	"github.com/sigilo/sigilo/services/allinone"
	"github.com/sigilo/sigilo/services/ca/registry"
)

// TestRestore is the drill of docs/operations.md: a house is backed up while it
// works, loses its machines, and starts anew from the backup. The auction goes
// on, what had a receipt is there, and the CA knows who is who.
func TestRestore(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	old := t.TempDir()
	h, stop := houseOn(t, ctx, old)
	seller := enrol(t, ctx, h, "sofia", "participant", h.Ready.DMS, client.Options{})
	bidder := enrol(t, ctx, h, "bruno", "participant", h.Ready.DMS, client.Options{})
	invite, err := h.Invite(ctx, "clara", attributesOf("clara"), "participant")
	if err != nil {
		t.Fatal(err)
	}
	now, err := seller.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := seller.List(ctx, client.Listing{
		Title: "A clock", Currency: "EUR", Minimum: 1000, Closes: now.Add(5 * time.Minute), Disclose: []string{"email"},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := listed.Prepared.Auction
	before, err := bidder.Bid(ctx, id, 1500)
	if err != nil {
		t.Fatal(err)
	}

	rival := enrol(t, ctx, h, "rui", "participant", h.Ready.DMS, client.Options{})
	bidding, enough := context.WithCancel(ctx)
	bids := make(chan error)
	go func() { bids <- outbidOneself(ctx, bidding, rival, id) }()
	saved := t.TempDir()
	backUp(t, ctx, old, saved)
	enough()
	if err := <-bids; err != nil {
		t.Fatalf("bid during the backup: %v", err)
	}
	gone, err := rival.Bid(ctx, id, 50_000) // after the backup: it will be lost
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := os.RemoveAll(old); err != nil {
		t.Fatal(err)
	}

	h, stop = houseOn(t, ctx, saved)
	defer stop()
	seller, bidder = moved(t, seller, h), moved(t, bidder, h)
	after, err := bidder.Bid(ctx, id, 40_000) // with the old certificate: the CA gave it a token
	if err != nil {
		t.Fatalf("bid after the restore: %v", err)
	}
	if after.Receipt.Seq <= before.Receipt.Seq {
		t.Errorf("entry %d after the restore, %d before", after.Receipt.Seq, before.Receipt.Seq)
	}
	suspendedBy(t, ctx, moved(t, rival, h), gone.Receipt)
	if _, err := bidder.Bid(ctx, id, 45_000); auction.CodeOf(err) != auction.CodeSuspended {
		t.Errorf("a bid while entries are missing: %v", err)
	}
	if err := h.Resume(ctx, id); err != nil {
		t.Fatal(err)
	}
	if after, err = bidder.Bid(ctx, id, 45_000); err != nil {
		t.Fatalf("bid after the operator's decision: %v", err)
	}
	newcomer := newClient(t, h, "clara")
	if err := newcomer.Enroll(ctx, client.Enrolment{Invite: invite}); err != nil {
		t.Errorf("an invite from before the restore: %v", err)
	}
	if err := h.SetTime(ctx, now.Add(6*time.Minute)); err != nil {
		t.Fatal(err)
	}
	waitClosed(t, ctx, seller, id)
	bundle, err := bidder.Evidence(ctx, id, evidence.Party)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := bidder.Profile().Trust()
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := evidence.Verify(bundle, &trust)
	if err != nil || verdict.Outcome != auction.Sold || verdict.Amount != 45_000 || verdict.Receipts != 3 || verdict.Lost != 1 {
		t.Errorf("the evidence: %+v, %v", verdict, err)
	}

	bundle, err = moved(t, rival, h).Evidence(ctx, id, evidence.Party)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = evidence.Verify(bundle, &trust); auction.CodeOf(err) != auction.CodeHistoryChanged {
		t.Errorf("the evidence with the receipt of a bid that is gone: %v", err)
	}
}

// suspendedBy holds that somebody whose bid is gone suspends its auction by looking
// at it, since they show their receipt, and that the log says what is lost.
func suspendedBy(t *testing.T, ctx context.Context, c *client.Client, gone auction.Receipt) {
	t.Helper()
	id := gone.Auction
	f, err := c.Follow(ctx, auction.LogID(id))
	if err != nil {
		t.Fatal(err)
	}
	for {
		e, err := f.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != auction.AuctionSuspended {
			continue
		}
		if want := (auction.Lost{Seq: gone.Seq, Leaf: gone.Leaf}); *e.Lost != want {
			t.Errorf("lost: %+v, want %+v", *e.Lost, want)
		}
		break
	}
	if err := f.Stop(ctx); err != nil {
		t.Error(err)
	}
	shown, err := c.Item(ctx, id)
	if err != nil || shown.Item.Status != wire.StatusSuspended {
		t.Errorf("shown as %q, %v", shown.Item.Status, err)
	}
}

// outbidOneself raises the own bid by as little as may be until enough is done.
func outbidOneself(ctx, enough context.Context, c *client.Client, id auction.ID) error {
	for amount := auction.Amount(1501); enough.Err() == nil; amount++ {
		if _, err := c.Bid(ctx, id, amount); err != nil {
			return err
		}
	}
	return nil
}

// houseOn starts a house on what is in dir: its Redis, keys and registry.
func houseOn(t *testing.T, ctx context.Context, dir string) (*allinone.House, func()) {
	t.Helper()
	redis, err := localredis.Standalone(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Stop)
	h, err := allinone.Start(ctx, allinone.Config{Dir: dir, Replicas: 1, RedisURL: redis.URL, SimulatedTime: true})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			if err := h.Stop(); err != nil {
				t.Error(err)
			}
			redis.Stop()
		}
	}
	t.Cleanup(stop)
	return h, stop
}

// backUp copies a house that works, as docs/operations.md says.
func backUp(t *testing.T, ctx context.Context, from, to string) {
	t.Helper()
	var names bytes.Buffer
	if err := registry.Backup(ctx, filepath.Join(from, "registry.db"), &names, auction.TimeOf(time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "registry.db"), names.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(to, "redis"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"keys", "redis/appendonlydir"} {
		if out, err := exec.CommandContext(ctx, "cp", "-a", filepath.Join(from, folder), filepath.Join(to, folder)).CombinedOutput(); err != nil {
			t.Fatalf("copy %s: %v %s", folder, err, out)
		}
	}
}

// newClient makes a client of somebody who is not enrolled yet.
func newClient(t *testing.T, h *allinone.House, name string) *client.Client {
	t.Helper()
	house, err := h.Client()
	if err != nil {
		t.Fatal(err)
	}
	p, err := client.CreateProfile(filepath.Join(t.TempDir(), name), house)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, p)
}

func open(t *testing.T, p *client.Profile) *client.Client {
	t.Helper()
	c, err := client.New(p, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// moved opens somebody's profile again, for the house at its new addresses.
func moved(t *testing.T, c *client.Client, h *allinone.House) *client.Client {
	t.Helper()
	c.Close()
	house, err := h.Client()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Profile().Relocate(house); err != nil {
		t.Fatal(err)
	}
	return open(t, c.Profile())
}
