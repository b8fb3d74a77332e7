package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Prepared is a command that is signed and stamped, and not sent yet.
type Prepared struct {
	Kind      auction.Kind      `json:"kind"`
	Auction   auction.ID        `json:"auction"`
	Pseudonym auction.Pseudonym `json:"pseudonym"`
	JWS       string            `json:"jws"`
	Stamped
	Earlier   []Stamped    `json:"earlier,omitzero"`   // stamps of earlier tries, one of which may be committed
	Undecided auction.Code `json:"undecided,omitzero"` // why the house did not decide on the last try: see [Client.Resume]
}

// Stamped is a command's time stamps.
type Stamped struct {
	Stamps []auction.Blob `json:"stamps"` // tokens in the policy's order
	TS     auction.Time   `json:"ts"`     // their median
}

// Placed is a command that is committed and durable, with what proves it.
type Placed struct {
	Prepared   Prepared        `json:"prepared"`
	Event      string          `json:"event"`
	Commitment auction.Hash    `json:"commitment"`
	Salt       auction.Blob    `json:"salt"`
	Private    auction.Blob    `json:"private"`
	Receipt    auction.Receipt `json:"receipt"`
}

// Recorded reports whether a bid arrived after the end, to be judged at the close.
func (p Placed) Recorded() bool {
	event, err := auction.ParseEvent([]byte(p.Event))
	return err == nil && event.Recorded
}

// Listing is what a seller offers: the terms without what the house gives.
type Listing struct {
	Title       string
	Description string
	Currency    auction.Currency
	Minimum     auction.Amount
	Increment   auction.Amount // 0: one minor unit
	Closes      auction.Time
	TieWindow   time.Duration // as [auction.Terms] has it; a second is usual
	Disclose    []string      // least claims; nil: the username

	Soft    *auction.SoftClose // nil: the end is final
	Reserve auction.Amount     // hidden price under which nothing is sold; 0: none
}

// PrepareList signs and stamps a listing under the policy in force.
func (c *Client) PrepareList(ctx context.Context, l Listing) (Prepared, error) {
	if err := c.onLink(ctx, func(link *link) error { return c.learn(ctx, link) }); err != nil {
		return Prepared{}, err
	}
	t, err := c.trusted(ctx)
	if err != nil {
		return Prepared{}, err
	}
	terms := auction.Terms{
		V: 1, Policy: t.hash, Title: l.Title, Description: l.Description, Currency: l.Currency,
		Minimum: l.Minimum, Increment: max(l.Increment, 1), Closes: l.Closes,
		TieWindow: l.TieWindow.Microseconds(), Disclose: l.Disclose, Soft: l.Soft,
	}
	if terms.Disclose == nil {
		terms.Disclose = []string{"username"}
	}
	var opening *auction.Opening
	if l.Reserve != 0 {
		opening = &auction.Opening{Amount: l.Reserve, Salt: make([]byte, auction.SaltSize)}
		rand.Read(opening.Salt)
		hash := opening.Hash()
		terms.Reserve = &hash
	}
	doc, err := terms.Encode()
	if err != nil {
		return Prepared{}, err
	}
	c.mu.Lock()
	head := c.house.Head()
	c.mu.Unlock()
	return c.prepare(ctx, wire.Command{
		Kind: auction.KindList, Pseudonym: auction.Pseudonym(uuid.NewString()), Head: head, Terms: doc, Reserve: opening,
	})
}

// PrepareBid signs and stamps a bid: it looks at the auction first, and binds
// the bid to the log that it was shown and to the terms of the house log, which
// are those that [Client.Item] has shown before.
func (c *Client) PrepareBid(ctx context.Context, id auction.ID, amount auction.Amount) (Prepared, error) {
	return c.PrepareBidAs(ctx, auction.Pseudonym(uuid.NewString()), id, amount)
}

// PrepareBidAs is PrepareBid under a given pseudonym. The house takes one
// command under each, so this serves to show that it refuses a second.
func (c *Client) PrepareBidAs(ctx context.Context, name auction.Pseudonym, id auction.ID, amount auction.Amount) (Prepared, error) {
	shown, err := c.Item(ctx, id)
	if err != nil {
		return Prepared{}, err
	}
	return c.prepare(ctx, wire.Command{
		Kind: auction.KindBid, Auction: id, Pseudonym: name, Head: shown.Head, Amount: amount,
		Currency: shown.Terms.Currency, TermsHash: shown.Item.TermsHash,
	})
}

// PrepareWithdraw signs and stamps the withdrawal of an own auction.
func (c *Client) PrepareWithdraw(ctx context.Context, id auction.ID) (Prepared, error) {
	shown, err := c.Item(ctx, id)
	if err != nil {
		return Prepared{}, err
	}
	return c.prepare(ctx, wire.Command{
		Kind: auction.KindWithdraw, Auction: id, Pseudonym: auction.Pseudonym(uuid.NewString()), Head: shown.Head,
	})
}

