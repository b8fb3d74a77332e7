package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Closing is how an auction closed, verified by this client: what it needs to
// disclose to the counterpart, and to read what the counterpart disclosed.
type Closing struct {
	Auction     auction.ID        `json:"auction"`
	Role        wire.Role         `json:"role"` // one's own
	Outcome     string            `json:"outcome"`
	Amount      auction.Amount    `json:"amount,omitzero"`
	Currency    auction.Currency  `json:"currency,omitzero"`
	Terms       string            `json:"terms,omitzero"`
	Record      auction.Hash      `json:"record"`               // leaf of the close record
	Own         auction.Pseudonym `json:"own,omitzero"`         // of one's own command
	OwnKey      auction.Blob      `json:"own_key,omitzero"`     // disclosure keys of the two commands
	TheirKey    auction.Blob      `json:"their_key,omitzero"`   //
	Counterpart auction.Hash      `json:"counterpart,omitzero"` // their permanent identifier
	Chain       []auction.Blob    `json:"chain,omitzero"`       // their certificates
	TheirTS     auction.Time      `json:"their_ts,omitzero"`    // of their command's stamps
	At          auction.Time      `json:"at"`                   // of the close record's stamps
	Deadline    auction.Time      `json:"deadline,omitzero"`    // until when both sides are to disclose, if sold
	Theirs      map[string]string `json:"theirs,omitzero"`      // what they disclosed
	Disclosed   []string          `json:"disclosed,omitzero"`   // claims that one disclosed oneself
	Sealed      *Sealed           `json:"sealed,omitzero"`      // what one sends to disclose, kept before it is sent

	// Early is what the house gave although nothing had been sent from this
	// profile: it is to hold the first disclosure until it has both. nil if it did.
	// The counterpart signed it, and the house can show no disclosure of one's own
	// for it.
	Early *wire.Message `json:"early,omitzero"`
}

// Silent reports whether the counterpart has disclosed nothing by the policy's
// deadline although one has oneself. It may be the house that holds it back: that
// cannot be told from here.
func (c Closing) Silent(now auction.Time) bool {
	return c.Deadline > 0 && now > c.Deadline && c.Disclosed != nil && c.Theirs == nil
}

// Closed verifies a private message about a close, and keeps what it says. The
// house is believed nothing. The whole public log is read and verified, so the
// outcome is the one that the rules give and no receipt of one's own is missing;
// the counterpart's entry in it is opened, its signature and its stamps are
// checked, and the disclosure key is taken from that command alone. The error is
// a [*Junk] if the message does not hold against that log.
func (c *Client) Closed(ctx context.Context, m wire.Message) (Closing, error) {
	if m.Message != auction.MessageClosed {
		return Closing{}, errUnexpected
	}
	log, err := c.verifiedLog(ctx, m.Auction)
	if err != nil {
		return Closing{}, err
	}
	out, err := c.checkClose(m, log)
	if err != nil {
		return Closing{}, junk(err)
	}
	if out, err = c.keepClosing(out); err != nil {
		return Closing{}, err
	}
	return out, c.acknowledge(ctx, m.Auction, auction.MessageClosed)
}

// checkClose verifies what a message says of a close against the verified log.
func (c *Client) checkClose(m wire.Message, log publicLog) (Closing, error) {
	record, err := m.Close.Entry()
	if err != nil {
		return Closing{}, err
	}
	if last := log.entries[len(log.entries)-1]; last.Leaf() != record.Leaf() || log.closed == nil || log.closed.Outcome != m.Outcome {
		return Closing{}, falseClose("it is not how the log ends")
	}
	quorum, err := accept.Quorum(log.policy, c.roots)
	if err != nil {
		return Closing{}, err
	}
	at, _, err := quorum.Verify(raw(log.closed.Stamps), auction.CloseDigest(m.Auction, *log.closed.Head))
	if err != nil {
		return Closing{}, err
	}
	out := Closing{
		Auction: m.Auction, Role: m.Role, Outcome: m.Outcome, Amount: log.closed.Amount,
		Currency: log.terms.Currency, Terms: log.text, Record: record.Leaf(), At: at,
	}
	own, err := c.ownCommand(m, log)
	if err != nil {
		return Closing{}, err
	}
	if m.Counterpart != nil {
		out.Deadline = at.Add(log.policy.DisclosureTime())
		if err := c.checkCounterpart(m, own, log, &out); err != nil {
			return Closing{}, err
		}
	}
	return out, nil
}

