package allinone

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/identity"
)

// actor is one person of the demo: a client of its own, with its own directory
// of keys, and a note of every byte that it received.
type actor struct {
	name     string // as the story calls them
	username string
	claims   map[string]string
	client   *client.Client
	received Haystack

	mu     sync.Mutex
	events []auction.Event // of the auction, as they came
}

// secrets are the strings that tell who somebody is.
func (a *actor) secrets() []string {
	out := []string{a.username}
	for _, value := range a.claims {
		out = append(out, value)
	}
	return out
}

// newActor makes a profile that prefers the given replica.
func newActor(h *House, dir, name, username string, claims map[string]string, replica int) (*actor, error) {
	house, err := h.Client()
	if err != nil {
		return nil, err
	}
	replica %= len(house.DMS)
	house.DMS = append(append([]string(nil), house.DMS[replica:]...), house.DMS[:replica]...)
	profile, err := client.CreateProfile(filepath.Join(dir, strings.ToLower(name)), house)
	if err != nil {
		return nil, err
	}
	a := &actor{name: name, username: username, claims: claims}
	a.client, err = client.New(profile, client.Options{OnReceive: a.received.Add})
	return a, err
}

// enrol gets the actor a certificate for an invite of the operator.
func (a *actor) enrol(ctx context.Context, h *House, role identity.Role) error {
	invite, err := h.Invite(ctx, a.username, a.claims, string(role))
	if err != nil {
		return fmt.Errorf("invite: %w", err)
	}
	return a.client.Enroll(ctx, client.Enrolment{Invite: invite})
}

// follow notes every event of an auction until ctx ends.
func (a *actor) follow(ctx context.Context, id auction.ID) error {
	f, err := a.client.Follow(ctx, auction.LogID(id))
	if err != nil {
		return err
	}
	go func() {
		for {
			e, err := f.Next(ctx)
			if err != nil {
				return
			}
			a.mu.Lock()
			a.events = append(a.events, e)
			a.mu.Unlock()
		}
	}()
	return nil
}

// seen returns the events that came so far.
func (a *actor) seen() []auction.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]auction.Event(nil), a.events...)
}
