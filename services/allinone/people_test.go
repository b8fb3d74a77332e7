package allinone_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/services/allinone"
)

// enrol makes a client of somebody in a role who speaks to the given replicas,
// the first of them first.
func enrol(t *testing.T, ctx context.Context, h *allinone.House, name, role string, replicas []string, options client.Options) *client.Client {
	t.Helper()
	house, err := h.Client()
	if err != nil {
		t.Fatal(err)
	}
	house.DMS = slices.Clone(replicas)
	p, err := client.CreateProfile(filepath.Join(t.TempDir(), name), house)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(p, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	invite, err := h.Invite(ctx, name, attributesOf(name), role)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Enroll(ctx, client.Enrolment{Invite: invite}); err != nil {
		t.Fatal(err)
	}
	return c
}

func attributesOf(name string) map[string]string {
	return map[string]string{"email": name + "@example.org"}
}

// waitClosed waits until a client sees that an auction has its outcome.
func waitClosed(t *testing.T, ctx context.Context, c *client.Client, id auction.ID) {
	t.Helper()
	for {
		shown, err := c.Item(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if shown.Item.Outcome != "" {
			return
		}
	}
}
