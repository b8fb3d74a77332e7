package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/wire"
)

type inboxCmd struct{}

func (inboxCmd) Help() string {
	return `Example: sigilo inbox

Shows the sales that you took part in, and what the other side told about
itself. What the house says of them is checked first; exit status 1 means that
a message does not hold: it is kept in the profile, as a proof.`
}

// sale is how an auction ended for its seller or its winner.
type sale struct {
	Auction   auction.ID        `json:"auction"`
	Title     string            `json:"title"`
	Role      wire.Role         `json:"role"` // one's own
	Outcome   string            `json:"outcome"`
	Amount    auction.Amount    `json:"amount,omitzero"`
	Currency  auction.Currency  `json:"currency"`
	Closed    auction.Time      `json:"closed"`
	Disclosed []string          `json:"disclosed,omitzero"` // claims that one sent
	Theirs    map[string]string `json:"theirs,omitzero"`    // claims that the other side sent
	Missing   []string          `json:"missing,omitzero"`   // claims of the terms that are not in theirs
	Deadline  auction.Time      `json:"deadline,omitzero"`  // until when both sides are to disclose
	Silent    bool              `json:"silent,omitzero"`    // the other side has not by then, and one has oneself
	Early     bool              `json:"early,omitzero"`     // the house gave theirs before one had sent one's own
}

// Run fetches, checks and shows the messages.
func (inboxCmd) Run(ctx context.Context, a *app) error {
	ctx, cancel := a.limit(ctx)
	defer cancel()
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	bad, err := readInbox(ctx, c)
	if err != nil {
		return err
	}
	closings, err := c.Profile().Closings()
	if err != nil {
		return local("%w", err)
	}
	slices.SortFunc(closings, func(x, y client.Closing) int { return int(x.At - y.At) })
	now, err := c.Now(ctx)
	if err != nil {
		now = 0 // nobody is called silent while no time authority says what time it is
	}
	sales := make([]sale, len(closings))
	for i, closing := range closings {
		if sales[i], err = saleOf(closing, now); err != nil {
			return local("read a sale of the profile: %w", err)
		}
	}
	a.result(sales, func() {
		if len(sales) == 0 {
			a.print("no sales")
		}
		for _, s := range sales {
			a.printSale(s)
		}
	})
	rejected, err := c.Profile().Rejected()
	if err != nil {
		return local("%w", err)
	}
	for _, r := range rejected {
		a.note("does not hold, kept in %s: %s of auction %s: %s",
			filepath.Join(c.Profile().Dir(), "junk"), r.Message.Message, short(r.Message.Auction), plain(r.Why))
	}
	if bad != nil {
		return refused("a message of the house does not hold: %w", bad)
	}
	return nil
}

// readInbox checks all messages that are not acknowledged. The first that does
// not hold is returned as bad. Junk goes to the profile; what could not be
// checked stays with the house.
func readInbox(ctx context.Context, c *client.Client) (bad, err error) {
	for left := false; ; {
		messages, err := c.Inbox(ctx)
		if err != nil || len(messages) == 0 {
			return bad, err
		}
		for _, m := range messages {
			if m.Message == auction.MessageClosed {
				_, err = c.Closed(ctx, m)
			} else {
				_, err = c.Opened(ctx, m)
			}
			var junk *client.Junk
			if errors.As(err, &junk) {
				if err := c.Reject(ctx, m, junk); err != nil {
					return bad, err
				}
				bad = cmp.Or(bad, err)
				continue
			}
			switch {
			case exitOf(err) == exitRefused:
				bad, left = cmp.Or(bad, err), true
			case err != nil:
				return bad, err
			}
		}
		if left {
			return bad, nil
		}
	}
}

