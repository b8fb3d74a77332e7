package allinone_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/services/allinone"
)

func TestAuction(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	h, err := allinone.Start(ctx, allinone.Config{Dir: t.TempDir(), SimulatedTime: true, Log: testWriter{t}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Stop()
	seller := enrol(t, ctx, h, "sofia")
	bidder := enrol(t, ctx, h, "bruno")
	now, err := seller.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := seller.List(ctx, client.Listing{Title: "A clock", Currency: "EUR", Minimum: 1000, Increment: 100, Closes: now.Add(time.Minute), TieWindow: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	id := listed.Prepared.Auction
	if _, err := bidder.Bid(ctx, id, 1500); err != nil {
		t.Fatal(err)
	}
	if err := h.SetTime(ctx, now.Add(70*time.Second)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client.Client{seller, bidder} {
		for {
			messages, err := c.Inbox(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if len(messages) == 1 {
				if _, err := c.Closed(ctx, messages[0]); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		if err := c.Disclose(ctx, id, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*client.Client{seller, bidder} {
		messages, err := c.Inbox(ctx)
		if err != nil || len(messages) != 1 {
			t.Fatal(messages, err)
		}
		closing, err := c.Opened(ctx, messages[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Log(closing.Theirs)
	}
	_ = auction.Sold
}

func enrol(t *testing.T, ctx context.Context, h *allinone.House, name string) *client.Client {
	t.Helper()
	house, err := h.Client()
	if err != nil {
		t.Fatal(err)
	}
	p, err := client.CreateProfile(filepath.Join(t.TempDir(), name), house)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(p, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	invite, err := h.Invite(ctx, name, map[string]string{"email": name + "@example.org"}, "participant")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Enroll(ctx, client.Enrolment{Invite: invite}); err != nil {
		t.Fatal(err)
	}
	return c
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(p))
	return len(p), nil
}
