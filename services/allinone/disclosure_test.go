package allinone_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/services/allinone"
	"github.com/sigilo/sigilo/services/ca"
)

// A seller and a winner who are away for days still get and give the disclosure,
// under certificates that ended meanwhile. Who has disclosed is told after the
// policy's time that the other has not. The keys are those that the policy asks
// for: here the hybrid ones.
func TestDisclosureAfterDays(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := t.TempDir()
	h, err := allinone.Start(ctx, allinone.Config{Dir: dir, Replicas: 1, SimulatedTime: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	}()
	file := filepath.Join(dir, "keys", ca.FilePolicy)
	made, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	adopt(t, ctx, h, file, made, func(p *auction.Policy) {
		p.DisclosureKEM, p.DisclosureWithin = auction.DisclosureHybrid, (2 * day).Microseconds()
	})
	replicas := h.Ready.DMS[1:]
	seller := enrol(t, ctx, h, "sofia", "participant", replicas, client.Options{})
	winner := enrol(t, ctx, h, "bruno", "participant", replicas, client.Options{})
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
	id := placed.Prepared.Auction
	if _, err := winner.Bid(ctx, id, 1500); err != nil {
		t.Fatal(err)
	}

	seller, winner = away(t, ctx, h, seller, now.Add(2*time.Hour)), away(t, ctx, h, winner, now.Add(day))
	waitClosed(t, ctx, winner, id)
	if sale := readSale(t, ctx, winner, id); len(sale.OwnKey) != 1249 || len(sale.TheirKey) != 1249 {
		t.Errorf("disclosure keys of %d and %d bytes", len(sale.OwnKey), len(sale.TheirKey))
	}
	sendDisclosure(t, ctx, winner, id)
	wantSilent(t, ctx, winner, id, false)

	winner = away(t, ctx, h, winner, now.Add(4*day))
	readSale(t, ctx, winner, id)
	wantSilent(t, ctx, winner, id, true)

	readSale(t, ctx, seller, id)
	sendDisclosure(t, ctx, seller, id)
	for c, theirs := range map[*client.Client]string{seller: "bruno", winner: "sofia"} {
		if sale := readSale(t, ctx, c, id); sale.Theirs["username"] != theirs {
			t.Errorf("%s disclosed %v", theirs, sale.Theirs)
		}
		wantSilent(t, ctx, c, id, false)
	}
}

// away ends a client and gives the one that its person starts at a later time.
func away(t *testing.T, ctx context.Context, h *allinone.House, c *client.Client, back auction.Time) *client.Client {
	t.Helper()
	c.Close()
	if err := h.SetTime(ctx, back); err != nil {
		t.Fatal(err)
	}
	next, err := client.New(c.Profile(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(next.Close)
	return next
}

// readSale checks all messages, and returns what is known of one sale.
func readSale(t *testing.T, ctx context.Context, c *client.Client, id auction.ID) client.Closing {
	t.Helper()
	messages, err := c.Inbox(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		open := c.Opened
		if m.Message == auction.MessageClosed {
			open = c.Closed
		}
		if _, err := open(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	sale, err := c.Closing(id)
	if err != nil {
		t.Fatal(err)
	}
	return sale
}

func sendDisclosure(t *testing.T, ctx context.Context, c *client.Client, id auction.ID) {
	t.Helper()
	if err := c.Disclose(ctx, id, nil); err != nil {
		t.Fatal(err)
	}
}

func wantSilent(t *testing.T, ctx context.Context, c *client.Client, id auction.ID, want bool) {
	t.Helper()
	now, err := c.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sale, err := c.Closing(id)
	if err != nil {
		t.Fatal(err)
	}
	if sale.Silent(now) != want {
		t.Errorf("silent %v at %v, deadline %v", !want, now, sale.Deadline)
	}
}