// prepare gives a listing or a bid its disclosure key, signs a command, and gets
// its stamps.
func (c *Client) prepare(ctx context.Context, cmd wire.Command) (Prepared, error) {
	if cmd.Kind != auction.KindWithdraw {
		t, err := c.trustedFor(ctx, cmd.Kind, cmd.Auction)
		if err != nil {
			return Prepared{}, err
		}
		if cmd.DisclosureKey, err = c.profile.newDisclosureKey(cmd.Pseudonym, wire.DisclosureKEM(t.policy)); err != nil {
			return Prepared{}, err
		}
	}
	jws, err := c.signCommand(cmd)
	if err != nil {
		return Prepared{}, err
	}
	p := Prepared{Kind: cmd.Kind, Auction: cmd.Auction, Pseudonym: cmd.Pseudonym, JWS: string(jws)}
	if cmd.Kind == auction.KindList {
		p.Auction = auction.ID(cmd.Pseudonym)
	}
	return p, c.stamp(ctx, &p)
}

// stamp gets new stamps for a command, of the authorities that count for it.
func (c *Client) stamp(ctx context.Context, p *Prepared) error {
	t, err := c.trustedFor(ctx, p.Kind, p.Auction)
	if err != nil {
		return err
	}
	tokens, ts, err := t.stamper.Stamp(ctx, sha256.Sum256([]byte(p.JWS)))
	if err != nil {
		return err
	}
	if p.Stamps != nil {
		p.Earlier = append(p.Earlier, p.Stamped)
	}
	p.Stamped = Stamped{blobs(tokens), ts}
	return nil
}

func (c *Client) signCommand(cmd wire.Command) ([]byte, error) {
	cmd.House = c.profile.house.House
	if cmd.Pseudonym == "" {
		cmd.Pseudonym = auction.Pseudonym(uuid.NewString())
	}
	chain, err := c.profile.chain()
	if err != nil {
		return nil, err
	}
	if chain == nil {
		return nil, errNotEnrolled
	}
	return wire.Sign(c.profile.key, sha256.Sum256(chain[0]), cmd, nil)
}

// List lists an item. Bid bids on one. Both return once the command is durable
// and its receipt verified.
func (c *Client) List(ctx context.Context, l Listing) (Placed, error) {
	p, err := c.PrepareList(ctx, l)
	if err != nil {
		return Placed{}, err
	}
	return c.Send(ctx, p)
}

// Bid bids an amount in the auction's currency: see [Client.List].
func (c *Client) Bid(ctx context.Context, id auction.ID, amount auction.Amount) (Placed, error) {
	p, err := c.PrepareBid(ctx, id, amount)
	if err != nil {
		return Placed{}, err
	}
	return c.Send(ctx, p)
}

// Send sends a prepared command until it is answered, the same bytes each time,
// so that it is carried out once at most. An error is an [*Unconfirmed] unless
// the house decided: then the command stays in the profile as pending, and
// [Client.Resume] finds out what became of it.
func (c *Client) Send(ctx context.Context, p Prepared) (Placed, error) {
	if err := c.profile.save("pending/"+string(p.Pseudonym), p); err != nil {
		return Placed{}, err
	}
	c.sending.Add(1)
	defer c.sending.Add(-1)
	tries := 0
	answer, err := c.ask(ctx, func(id uint32) wire.ClientMessage {
		if tries++; tries > 1 && p.Undecided == "" {
			c.freshen(ctx, &p)
		}
		return &wire.CommandRequest{ID: id, JWS: p.JWS, Stamps: p.Stamps}
	})
	if final(err) {
		return Placed{}, errors.Join(err, c.profile.remove("pending/"+string(p.Pseudonym)))
	}
	if undecided(err) {
		err = errors.Join(err, c.noteUndecided(p, err))
	}
	if err != nil {
		return Placed{}, &Unconfirmed{p.Kind, p.Pseudonym, err}
	}
	placed, err := c.keepReceipt(ctx, p, answer)
	if err != nil {
		return Placed{}, &Unconfirmed{p.Kind, p.Pseudonym, err}
	}
	return placed, nil
}

// keepReceipt verifies the answer to a command and keeps it: only then is the
// command no longer pending.
func (c *Client) keepReceipt(ctx context.Context, p Prepared, answer wire.ServerMessage) (Placed, error) {
	receipt, ok := answer.(*wire.ReceiptAnswer)
	if !ok {
		return Placed{}, errUnexpected
	}
	placed, err := c.verifyReceipt(ctx, p, receipt)
	if err != nil {
		return Placed{}, err
	}
	if err := c.profile.save("receipts/"+string(p.Pseudonym), placed); err != nil {
		return Placed{}, err
	}
	return placed, c.profile.remove("pending/" + string(p.Pseudonym))
}

// Unconfirmed is the error of a command that was sent and may be carried out or
// not. It is pending: see [Client.Resume].
type Unconfirmed struct {
	Kind      auction.Kind
	Pseudonym auction.Pseudonym
	cause     error
}

