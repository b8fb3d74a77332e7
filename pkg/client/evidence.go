package client

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Evidence collects an auction's log into a bundle that anyone can verify
// offline: what everybody may see, what a party holds (with its own receipts),
// or, for an auditor whom the operator approved, all of it.
func (c *Client) Evidence(ctx context.Context, id auction.ID, kind evidence.Kind) ([]byte, error) {
	if err := c.readHouse(ctx); err != nil {
		return nil, err
	}
	return c.collect(ctx, c.ask, id, kind)
}

// asker sends a request and returns its answer, a refusal as an error.
type asker func(context.Context, func(id uint32) wire.ClientMessage) (wire.ServerMessage, error)

// collect makes the bundle of an auction whose policy the client has read.
func (c *Client) collect(ctx context.Context, ask asker, id auction.ID, kind evidence.Kind) ([]byte, error) {
	view := map[evidence.Kind]wire.View{
		evidence.Public: wire.ViewPublic, evidence.Party: wire.ViewOwn, evidence.Audit: wire.ViewAudit,
	}[kind]
	bundle := &evidence.Bundle{Kind: kind, Certificates: make(map[auction.Hash][]auction.Blob)}
	for size := 0; ; {
		more, err := evidencePage(ctx, ask, id, view, bundle, &size)
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
	}
	if err := c.addPolicy(bundle); err != nil {
		return nil, err
	}
	if kind == evidence.Party {
		var err error
		if bundle.Receipts, err = c.receiptsOf(id); err != nil {
			return nil, err
		}
	}
	return bundle.Encode()
}

// evidencePage adds one page of the log, and its bytes to size. The head of the
// last page is that of the whole log: an open auction may have grown meanwhile,
// then there is more.
func evidencePage(ctx context.Context, ask asker, id auction.ID, view wire.View, b *evidence.Bundle, size *int) (more bool, err error) {
	answer, err := ask(ctx, func(n uint32) wire.ClientMessage {
		return &wire.EntriesRequest{ID: n, Log: auction.LogID(id), From: uint64(len(b.Entries)) + 1, View: view}
	})
	if err != nil {
		return false, err
	}
	page, ok := answer.(*wire.EntriesAnswer)
	if !ok {
		return false, errUnexpected
	}
	for _, e := range page.Entries {
		entry, err := e.Entry()
		if err != nil {
			return false, err
		}
		if entry.Seq != uint64(len(b.Entries))+1 {
			return false, auction.Refuse(auction.CodeBadRequest, "the house leaves a gap in the log")
		}
		if *size += len(entry.Event) + len(entry.Private); *size > evidence.MaxBundle {
			return false, auction.Refuse(auction.CodeTooLarge, "the evidence has more than %d bytes", evidence.MaxBundle)
		}
		b.Entries = append(b.Entries, entry)
	}
	for _, chain := range page.Certificates {
		if len(chain) > 0 && len(b.Certificates) < len(b.Entries) { // a signer of each at most
			b.Certificates[sha256.Sum256(chain[0])] = chain
		}
	}
	b.Head = page.Head
	return page.More && len(page.Entries) > 0, nil
}

// addPolicy adds the policy that the auction was listed under, with its roots.
func (c *Client) addPolicy(b *evidence.Bundle) error {
	if len(b.Entries) == 0 {
		return auction.Refuse(auction.CodeUnknownAuction, "the auction has no entries")
	}
	event, err := auction.ParseEvent(b.Entries[0].Event)
	if err != nil {
		return err
	}
	terms, err := auction.ParseTerms([]byte(event.Terms))
	if err != nil {
		return err
	}
	c.mu.Lock()
	policy, ok := c.house.Policies[terms.Policy]
	c.mu.Unlock()
	if !ok {
		return auction.Refuse(auction.CodeUnknownPolicy, "the auction is under a policy that the house log does not hold")
	}
	if b.Policy, err = policy.Encode(); err != nil {
		return err
	}
	b.Roots = blobs(c.roots)
	return nil
}

// receiptsOf returns the receipts of one's own commands in an auction.
func (c *Client) receiptsOf(id auction.ID) ([]auction.Receipt, error) {
	names, err := c.profile.names("receipts")
	if err != nil {
		return nil, err
	}
	var out []auction.Receipt
	for _, name := range names {
		var placed Placed
		if err := c.profile.load("receipts/"+name, &placed); err != nil {
			return nil, err
		}
		if placed.Receipt.Auction == id {
			out = append(out, placed.Receipt)
		}
	}
	slices.SortFunc(out, func(a, b auction.Receipt) int { return cmp.Compare(a.Seq, b.Seq) })
	return out, nil
}

// Trust returns what this profile pins, to verify evidence against.
func (p *Profile) Trust() (evidence.Trust, error) {
	root, err := p.house.root()
	if err != nil {
		return evidence.Trust{}, err
	}
	if p.house.LogKey == "" {
		return evidence.Trust{}, auction.Refuse(auction.CodeUnavailable, "the profile has not met its house yet: connect once")
	}
	return evidence.Trust{
		House: p.house.House, Roots: []auction.Hash{sha256.Sum256(root)}, LogKeys: []string{p.house.LogKey},
	}, nil
}
