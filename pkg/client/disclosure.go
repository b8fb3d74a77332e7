package client

import (
	"context"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

const disclosureLabel = "sigilo/disclosure/v1\x00"

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
	Theirs      map[string]string `json:"theirs,omitzero"`      // what they disclosed
	Disclosed   []string          `json:"disclosed,omitzero"`   // claims that one disclosed oneself
}

// Closed verifies a private message about a close, and keeps what it says. The
// house is believed nothing: the close record's stamps, the counterpart's entry
// in the log that was closed, its signature and its stamps are checked here, and
// the disclosure key is taken from that command alone.
func (c *Client) Closed(ctx context.Context, m wire.Message) (Closing, error) {
	if m.Message != auction.MessageClosed {
		return Closing{}, errUnexpected
	}
	record, err := m.Close.Entry()
	if err != nil {
		return Closing{}, err
	}
	event, err := auction.ParseEvent(record.Event)
	if err != nil {
		return Closing{}, err
	}
	if event.Kind != auction.AuctionClosed || event.Auction != m.Auction || event.Outcome != m.Outcome || event.Head.Size+1 != event.Seq {
		return Closing{}, falseClose("the record is not of this close")
	}
	policy, err := c.policyOf(ctx, m.Auction)
	if err != nil {
		return Closing{}, err
	}
	quorum, err := accept.Quorum(policy.policy, c.roots)
	if err != nil {
		return Closing{}, err
	}
	at, _, err := quorum.Verify(raw(event.Stamps), auction.CloseDigest(m.Auction, *event.Head))
	if err != nil {
		return Closing{}, err
	}
	if at <= policy.terms.Closes+auction.Time(policy.policy.Grace) {
		return Closing{}, falseClose("it was closed before its end")
	}
	out := Closing{
		Auction: m.Auction, Role: m.Role, Outcome: m.Outcome, Amount: event.Amount,
		Currency: policy.terms.Currency, Terms: policy.text, Record: record.Leaf(), At: at,
	}
	if m.Counterpart != nil {
		if err := c.checkCounterpart(m, event, policy, &out); err != nil {
			return Closing{}, err
		}
	}
	if err := c.profile.save("closed/"+string(m.Auction), out); err != nil {
		return Closing{}, err
	}
	return out, c.acknowledge(ctx, m.Auction, auction.MessageClosed)
}

func falseClose(what string) error {
	return auction.Refuse(auction.CodeBadSignature, "the house tells of a close that does not hold: %s", what)
}

// checkCounterpart verifies the counterpart's command and takes from it, and
// from the own one, what the disclosure needs.
func (c *Client) checkCounterpart(m wire.Message, closed auction.Event, p auctionPolicy, out *Closing) error {
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
	isListing := event.Kind == auction.SomeoneListed && entry.Seq == 1 && event.Terms == p.text
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
	accepted, err := c.checker.Command(&accept.Party{Certificate: cert}, cmd, private.Tokens, nil, p.terms.Policy, p.policy)
	if err != nil {
		return err
	}
	if ts := accepted.Command().TS; ts != private.TS || cmd.Auction != m.Auction || cmd.Pseudonym != event.Pseudonym ||
		cmd.Amount != event.Amount || string(cmd.Terms) != event.Terms || cert.Participant != private.Participant {
		return falseClose("the counterpart's command is not what the log says")
	}
	own, err := c.ownCommand(m, closed)
	if err != nil {
		return err
	}
	out.Own, out.OwnKey, out.TheirKey = own.Pseudonym, own.DisclosureKey, cmd.DisclosureKey
	out.Counterpart, out.Chain, out.TheirTS = auction.Hash(cert.Participant), m.Counterpart.Chain, private.TS
	return nil
}

// ownCommand returns the own listing or the own winning bid, from the receipts:
// a seller whose item somebody else listed, or a winner who did not bid that,
// is being told a false close.
func (c *Client) ownCommand(m wire.Message, closed auction.Event) (wire.Signed, error) {
	name := closed.Winner
	if m.Role == wire.RoleSeller {
		name = auction.Pseudonym(m.Auction)
	}
	var placed Placed
	if err := c.profile.load("receipts/"+string(name), &placed); err != nil {
		return wire.Signed{}, falseClose("it is not of a command of yours")
	}
	return wire.ParseCommand([]byte(placed.Prepared.JWS))
}

// auctionPolicy is what an auction is judged by.
type auctionPolicy struct {
	policy auction.Policy
	terms  auction.Terms
	text   string
}

// policyOf returns the terms of an auction and the policy that they name.
func (c *Client) policyOf(ctx context.Context, id auction.ID) (auctionPolicy, error) {
	l, err := c.connected(ctx)
	if err != nil {
		return auctionPolicy{}, err
	}
	if err := c.syncHouse(ctx, l); err != nil {
		return auctionPolicy{}, err
	}
	shown, err := c.Item(ctx, id)
	if err != nil {
		return auctionPolicy{}, err
	}
	text, err := shown.Terms.Encode()
	if err != nil {
		return auctionPolicy{}, err
	}
	c.mu.Lock()
	policy, ok := c.house.Policies[shown.Terms.Policy]
	c.mu.Unlock()
	if !ok {
		return auctionPolicy{}, auction.Refuse(auction.CodeUnknownPolicy, "the auction is under a policy that the house log does not hold")
	}
	return auctionPolicy{policy, shown.Terms, string(text)}, nil
}

