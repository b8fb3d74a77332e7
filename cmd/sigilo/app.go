package main

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// app is what the commands share.
type app struct {
	streams
	*globals
	terminal func(stream any) bool // isTerminal, but for tests

	printing sync.Mutex // one line at a time
	node     *client.Client
	shell    *shell               // nil outside of it
	onMail   func([]wire.Message) // of the shell; set before the client is opened
}

// limit bounds a command by --timeout.
func (a *app) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, a.Timeout)
}

func (a *app) close() {
	if a.node != nil {
		a.node.Close()
	}
}

// profile opens the profile. It must be there.
func (a *app) profile() (*client.Profile, error) {
	if a.Profile == "" {
		return nil, local("no profile directory: say which with --profile")
	}
	p, err := client.OpenProfile(a.Profile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, local("%s holds no profile: make one with sigilo enroll --house FILE", a.Profile)
	}
	if err != nil {
		return nil, local("open the profile: %w", err)
	}
	return p, nil
}

// client returns the client of a profile that is enrolled. It settles first what
// an earlier start left unanswered.
func (a *app) client(ctx context.Context) (*client.Client, error) {
	if a.node != nil {
		return a.node, nil
	}
	p, err := a.profile()
	if err != nil {
		return nil, err
	}
	if !p.Enrolled() {
		return nil, local("you are logged out: log in with sigilo enroll")
	}
	if err := a.open(p); err != nil {
		return nil, err
	}
	return a.node, a.resume(ctx, p)
}

// open makes the client of a profile.
func (a *app) open(p *client.Profile) error {
	options := client.Options{AllowInsecure: a.Insecure, OnMessages: a.onMail}
	if a.Quantum {
		options.Modes = []string{session.ModeHybrid}
	}
	c, err := client.New(p, options)
	if auction.CodeOf(err) == auction.CodeNotAllowed {
		return local("%w (--insecure allows it)", err)
	}
	if err != nil {
		return local("open the profile: %w", err)
	}
	a.node = c
	return nil
}

// resume sends what is pending again, the same bytes, and says what became of it.
func (a *app) resume(ctx context.Context, p *client.Profile) error {
	pending, err := p.Pending()
	if err != nil {
		return local("%w", err)
	}
	if len(pending) == 0 {
		return nil
	}
	kinds := make(map[auction.Pseudonym]auction.Kind)
	for _, c := range pending {
		kinds[c.Pseudonym] = c.Kind
	}
	placed, refused, err := a.node.Resume(ctx)
	for _, done := range placed {
		a.note("your earlier %s %s is confirmed: entry %d of auction %s",
			done.Prepared.Kind, short(done.Prepared.Pseudonym), done.Receipt.Seq, done.Prepared.Auction)
	}
	for name, why := range refused {
		a.note("your earlier %s %s was refused: %s", kinds[name], short(name), plain(why.Error()))
	}
	if errors.As(err, new(*client.Unconfirmed)) && exitOf(err) == exitRefused {
		a.note("an earlier command stays unconfirmed: %s", plain(err.Error()))
		return nil
	}
	return err
}

// send sends a command until it is answered. An answer that does not come
// leaves the command pending, which the error says.
func (a *app) send(ctx context.Context, c *client.Client, p client.Prepared) (client.Placed, error) {
	slow := time.AfterFunc(time.Second, func() {
		if a.terminal(a.err) {
			a.note("not confirmed yet: the same command is sent until the house answers")
		}
	})
	defer slow.Stop()
	placed, err := c.Send(ctx, p)
	if errors.As(err, new(*client.Unconfirmed)) && auction.CodeOf(err) != auction.CodeBadSignature {
		return placed, &failure{exitUnavailable, unconfirmed{p.Kind, err}}
	}
	return placed, err
}

// leastPrefix is the least number of characters that stand for an auction's id.
const leastPrefix = 6

// auctionID reads an auction's id, or the beginning of one that the house has.
func (a *app) auctionID(ctx context.Context, text string) (auction.ID, error) {
	if id, err := auction.ParseID(text); err == nil {
		return id, nil
	}
	if len(text) < leastPrefix || len(text) > 36 || strings.Trim(text, "0123456789abcdef-") != "" {
		return "", usage("an auction's id has 36 characters, such as sigilo items --json shows, and at least its first %d stand for it", leastPrefix)
	}
	c, err := a.client(ctx)
	if err != nil {
		return "", err
	}
	items, err := c.Items(ctx)
	if err != nil {
		return "", err
	}
	var found []auction.ID
	for _, item := range items {
		if strings.HasPrefix(string(item.Auction), text) {
			found = append(found, item.Auction)
		}
	}
	switch len(found) {
	case 0:
		return "", auction.Refuse(auction.CodeUnknownAuction, "no auction begins like that: see sigilo items")
	case 1:
		return found[0], nil
	}
	return "", usage("%d auctions begin like that: give more of the id", len(found))
}