func (u *Unconfirmed) Error() string { return "not confirmed yet: " + u.cause.Error() }
func (u *Unconfirmed) Unwrap() error { return u.cause }

// final reports whether the house has decided on a command: whether it refused
// this very request by the rules, or for a form that its bytes will always have.
// Everything else, such as a certificate that is not accepted any more, says
// nothing of an earlier try that may be committed.
func final(err error) bool {
	var a answered
	if !errors.As(err, &a) {
		return false
	}
	if a.byLog {
		return true
	}
	switch a.refusal.Code {
	case auction.CodeBadRequest, auction.CodeBadVersion, auction.CodeTooLarge, auction.CodeBadTerms, auction.CodeBadAmount,
		auction.CodeWrongAudience, auction.CodeBadSignature, auction.CodeUnknownAuction:
		return true // of the form: it never was and never will be a command for this house
	case auction.CodeUnknownPolicy, auction.CodeBadHead, auction.CodeHeadInFuture, auction.CodeStaleHead,
		auction.CodeStampInFuture, auction.CodeStampTooOld, auction.CodeAuctionEnded, auction.CodeWrongTerms,
		auction.CodeWrongCurrency, auction.CodeOwnAuction, auction.CodeBeforeListing, auction.CodeTooManyRecorded,
		auction.CodeBidTooLow, auction.CodePseudonymUsed, auction.CodeSuspended, auction.CodeNotYourAuction, auction.CodeHasBids:
		return true // of the rules: final for its pseudonym
	}
	return false
}

// freshen stamps a command anew before it is sent again, if its stamps have
// become so old that the house may refuse them. If it was committed already, the
// house gives its first answer whatever the stamps.
func (c *Client) freshen(ctx context.Context, p *Prepared) {
	t, err := c.trustedFor(ctx, p.Kind, p.Auction)
	if err != nil {
		return
	}
	now, err := c.Now(ctx)
	if err == nil && now < p.TS+auction.Time(t.policy.Freshness/2) {
		return
	}
	if err := c.stamp(ctx, p); err != nil {
		c.options.Log.WarnContext(ctx, "a command was not stamped anew", "error", err)
		return
	}
	if err := c.profile.save("pending/"+string(p.Pseudonym), p); err != nil {
		c.options.Log.WarnContext(ctx, "new stamps were not kept", "error", err)
	}
}

// verifyReceipt checks that the house took this very command: the event is the
// command's, the commitment opens to its bytes and stamps, and the receipt is
// over that leaf, signed by the log key.
func (c *Client) verifyReceipt(ctx context.Context, p Prepared, r *wire.ReceiptAnswer) (Placed, error) {
	bad := func(what string) error {
		return auction.Refuse(auction.CodeBadSignature, "the receipt is not of what you sent: %s", what)
	}
	t, err := c.trusted(ctx)
	if err != nil {
		return Placed{}, err
	}
	cmd, err := wire.ParseCommand([]byte(p.JWS))
	if err != nil {
		return Placed{}, err
	}
	event, err := auction.ParseEvent([]byte(r.Event))
	if err != nil {
		return Placed{}, err
	}
	if event.Pseudonym != p.Pseudonym || event.Auction != p.Auction || event.Amount != cmd.Amount || event.Terms != string(cmd.Terms) {
		return Placed{}, bad("the event is another")
	}
	private, ok := c.openOwn(p, cmd, r)
	if !ok {
		return Placed{}, bad("the commitment is to something else")
	}
	entry := auction.Entry{Seq: event.Seq, Event: []byte(r.Event), Commitment: r.Commitment}
	if r.Receipt.Auction != p.Auction || r.Receipt.Seq != event.Seq || r.Receipt.Leaf != entry.Leaf() {
		return Placed{}, bad("the leaf is another")
	}
	if err := evidence.VerifyReceipt(r.Receipt, t.logKey); err != nil {
		return Placed{}, err
	}
	return Placed{
		Prepared: p, Event: r.Event, Commitment: r.Commitment, Salt: r.Salt, Private: private, Receipt: r.Receipt,
	}, nil
}

// openOwn rebuilds the private part that the house committed to. A command that
// was committed before it was stamped anew bears its earlier stamps.
func (c *Client) openOwn(p Prepared, cmd wire.Signed, r *wire.ReceiptAnswer) ([]byte, bool) {
	for _, s := range append([]Stamped{p.Stamped}, p.Earlier...) {
		private := auction.Private{
			JWS: []byte(p.JWS), Tokens: raw(s.Stamps), Certificate: cmd.Thumbprint,
			Participant: c.profile.Participant(), CRL: r.CRL, Arrival: r.Arrival, TS: s.TS,
			Reserve: cmd.Reserve,
		}.Encode()
		if auction.Commit(r.Salt, private) == r.Commitment {
			return private, true
		}
	}
	return nil, false
}
