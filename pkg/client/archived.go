package client

import (
	"context"
	"errors"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Archived is the refusal (CodeTooOld) of an auction that the house has archived: it
// shows no events of it any more, but how it ended.
type Archived struct {
	Item    wire.Item // on the terms of the house log, under a head that the house signed
	refusal *auction.Refusal
}

func (a *Archived) Error() string { return a.refusal.Error() }
func (a *Archived) Unwrap() error { return a.refusal }

// ended ends the following: the house says itself that it does not go on.
func (f *Follow) ended(m *wire.SnapshotNotice) {
	refusal := &auction.Refusal{Code: m.Code, Detail: m.Detail}
	switch {
	case m.Code != auction.CodeTooOld:
		f.fail(refusal)
	case f.proves(m):
		f.fail(&Archived{Item: *m.Item, refusal: refusal})
	default:
		f.fail(auction.Refuse(auction.CodeHistoryChanged,
			"the house says that it has archived another auction than the one that you followed: keep your receipts, they prove it"))
	}
}

// believe returns why a following ended: not that an auction was archived whose end
// by its terms is still to come.
func (c *Client) believe(ctx context.Context, reason error) error {
	var a *Archived
	if !errors.As(reason, &a) {
		return reason
	}
	c.mu.Lock()
	closes := c.listed[a.Item.Auction].closes
	c.mu.Unlock()
	if now, err := c.Now(ctx); err != nil {
		return err
	} else if now < closes {
		return auction.Refuse(auction.CodeHistoryChanged, "the house says that it has archived an auction whose end is still to come")
	}
	return reason
}

// proves reports whether what the house shows of an archived auction is closed, on
// its terms, and under a signed head that fits what was received.
func (f *Follow) proves(m *wire.SnapshotNotice) bool {
	c, id := f.client, auction.ID(f.log)
	c.mu.Lock()
	t, on := c.trust, c.listed[id]
	c.mu.Unlock()
	if t == nil || m.Item == nil || m.Item.Auction != id || m.Item.Status != wire.StatusClosed || m.Item.TermsHash != on.terms {
		return false
	}
	head, err := evidence.OpenHead(m.Head, t.logKey, c.profile.house.House, f.log)
	if err != nil || head != m.Item.Head {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	size := f.chain().Size()
	return head.Size > size || head.Size == size && f.chain().Has(head)
}