// publicLog is an auction's log as everybody may see it, verified.
type publicLog struct {
	entries []auction.Entry
	policy  auction.Policy
	terms   auction.Terms
	text    string         // of the terms, verbatim
	closed  *auction.Event // nil while open
}

// verifiedLog reads the public log of an auction, verifies it as anybody would,
// against what the profile pins, and looks for one's own receipts in it.
func (c *Client) verifiedLog(ctx context.Context, id auction.ID) (publicLog, error) {
	data, err := c.Evidence(ctx, id, evidence.Public)
	if err != nil {
		return publicLog{}, err
	}
	out, err := c.verifyLog(data)
	if err != nil {
		return publicLog{}, err
	}
	return out, c.checkReceipts(id, out)
}

// verifyLog verifies a public bundle against what the profile pins.
func (c *Client) verifyLog(data []byte) (publicLog, error) {
	trust, err := c.profile.Trust()
	if err != nil {
		return publicLog{}, err
	}
	if _, err := evidence.Verify(data, &trust); err != nil {
		return publicLog{}, fmt.Errorf("verify the log of the auction: %w", err)
	}
	bundle, err := evidence.ParseBundle(data)
	if err != nil {
		return publicLog{}, err
	}
	out := publicLog{entries: bundle.Entries}
	if out.policy, err = auction.ParsePolicy(bundle.Policy); err != nil {
		return publicLog{}, err
	}
	listing, err := auction.ParseEvent(out.entries[0].Event)
	if err != nil {
		return publicLog{}, err
	}
	out.text = listing.Terms
	if out.terms, err = auction.ParseTerms([]byte(listing.Terms)); err != nil {
		return publicLog{}, err
	}
	last, err := auction.ParseEvent(out.entries[len(out.entries)-1].Event)
	if err != nil {
		return publicLog{}, err
	}
	if last.Kind == auction.AuctionClosed {
		out.closed = &last
	}
	return out, nil
}

// checkReceipts looks for every receipt of one's own in a log. One that is not
// there proves that the house lost or changed what it had promised to keep.
func (c *Client) checkReceipts(id auction.ID, log publicLog) error {
	receipts, err := c.receiptsOf(id)
	if err != nil {
		return err
	}
	for _, r := range receipts {
		if r.Seq > uint64(len(log.entries)) || log.entries[r.Seq-1].Leaf() != r.Leaf {
			return auction.Refuse(auction.CodeHistoryChanged, "the log lacks entry %d, for which you hold the house's receipt: keep it, it proves that", r.Seq)
		}
	}
	return nil
}

func falseClose(what string) error {
	return auction.Refuse(auction.CodeBadSignature, "the house tells of a close that does not hold: %s", what)
}

// checkCounterpart verifies the counterpart's command and takes from it, and
// from the own one, what the disclosure needs.
func (c *Client) checkCounterpart(m wire.Message, own wire.Signed, log publicLog, out *Closing) error {
	closed := log.closed
	entry, err := m.Counterpart.Entry()
	if err != nil {
		return err
	}
	if err := evidence.CheckInclusion(entry.Leaf(), entry.Seq, *closed.Head, m.Proof); err != nil {
		return err
	}
	event, err := auction.ParseEvent(entry.Event)
	if err != nil {
		return err
	}
	private, err := entry.Open()
	if err != nil {
		return err
	}
	// The winner's counterpart is who listed; the seller's is who won.
	isListing := event.Kind == auction.SomeoneListed && entry.Seq == 1 && event.Terms == log.text
	isWinner := event.Kind == auction.SomeoneBid && event.Pseudonym == closed.Winner && event.Amount == closed.Amount
	if event.Auction != m.Auction || m.Role == wire.RoleWinner && !isListing || m.Role == wire.RoleSeller && !isWinner {
		return falseClose("the counterpart is not the one of the log")
	}
	cert, err := c.verifier.Verify(raw(m.Counterpart.Chain), identity.RoleParticipant, private.TS.Std())
	if err != nil {
		return err
	}
	cmd, err := wire.ParseCommand(private.JWS)
	if err != nil {
		return err
	}
	accepted, err := c.checker.Command(&accept.Party{Certificate: cert, Role: identity.RoleParticipant}, cmd, private.Tokens, nil, log.terms.Policy, log.policy)
	if err != nil {
		return err
	}
	if ts := accepted.Command().TS; ts != private.TS || cmd.Thumbprint != cert.Thumbprint || cmd.Auction != m.Auction || cmd.Pseudonym != event.Pseudonym ||
		cmd.Amount != event.Amount || string(cmd.Terms) != event.Terms || cert.Participant != private.Participant ||
		isWinner && !log.isWinner(cmd) {
		return falseClose("the counterpart's command is not what the log says")
	}
	out.Own, out.OwnKey, out.TheirKey = own.Pseudonym, own.DisclosureKey, cmd.DisclosureKey
	out.Counterpart, out.Chain, out.TheirTS = auction.Hash(cert.Participant), m.Counterpart.Chain, private.TS
	return nil
}

