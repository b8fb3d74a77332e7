package main

import (
	"context"
	"net/http"

	"github.com/sigilo/sigilo/pkg/auction"
)

// extended is an end that the operator moved.
type extended struct {
	Auction auction.ID   `json:"auction"`
	Ends    auction.Time `json:"ends"`
}

type dmsExtendCmd struct {
	dmsFlags
	ID   string `arg:"" help:"The auction, by its whole id."`
	Ends string `arg:"" help:"When it ends now: 2026-10-05T18:00:00Z."`
}

func (dmsExtendCmd) Help() string {
	return `Everybody sees it in the auction's log, signed by the house. An end that has passed
stays, and no end comes earlier.

Example: sigilo dms extend 3f2a91c0-4a55-4a0b-9d1c-5f0e3a9b6d21 2026-10-05T18:00:00Z --house ready.json`
}

// Run extends the auction.
func (c *dmsExtendCmd) Run(ctx context.Context, a *app) error {
	id, err := auction.ParseID(c.ID)
	if err != nil {
		return usage("%w", err)
	}
	ends, err := parseTime("the end", c.Ends)
	if err != nil {
		return err
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	out := extended{id, ends}
	if err := o.call(ctx, http.MethodPost, "/api/extend", out, &struct{}{}); err != nil {
		return err
	}
	a.result(out, func() { a.print("extended: auction %s ends at %s", id, clock(ends.Std())) })
	return nil
}

type dmsCancelCmd struct {
	dmsFlags
	ID string `arg:"" help:"The auction, by its whole id."`
}

func (dmsCancelCmd) Help() string {
	return `Everybody sees it in the auction's log, signed by the house. Nobody can take it back.

Example: sigilo dms cancel 3f2a91c0-4a55-4a0b-9d1c-5f0e3a9b6d21 --house ready.json`
}

// Run cancels the auction.
func (c *dmsCancelCmd) Run(ctx context.Context, a *app) error {
	id, err := auction.ParseID(c.ID)
	if err != nil {
		return usage("%w", err)
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	out := struct {
		Auction auction.ID `json:"auction"`
	}{id}
	if err := o.call(ctx, http.MethodPost, "/api/cancel", out, &struct{}{}); err != nil {
		return err
	}
	a.result(out, func() { a.print("cancelled: auction %s", id) })
	return nil
}

type dmsResumeCmd struct {
	dmsFlags
	ID   string `arg:"" help:"The auction, by its whole id."`
	Ends string `arg:"" optional:"" help:"When it ends, if later than it would by itself: 2026-10-05T18:00:00Z."`
}

func (dmsResumeCmd) Help() string {
	return `Entries of it are lost for good, and whoever sent them may prove it. Its log names the
lost ones that are known. It goes on as what is left says, and ends later by as long as it was
suspended. Where that is not just, cancel it instead.

Example: sigilo dms resume 3f2a91c0-4a55-4a0b-9d1c-5f0e3a9b6d21 --house ready.json`
}

// Run resumes the auction.
func (c *dmsResumeCmd) Run(ctx context.Context, a *app) error {
	id, err := auction.ParseID(c.ID)
	if err != nil {
		return usage("%w", err)
	}
	order := struct {
		Auction auction.ID   `json:"auction"`
		Ends    auction.Time `json:"ends,omitzero"`
	}{Auction: id}
	if c.Ends != "" {
		if order.Ends, err = parseTime("the end", c.Ends); err != nil {
			return err
		}
	}
	o, err := c.open(a)
	if err != nil {
		return err
	}
	if err := o.call(ctx, http.MethodPost, "/api/resume", order, &struct{}{}); err != nil {
		return err
	}
	a.result(struct {
		Auction auction.ID `json:"auction"`
	}{id}, func() { a.print("resumed: auction %s", id) })
	return nil
}