func saleOf(c client.Closing, now auction.Time) (sale, error) {
	terms, err := auction.ParseTerms([]byte(c.Terms))
	if err != nil {
		return sale{}, err
	}
	out := sale{
		Auction: c.Auction, Title: terms.Title, Role: c.Role, Outcome: c.Outcome, Amount: c.Amount,
		Currency: c.Currency, Closed: c.At, Disclosed: c.Disclosed, Theirs: c.Theirs,
		Deadline: c.Deadline, Silent: c.Silent(now), Early: c.Early != nil,
	}
	for _, claim := range terms.Disclose {
		if _, told := c.Theirs[claim]; c.Theirs != nil && !told {
			out.Missing = append(out.Missing, claim)
		}
	}
	return out, nil
}

func (a *app) printSale(s sale) {
	a.print("%s  %s", short(s.Auction), plain(s.Title))
	other := "the seller"
	switch {
	case s.Outcome != auction.Sold:
		a.print("  not sold, closed at %s", clock(s.Closed.Std()))
		return
	case s.Role == wire.RoleSeller:
		other = "the buyer"
		a.print("  you sold it for %s, closed at %s", money(s.Amount, s.Currency), clock(s.Closed.Std()))
	default:
		a.print("  you won it for %s, closed at %s", money(s.Amount, s.Currency), clock(s.Closed.Std()))
	}
	if s.Theirs != nil {
		for _, name := range slices.Sorted(maps.Keys(s.Theirs)) {
			a.print("  %s: %s = %s", other, plain(name), plain(s.Theirs[name]))
		}
		if s.Missing != nil {
			a.print("  %s did not tell what the terms ask for: %s", other, strings.Join(s.Missing, ", "))
		}
		if s.Early {
			a.print("  the house gave you this before you had told it anything, which breaks its rules: what %s signed is kept in the profile, and proves it", other)
		}
		if s.Disclosed == nil {
			a.print("  you have not told who you are: sigilo disclose %s", short(s.Auction))
		}
		return
	}
	if s.Silent {
		a.print("  you told who you are; %s has not by %s, when the house's rules give it no more time. Or the house holds it back", other, clock(s.Deadline.Std()))
		return
	}
	if s.Disclosed != nil {
		a.print("  you told who you are; %s has not yet, so neither reads the other", other)
		return
	}
	a.print("  tell who you are, to learn who %s is: sigilo disclose %s", other, short(s.Auction))
}

type discloseCmd struct {
	ID    string   `arg:"" help:"The auction, by its id or the beginning of it."`
	Claim []string `placeholder:"NAME,..." help:"What to tell beside what the terms ask for, such as email."`
}

func (discloseCmd) Help() string {
	return `Example: sigilo disclose 3f2a91c0 --claim email

Only the other side can read it, and only once it has told you the same. The
house passes on what it cannot read. Look into the inbox first: sigilo inbox`
}

// Run discloses.
func (cmd *discloseCmd) Run(ctx context.Context, a *app) error {
	ctx, cancel := a.limit(ctx)
	defer cancel()
	id, err := a.auctionID(ctx, cmd.ID)
	if err != nil {
		return err
	}
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	mine, err := c.Claims()
	if err != nil {
		return local("read the credential: %w", err)
	}
	for _, claim := range cmd.Claim {
		if _, ok := mine[claim]; !ok {
			return usage("your credential does not say that: it has %s", names(mine))
		}
	}
	if err := c.Disclose(ctx, id, cmd.Claim); err != nil {
		return err
	}
	closing, err := c.Closing(id)
	if err != nil {
		return local("%w", err)
	}
	s, err := saleOf(closing, closing.At) // the deadline is for the inbox to speak of
	if err != nil {
		return local("%w", err)
	}
	a.result(s, func() {
		a.print("disclosed, sealed to the other side: %s", strings.Join(s.Disclosed, ", "))
		a.print("sigilo inbox shows who the other side is once it has done the same.")
	})
	return nil
}

// names lists the names of claims.
func names(claims map[string]string) string {
	return strings.Join(slices.Sorted(maps.Keys(claims)), ", ")
}