// ownCommand returns the own listing or the own winning bid, from the receipts:
// a seller whose item somebody else listed, or a winner who did not bid that,
// is being told a false close. The name alone says nothing: anybody may use a
// pseudonym again, in another auction or as an auction's id, so the receipt must
// be of the entry in this very log.
func (c *Client) ownCommand(m wire.Message, log publicLog) (wire.Signed, error) {
	name := log.closed.Winner
	if m.Role == wire.RoleSeller {
		name = auction.Pseudonym(m.Auction)
	}
	notYours := falseClose("it is not of a command of yours")
	var placed Placed
	if err := c.profile.load("receipts/"+string(name), &placed); err != nil {
		return wire.Signed{}, notYours
	}
	r := placed.Receipt
	if r.Auction != m.Auction || r.Seq == 0 || r.Seq > uint64(len(log.entries)) || log.entries[r.Seq-1].Leaf() != r.Leaf {
		return wire.Signed{}, notYours
	}
	cmd, err := wire.ParseCommand([]byte(placed.Prepared.JWS))
	if err != nil {
		return wire.Signed{}, err
	}
	isListing := m.Role == wire.RoleSeller && cmd.Kind == auction.KindList && r.Seq == 1
	isWinner := m.Role == wire.RoleWinner && log.isWinner(cmd)
	if !isListing && !isWinner {
		return wire.Signed{}, notYours
	}
	return cmd, nil
}

// isWinner reports whether a command is the bid that won, on the terms of the
// log and in their currency.
func (l publicLog) isWinner(cmd wire.Signed) bool {
	return cmd.Kind == auction.KindBid && cmd.Pseudonym == l.closed.Winner && cmd.Amount == l.closed.Amount &&
		cmd.Currency == l.terms.Currency && cmd.TermsHash == auction.TermsHash([]byte(l.text))
}

// Closing returns what was verified about a close.
func (c *Client) Closing(id auction.ID) (Closing, error) {
	var out Closing
	err := c.profile.load("closed/"+string(id), &out)
	return out, err
}

// keepClosing keeps a close. The house may tell of it again: what the two sides
// disclosed meanwhile stays.
func (c *Client) keepClosing(out Closing) (Closing, error) {
	c.amending.Lock()
	defer c.amending.Unlock()
	if old, err := c.Closing(out.Auction); err == nil {
		out.Theirs, out.Disclosed, out.Sealed, out.Early = old.Theirs, old.Disclosed, old.Sealed, old.Early
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Closing{}, err
	}
	return out, c.profile.save("closed/"+string(out.Auction), out)
}

// amendClosing changes what is kept of a close: the two sides of a disclosure
// may become known at the same time.
func (c *Client) amendClosing(id auction.ID, change func(*Closing)) (Closing, error) {
	c.amending.Lock()
	defer c.amending.Unlock()
	closing, err := c.Closing(id)
	if err != nil {
		return Closing{}, err
	}
	change(&closing)
	return closing, c.profile.save("closed/"+string(id), closing)
}
