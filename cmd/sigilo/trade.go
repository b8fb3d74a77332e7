package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
)

type listCmd struct {
	Title       string           `required:"" help:"What it is, in a line."`
	Description string           `help:"More about it."`
	Currency    auction.Currency `required:"" help:"ISO 4217 code of the money, such as EUR."`
	Minimum     string           `required:"" placeholder:"AMOUNT" help:"Least first bid, such as 12.50."`
	Increment   string           `placeholder:"AMOUNT" help:"Least step over the highest bid; the smallest unit if not given."`
	Closes      string           `required:"" placeholder:"WHEN" help:"End of the auction: 2026-10-05T18:00:00Z, or from now such as 2h30m."`
	Reserve     string           `placeholder:"AMOUNT" help:"Hidden price: below it nothing is sold. The house learns it with the listing, everybody at the close."`
	TieWindow   time.Duration    `default:"1s" help:"How long after a bid an equal one that was stamped before it still wins; 0 for not at all."`
	Soft        time.Duration    `placeholder:"TIME" help:"Soft close: a bid that raises the price in the last TIME moves the end, so that others can answer; 1m to 1h."`
	Extension   time.Duration    `placeholder:"TIME" help:"How long after such a bid the auction ends; 1m to 24h, as long as --soft if not given."`
	Latest      string           `placeholder:"WHEN" help:"Latest end of a soft close; ten extensions after --closes if not given."`
	Disclose    []string         `default:"username" placeholder:"CLAIM,..." help:"What seller and winner must tell each other, at least."`
}

func (listCmd) Help() string {
	return `Example: sigilo list --title "A clock" --currency EUR --minimum 12.50 --closes 2h`
}

// placed is a list or bid command that the house has committed to.
type placed struct {
	Auction   auction.ID        `json:"auction"`
	Pseudonym auction.Pseudonym `json:"pseudonym"`
	Seq       uint64            `json:"seq"`
	Amount    auction.Amount    `json:"amount,omitzero"`
	Currency  auction.Currency  `json:"currency"`
	Closes    auction.Time      `json:"closes"`
	Recorded  bool              `json:"recorded,omitzero"` // arrived after the end: judged at the close
	Receipt   auction.Receipt   `json:"receipt"`
}

// Run lists the item.
func (cmd *listCmd) Run(ctx context.Context, a *app) error {
	listing := client.Listing{
		Title: cmd.Title, Description: cmd.Description, Currency: cmd.Currency,
		TieWindow: cmd.TieWindow, Disclose: cmd.Disclose,
	}
	var err error
	if listing.Minimum, err = amount("--minimum", cmd.Minimum, cmd.Currency); err != nil {
		return err
	}
	if cmd.Increment != "" {
		if listing.Increment, err = amount("--increment", cmd.Increment, cmd.Currency); err != nil {
			return err
		}
	}
	if cmd.Reserve != "" {
		if listing.Reserve, err = amount("--reserve", cmd.Reserve, cmd.Currency); err != nil {
			return err
		}
	}
	closes, err := parseWhen("--closes", cmd.Closes)
	if err != nil {
		return err
	}
	soft, err := cmd.softClose()
	if err != nil {
		return err
	}
	ctx, cancel := a.limit(ctx)
	defer cancel()
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	now, err := c.Now(ctx)
	if err != nil {
		return err
	}
	listing.Closes = closes(now)
	listing.Soft = soft(now, listing.Closes)
	prepared, err := c.PrepareList(ctx, listing)
	if err != nil {
		return err
	}
	done, err := a.send(ctx, c, prepared)
	if err != nil {
		return err
	}
	out := placed{
		Auction: prepared.Auction, Pseudonym: prepared.Pseudonym, Seq: done.Receipt.Seq,
		Currency: listing.Currency, Closes: listing.Closes, Receipt: done.Receipt,
	}
	a.follow(ctx, prepared.Auction)
	a.result(out, func() {
		a.print("listed: auction %s", out.Auction)
		a.print("bidding ends at %s, in %s", clock(out.Closes.Std()), span(out.Closes.Sub(now)))
		a.print("The house has your receipt signed. Nobody sees that it was you who listed.")
	})
	return nil
}