// Closing returns what was verified about a close.
func (c *Client) Closing(id auction.ID) (Closing, error) {
	var out Closing
	err := c.profile.load("closed/"+string(id), &out)
	return out, err
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

// Claims lists the claims of one's own credential.
func (c *Client) Claims() (map[string]string, error) {
	credential, err := c.profile.credential()
	if err != nil {
		return nil, err
	}
	return identity.ClaimsOf(credential)
}

// Disclose presents claims of the own credential to the counterpart of a sale,
// sealed to the key of its command: at least those that the terms ask for. The
// house gives it on once the counterpart has done the same.
func (c *Client) Disclose(ctx context.Context, id auction.ID, claims []string) error {
	closing, err := c.Closing(id)
	if err != nil || closing.Outcome != auction.Sold {
		return auction.Refuse(auction.CodeNoDisclosure, "no sale of yours under that id: look into the inbox first")
	}
	terms, err := auction.ParseTerms([]byte(closing.Terms))
	if err != nil {
		return err
	}
	for _, claim := range terms.Disclose {
		if !slices.Contains(claims, claim) {
			claims = append(claims, claim)
		}
	}
	credential, err := c.profile.credential()
	if err != nil {
		return err
	}
	nonce := closing.nonce(c.profile.house.House, closing.Role)
	now, err := c.Now(ctx)
	if err != nil {
		return err
	}
	presentation, err := identity.Present(credential, c.profile.key, claims, c.profile.house.House, nonce, now.Std())
	if err != nil {
		return err
	}
	key, err := hpke.DHKEM(ecdh.P256()).NewPublicKey(closing.TheirKey)
	if err != nil {
		return err
	}
	sealed, err := hpke.Seal(key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(disclosureLabel+nonce), []byte(presentation))
	if err != nil {
		return err
	}
	if err := c.sendDisclosure(ctx, id, sealed); err != nil {
		return err
	}
	_, err = c.amendClosing(id, func(kept *Closing) { kept.Disclosed = claims })
	return err
}

func (c *Client) sendDisclosure(ctx context.Context, id auction.ID, sealed []byte) error {
	jws, err := c.signCommand(wire.Command{Kind: auction.KindDisclose, Auction: id, Sealed: sha256.Sum256(sealed)})
	if err != nil {
		return err
	}
	_, err = c.ask(ctx, func(n uint32) wire.ClientMessage {
		return &wire.CommandRequest{ID: n, JWS: string(jws), Stamps: []auction.Blob{}, Sealed: sealed}
	})
	return err
}

// Opened verifies and opens what the counterpart of a sale disclosed, keeps it,
// and returns the claims. What does not hold is junk that its signature pins on
// the counterpart.
func (c *Client) Opened(ctx context.Context, m wire.Message) (Closing, error) {
	closing, err := c.Closing(m.Auction)
	if err != nil {
		return Closing{}, auction.Refuse(auction.CodeNoDisclosure, "no close of yours under that id: look into the inbox first")
	}
	cert, err := c.verifier.Verify(raw(closing.Chain), identity.RoleParticipant, closing.TheirTS.Std())
	if err != nil {
		return Closing{}, err
	}
	cmd, err := wire.ParseCommand([]byte(m.JWS))
	if err != nil {
		return Closing{}, err
	}
	if cmd.Kind != auction.KindDisclose || cmd.Auction != m.Auction || cmd.House != c.profile.house.House || cmd.Sealed != sha256.Sum256(m.Sealed) {
		return Closing{}, auction.Refuse(auction.CodeBadSignature, "the house swapped what the counterpart disclosed")
	}
	if err := cmd.Verify(cert.Key); err != nil {
		return Closing{}, err
	}
	theirs, err := c.openPresentation(ctx, closing, m.Sealed)
	if err != nil {
		return Closing{}, err
	}
	closing, err = c.amendClosing(m.Auction, func(kept *Closing) { kept.Theirs = theirs })
	if err != nil {
		return Closing{}, err
	}
	return closing, c.acknowledge(ctx, m.Auction, auction.MessageDisclosure)
}

func (c *Client) openPresentation(ctx context.Context, closing Closing, sealed []byte) (map[string]string, error) {
	key, err := c.profile.disclosureKey(closing.Own)
	if err != nil {
		return nil, err
	}
	theirRole := wire.RoleSeller
	if closing.Role == wire.RoleSeller {
		theirRole = wire.RoleWinner
	}
	nonce := closing.nonce(c.profile.house.House, theirRole)
	presentation, err := hpke.Open(key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(disclosureLabel+nonce), sealed)
	if err != nil {
		return nil, auction.Refuse(auction.CodeBadSignature, "the counterpart sealed something that does not open")
	}
	c.received(presentation)
	keys, err := c.keySet(ctx)
	if err != nil {
		return nil, err
	}
	now, err := c.Now(ctx)
	if err != nil {
		return nil, err
	}
	return identity.VerifyPresentation(string(presentation), keys, identity.Expectation{
		House: c.profile.house.House, Holder: auction.Participant(closing.Counterpart),
		Audience: c.profile.house.House, Nonce: nonce, At: now.Std(),
	})
}

// nonce binds a presentation to this sale and to its sender: house, auction,
// close record, the disclosure keys of seller and winner, the sender's role.
func (c Closing) nonce(house string, sender wire.Role) string {
	seller, winner := c.OwnKey, c.TheirKey
	if c.Role == wire.RoleWinner {
		seller, winner = winner, seller
	}
	h := sha256.New()
	h.Write([]byte(disclosureLabel))
	for _, part := range [][]byte{[]byte(house), []byte(c.Auction), c.Record[:], seller, winner, []byte(sender)} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
