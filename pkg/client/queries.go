package client

import (
	"context"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// maxItems bounds a list of auctions: a house log holds about as many listings.
const maxItems = 200_000

// Shown is an auction as the house shows it. The terms are those under which the
// house log lists it, so they are the same each time; the head is signed. Bids,
// status and end are what the house says: [Client.Follow] verifies them.
type Shown struct {
	Item  wire.Item
	Terms auction.Terms
	Head  auction.Head
	Note  string // the signed head
}

// Item looks at one auction.
func (c *Client) Item(ctx context.Context, id auction.ID) (Shown, error) {
	answer, err := c.query(ctx, wire.Command{Kind: auction.KindItem, Auction: id})
	if err != nil {
		return Shown{}, err
	}
	a, ok := answer.(*wire.ItemAnswer)
	if !ok || a.Item.Auction != id {
		return Shown{}, errUnexpected
	}
	listed, err := c.termsOf(ctx, id)
	if err != nil {
		return Shown{}, err
	}
	terms, err := auction.ParseTerms([]byte(a.Terms))
	if err != nil {
		return Shown{}, err
	}
	if auction.TermsHash([]byte(a.Terms)) != listed.terms || !shows(a.Item, terms, listed.terms) {
		return Shown{}, auction.Refuse(auction.CodeWrongTerms, "the house shows terms that are not those of the auction")
	}
	t, err := c.trusted(ctx)
	if err != nil {
		return Shown{}, err
	}
	head, err := evidence.OpenHead(a.Head, t.logKey, c.profile.house.House, auction.LogID(id))
	if err != nil {
		return Shown{}, err
	}
	return Shown{Item: a.Item, Terms: terms, Head: head, Note: a.Head}, nil
}

// shows reports whether an item is under the terms. The end may have moved, by a
// late bid or by the operator, and moves one way.
func shows(i wire.Item, t auction.Terms, hash auction.Hash) bool {
	return i.TermsHash == hash && i.Title == t.Title && i.Currency == t.Currency && i.Minimum == t.Minimum &&
		i.Increment == t.Increment && i.Closes >= t.Closes && i.TieWindow == t.TieWindow
}

// Items lists all auctions, MyItems those that one listed, MyBids those that
// one bid in with the own bids. They read all pages.
//
// The list of Items is held against the house log: it shows no auction that the
// log does not list, each on its terms, and leaves out none that has not reached
// its end. It refuses with CodeHistoryChanged where the house leaves one out that
// it does not show when asked for it either, whatever it says why.
func (c *Client) Items(ctx context.Context) ([]wire.Item, error) {
	if err := c.readHouse(ctx); err != nil {
		return nil, err
	}
	due := c.openListings(ctx)
	items, err := c.list(ctx, auction.KindAllItems)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		delete(due, item.Auction)
		terms, err := c.termsOf(ctx, item.Auction)
		if err != nil {
			return nil, err
		}
		if item.TermsHash != terms.terms {
			return nil, auction.Refuse(auction.CodeWrongTerms, "the house shows terms that are not those of the auction")
		}
	}
	for id := range due { // a replica may be a moment behind with its list
		shown, err := c.Item(ctx, id)
		if code := auction.CodeOf(err); code == auction.CodeUnknownAuction || code == auction.CodeTooOld {
			return nil, auction.Refuse(auction.CodeHistoryChanged, "the house does not show auction %s, which is in its log and still open", id)
		}
		if err != nil {
			return nil, err
		}
		items = append(items, shown.Item)
	}
	return items, nil
}

// openListings returns the auctions of the house log that have not reached their
// end: none while no time authority says what time it is.
func (c *Client) openListings(ctx context.Context) map[auction.ID]bool {
	out := make(map[auction.ID]bool)
	now, err := c.Now(ctx)
	if err != nil {
		return out
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, terms := range c.listed {
		if now < terms.closes {
			out[id] = true
		}
	}
	return out
}

// MyItems lists the auctions that one listed: see [Client.Items].
func (c *Client) MyItems(ctx context.Context) ([]wire.Item, error) {
	return c.list(ctx, auction.KindMyItems)
}

// MyBids lists the auctions that one bid in: see [Client.Items].
func (c *Client) MyBids(ctx context.Context) ([]wire.Item, error) {
	return c.list(ctx, auction.KindMyBids)
}

func (c *Client) list(ctx context.Context, kind auction.Kind) ([]wire.Item, error) {
	var out []wire.Item
	var after auction.ID
	seen := make(map[auction.ID]bool)
	for {
		answer, err := c.query(ctx, wire.Command{Kind: kind, After: after})
		if err != nil {
			return nil, err
		}
		page, ok := answer.(*wire.ItemsAnswer)
		if !ok {
			return nil, errUnexpected
		}
		for _, item := range page.Items {
			if seen[item.Auction] || len(seen) == maxItems {
				return nil, auction.Refuse(auction.CodeTooLarge, "the house's list does not end: it has more than %d auctions, or one twice", maxItems)
			}
			seen[item.Auction] = true
		}
		out = append(out, page.Items...)
		if !page.More || len(page.Items) == 0 {
			return out, nil
		}
		after = page.Items[len(page.Items)-1].Auction
	}
}

// Inbox returns the private messages that were not acknowledged, unverified, as
// many as the house gives at once: the others come once these are acknowledged.
// See [Client.Closed] and [Client.Opened], which do that, and [Client.Reject].
func (c *Client) Inbox(ctx context.Context) ([]wire.Message, error) {
	answer, err := c.query(ctx, wire.Command{Kind: auction.KindInbox})
	if err != nil {
		return nil, err
	}
	inbox, ok := answer.(*wire.InboxAnswer)
	if !ok {
		return nil, errUnexpected
	}
	return inbox.Messages, nil
}

func (c *Client) query(ctx context.Context, cmd wire.Command) (wire.ServerMessage, error) {
	jws, err := c.signCommand(cmd)
	if err != nil {
		return nil, err
	}
	return c.ask(ctx, func(id uint32) wire.ClientMessage {
		return &wire.CommandRequest{ID: id, JWS: string(jws), Stamps: []auction.Blob{}}
	})
}

// acknowledge tells the house that a message is safe here.
func (c *Client) acknowledge(ctx context.Context, id auction.ID, kind auction.MessageKind) error {
	_, err := c.ask(ctx, func(n uint32) wire.ClientMessage {
		return &wire.AcknowledgeRequest{ID: n, Auction: id, Message: kind}
	})
	return err
}
