package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/wire"
)

type watchCmd struct {
	ID string `arg:"" optional:"" help:"The auction, by its id or the beginning of it; without one the house's listings."`
}

func (watchCmd) Help() string {
	return `Examples:

    sigilo watch                  (new listings, until Ctrl-C)
    sigilo watch 3f2a91c0         (one auction from its listing to its close)`
}

// Run prints events until Ctrl-C, those of an auction until it has closed.
func (cmd *watchCmd) Run(ctx context.Context, a *app) error {
	log := auction.HouseLog
	first, cancel := a.limit(ctx)
	defer cancel()
	if cmd.ID != "" {
		id, err := a.auctionID(first, cmd.ID)
		if err != nil {
			return err
		}
		log = auction.LogID(id)
	}
	c, err := a.client(first)
	if err != nil {
		return err
	}
	if a.shell != nil {
		return a.shell.watch(first, a, c, log)
	}
	f, err := c.Follow(first, log)
	if err != nil {
		return err
	}
	return a.watch(ctx, f, "")
}

// watch prints the events of a log, each after a prefix, until ctx ends or the
// auction has closed.
func (a *app) watch(ctx context.Context, f *client.Follow, prefix string) error {
	var terms auction.Terms
	for {
		event, err := f.Next(ctx)
		if errors.Is(err, context.Canceled) {
			return nil // it was asked to end
		}
		if err != nil {
			return err
		}
		if event.Kind == auction.SomeoneListed {
			if terms, err = auction.ParseTerms([]byte(event.Terms)); err != nil {
				return err
			}
		}
		if a.JSON {
			a.print("%s", event.Encode()) // as the house logged it
		} else {
			a.print("%s%s", prefix, eventLine(event, terms))
		}
		if event.Kind == auction.AuctionClosed {
			return nil
		}
	}
}

// eventLine says in a line what happened. terms are those of the event's
// auction, if it has one.
func eventLine(e auction.Event, terms auction.Terms) string {
	line := clock(time.Unix(e.Time, 0)) + "  "
	switch e.Kind {
	case auction.SomeoneListed:
		return line + "listed  " + short(e.Auction) + "  " + plain(terms.Title) +
			", from " + money(terms.Minimum, terms.Currency) + ", until " + clock(terms.Closes.Std())
	case auction.SomeoneBid:
		line += "bid     " + short(e.Auction) + "  " + money(e.Amount, terms.Currency) + " by " + short(e.Pseudonym)
		if e.Recorded {
			line += ", after the end: judged at the close"
		}
		return line
	case auction.AuctionExtended:
		line += "moved   " + short(e.Auction) + "  the end is " + clock(e.Ends.Std())
		switch e.Cause {
		case auction.CauseOperator:
			return line + ", by the operator of the house"
		case auction.CauseOutage:
			return line + ", as the house was out of order from " + clock(e.Outage.From.Std()) + " to " + clock(e.Outage.To.Std())
		}
		return line + ", by a late bid"
	case auction.AuctionSuspended:
		return line + "LOST    " + short(e.Auction) + "  the house has lost entry " + strconv.FormatUint(e.Lost.Seq, 10) +
			" of what it had promised to keep. It takes nothing until its operator decides. Your receipts prove what you sent: keep them"
	case auction.AuctionResumed:
		line += "resumed " + short(e.Auction) + "  by the operator of the house: what is lost stays lost"
		if e.Ends != 0 {
			line += "; the end is " + clock(e.Ends.Std())
		}
		return line
	case auction.AuctionClosed:
		line += "closed  " + short(e.Auction) + "  "
		switch {
		case e.Outcome == auction.Sold:
			return line + "sold to " + short(e.Winner) + " for " + money(e.Amount, terms.Currency)
		case e.Outcome == auction.Withdrawn:
			return line + "withdrawn by the seller"
		case e.Outcome == auction.Cancelled:
			return line + "cancelled by the operator of the house"
		case e.Reserve != nil:
			return line + "not sold; the reserve was " + money(e.Reserve.Amount, terms.Currency)
		}
		return line + "not sold"
	case auction.PolicyAdopted:
		return line + "policy  " + auction.PolicyHash([]byte(e.Policy)).String()
	case auction.AuditApproved:
		return line + "audit   " + short(e.Auction) + "  approved for auditor " + e.Auditor.String()
	case auction.AuditDisclosed:
		return line + "audit   " + short(e.Auction) + "  private parts went to auditor " + e.Auditor.String()
	}
	return line + string(e.Kind)
}

// lastLine says how an auction that is archived ended.
func lastLine(i wire.Item) string {
	line := short(i.Auction) + "  " + plain(i.Title) + ": "
	if i.Outcome == auction.Sold {
		return line + "sold to " + short(i.Winner) + " for " + money(i.Highest, i.Currency)
	}
	return line + i.Outcome
}