// softClose reads the flags of a soft close. What it returns gives the terms of
// one, nil for none.
func (cmd *listCmd) softClose() (func(now, closes auction.Time) *auction.SoftClose, error) {
	if cmd.Soft == 0 {
		if cmd.Extension != 0 || cmd.Latest != "" {
			return nil, usage("--extension and --latest are of a soft close: give --soft too")
		}
		return func(auction.Time, auction.Time) *auction.SoftClose { return nil }, nil
	}
	extension := cmp.Or(cmd.Extension, cmd.Soft)
	latest := func(_, closes auction.Time) auction.Time { return closes.Add(10 * extension) }
	if cmd.Latest != "" {
		when, err := parseWhen("--latest", cmd.Latest)
		if err != nil {
			return nil, err
		}
		latest = func(now, _ auction.Time) auction.Time { return when(now) }
	}
	return func(now, closes auction.Time) *auction.SoftClose {
		return &auction.SoftClose{
			Window: cmd.Soft.Microseconds(), Extension: extension.Microseconds(), Latest: latest(now, closes),
		}
	}, nil
}

// parseWhen reads a time that may be relative to the trusted time of the command.
func parseWhen(flag, text string) (func(now auction.Time) auction.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return func(now auction.Time) auction.Time { return now.Add(d) }, nil
	}
	t, err := parseTime(flag, text)
	if err != nil {
		return nil, usage("%s is a time such as 2026-10-05T18:00:00Z, or from now such as 2h30m", flag)
	}
	return func(auction.Time) auction.Time { return t }, nil
}

func parseTime(name, text string) (auction.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, usage("%s is a time such as 2026-10-05T18:00:00Z", name)
	}
	return auction.TimeOf(t), nil
}

// amount reads an amount that a person typed.
func amount(name, text string, currency auction.Currency) (auction.Amount, error) {
	v, err := auction.ParseAmount(text, currency)
	if err != nil {
		return 0, usage("%s: %w", name, err)
	}
	return v, nil
}

// inMoney words the refusal of a bid that is too low in the auction's money.
func inMoney(err error, currency auction.Currency) error {
	var low *auction.Refusal
	if !errors.As(err, &low) || low.Least == 0 {
		return err
	}
	return &auction.Refusal{Code: low.Code, Detail: "bid at least " + money(low.Least, currency), Least: low.Least}
}

type bidCmd struct {
	ID     string `arg:"" help:"The auction, by its id or the beginning of it."`
	Amount string `arg:"" help:"How much, in the auction's currency, such as 15.00."`
}

func (bidCmd) Help() string {
	return `Example: sigilo bid 3f2a91c0 15.00

A bid binds you and is not taken back. The receipt comes once it cannot be lost.`
}

// Run places the bid.
func (cmd *bidCmd) Run(ctx context.Context, a *app) error {
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
	currency := shown.Terms.Currency
	value, err := amount("the amount", cmd.Amount, currency)
	if err != nil {
		return err
	}
	prepared, err := c.PrepareBid(ctx, id, value)
	if err != nil {
		return err
	}
	done, err := a.send(ctx, c, prepared)
	if err != nil {
		return inMoney(err, currency)
	}
	out := placed{
		Auction: id, Pseudonym: prepared.Pseudonym, Seq: done.Receipt.Seq, Amount: value, Currency: currency,
		Closes: shown.Item.Closes, Recorded: done.Recorded(), Receipt: done.Receipt,
	}
	a.follow(ctx, id)
	a.result(out, func() {
		a.print("accepted: %s, entry %d of auction %s", money(value, currency), out.Seq, id)
		if out.Recorded {
			a.print("It arrived after the end: it was stamped before, and is judged at the close.")
		}
		a.print("Others see it under the name %s, which nobody has seen before.", out.Pseudonym)
	})
	return nil
}

type withdrawCmd struct {
	ID string `arg:"" help:"The auction, by its id or the beginning of it."`
}

func (withdrawCmd) Help() string {
	return `Example: sigilo withdraw 3f2a91c0

Only the seller can, and only before the first bid. Everybody sees that it was
withdrawn, and nobody who you are.`
}

// Run withdraws the auction.
func (cmd *withdrawCmd) Run(ctx context.Context, a *app) error {
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
	prepared, err := c.PrepareWithdraw(ctx, id)
	if err != nil {
		return err
	}
	done, err := a.send(ctx, c, prepared)
	if err != nil {
		return err
	}
	out := withdrawn{Auction: id, Pseudonym: prepared.Pseudonym, Seq: done.Receipt.Seq, Receipt: done.Receipt}
	a.result(out, func() { a.print("withdrawn: auction %s, by its entry %d", id, out.Seq) })
	return nil
}

// withdrawn is a withdrawal that the house has committed to.
type withdrawn struct {
	Auction   auction.ID        `json:"auction"`
	Pseudonym auction.Pseudonym `json:"pseudonym"`
	Seq       uint64            `json:"seq"`
	Receipt   auction.Receipt   `json:"receipt"`
}
