package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/wire"
)

type (
	itemsCmd   struct{}
	myItemsCmd struct{}
	myBidsCmd  struct{}
)

func (itemsCmd) Help() string   { return "Example: sigilo items" }
func (myItemsCmd) Help() string { return "Example: sigilo my-items" }
func (myBidsCmd) Help() string  { return "Example: sigilo my-bids --json" }

// Run shows all auctions.
func (itemsCmd) Run(ctx context.Context, a *app) error {
	return a.showItems(ctx, (*client.Client).Items, itemRows)
}

// Run shows one's own listings.
func (myItemsCmd) Run(ctx context.Context, a *app) error {
	return a.showItems(ctx, (*client.Client).MyItems, itemRows)
}

// Run shows one's own bids.
func (myBidsCmd) Run(ctx context.Context, a *app) error {
	return a.showItems(ctx, (*client.Client).MyBids, bidRows)
}

// showItems prints what a query gives: the items as they came, or as a table.
func (a *app) showItems(
	ctx context.Context,
	query func(*client.Client, context.Context) ([]wire.Item, error),
	rows func([]wire.Item, auction.Time) [][]string,
) error {
	ctx, cancel := a.limit(ctx)
	defer cancel()
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	items, err := query(c, ctx)
	if err != nil {
		return err
	}
	now, err := c.Now(ctx)
	if err != nil {
		now = 0 // the end is shown in place of the time left
	}
	a.result(items, func() {
		if len(items) == 0 {
			a.print("none")
			return
		}
		a.table(rows(items, now))
	})
	return nil
}

func itemRows(items []wire.Item, now auction.Time) [][]string {
	rows := [][]string{{"ID", "TITLE", "BIDS", "HIGHEST", "LEAST NEXT", "LEFT", "STATUS"}}
	for _, i := range items {
		rows = append(rows, []string{
			short(i.Auction), plain(i.Title), strconv.FormatUint(i.Bids, 10),
			orDash(i.Highest, i.Currency), orDash(i.Least, i.Currency), left(i, now), standing(i),
		})
	}
	return rows
}

func bidRows(items []wire.Item, now auction.Time) [][]string {
	rows := [][]string{{"ID", "TITLE", "YOUR BID", "IT IS", "HIGHEST", "LEFT", "STATUS"}}
	for _, i := range items {
		for _, bid := range i.Mine {
			rows = append(rows, []string{
				short(i.Auction), plain(i.Title), money(bid.Amount, i.Currency), string(bid.Status),
				orDash(i.Highest, i.Currency), left(i, now), standing(i),
			})
		}
	}
	return rows
}

func orDash(v auction.Amount, c auction.Currency) string {
	if v == 0 {
		return "-"
	}
	return money(v, c)
}

// standing is an auction's status with its outcome.
func standing(i wire.Item) string {
	if i.Outcome != "" {
		return string(i.Status) + ", " + i.Outcome
	}
	return string(i.Status)
}

type itemCmd struct {
	ID string `arg:"" help:"The auction, by its id or the beginning of it."`
}

func (itemCmd) Help() string { return "Example: sigilo item 3f2a91c0" }

// shownItem is an auction with its terms and the signed head of its log.
type shownItem struct {
	Item  wire.Item     `json:"item"`
	Terms auction.Terms `json:"terms"`
	Head  string        `json:"head"`
}

// Run shows the auction.
func (cmd *itemCmd) Run(ctx context.Context, a *app) error {
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
	shown, err := c.Item(ctx, id)
	if err != nil {
		return err
	}
	now, err := c.Now(ctx)
	if err != nil {
		now = 0
	}
	a.result(shownItem{shown.Item, shown.Terms, shown.Note}, func() { a.printItem(shown, now) })
	return nil
}

func (a *app) printItem(shown client.Shown, now auction.Time) {
	i, t := shown.Item, shown.Terms
	a.print("auction      %s", i.Auction)
	a.print("title        %s", plain(t.Title))
	if t.Description != "" {
		a.print("description  %s", strings.ReplaceAll(plain(t.Description), "\n", "\n             "))
	}
	a.print("status       %s", standing(i))
	if i.Status == wire.StatusSuspended {
		a.print("             the house has lost entries, and takes nothing until its operator decides.")
		a.print("             Keep your profile: your receipts prove what you sent (sigilo watch shows them to the house)")
	}
	a.print("ends         %s (left: %s)", clock(i.Closes.Std()), left(i, now))
	a.print("bids         %d", i.Bids)
	a.print("highest      %s", orDash(i.Highest, i.Currency))
	a.print("least next   %s", orDash(i.Least, i.Currency))
	a.print("terms        minimum %s, step %s, ties within %v go to the earliest stamp",
		money(t.Minimum, t.Currency), money(t.Increment, t.Currency), microseconds(t.TieWindow))
	if soft := t.Soft; soft != nil {
		a.print("soft close   a higher bid in the last %v moves the end to %v after it, at the latest to %s",
			microseconds(soft.Window), microseconds(soft.Extension), clock(soft.Latest.Std()))
	}
	if t.Reserve != nil {
		a.print("reserve      there is a hidden one: the close shows it, and sells nothing below")
	}
	a.print("disclose     %s", strings.Join(t.Disclose, ", "))
	a.print("terms hash   %s", i.TermsHash)
	a.print("policy hash  %s", t.Policy)
	a.print("signed head  %d entries, root %s", shown.Head.Size, shown.Head.Root)
}
