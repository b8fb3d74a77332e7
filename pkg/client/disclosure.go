package client

import (
	"context"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

const disclosureLabel = "sigilo/disclosure/v1\x00"

// Claims lists the claims of one's own credential.
func (c *Client) Claims() (map[string]string, error) {
	credential, err := c.profile.credential()
	if err != nil {
		return nil, err
	}
	return identity.ClaimsOf(credential)
}

// Sealed is a disclosure as it goes to the house, always the same bytes: the
// house takes one from each side.
type Sealed struct {
	JWS    string       `json:"jws"`
	Sealed auction.Blob `json:"sealed"`
	Claims []string     `json:"claims"`
}

// Disclose presents claims of the own credential to the counterpart of a sale,
// sealed to the key of its command: at least those that the terms ask for. The
// house gives it on once the counterpart has done the same. What was sealed
// first stays: when it is called again, that is sent again, whatever the claims.
func (c *Client) Disclose(ctx context.Context, id auction.ID, claims []string) error {
	closing, err := c.Closing(id)
	if err != nil || closing.Outcome != auction.Sold {
		return auction.Refuse(auction.CodeNoDisclosure, "no sale of yours under that id: look into the inbox first")
	}
	if closing.Sealed == nil {
		sealed, err := c.sealDisclosure(ctx, closing, claims)
		if err != nil {
			return err
		}
		closing, err = c.amendClosing(id, func(kept *Closing) {
			if kept.Sealed == nil {
				kept.Sealed = sealed
			}
		})
		if err != nil {
			return err
		}
	}
	kept := closing.Sealed
	if _, err = c.ask(ctx, func(n uint32) wire.ClientMessage {
		return &wire.CommandRequest{ID: n, JWS: kept.JWS, Stamps: []auction.Blob{}, Sealed: kept.Sealed}
	}); err != nil {
		return err
	}
	_, err = c.amendClosing(id, func(c *Closing) { c.Disclosed = kept.Claims })
	return err
}

// sealDisclosure makes the presentation, seals it and signs it.
func (c *Client) sealDisclosure(ctx context.Context, closing Closing, claims []string) (*Sealed, error) {
	terms, err := auction.ParseTerms([]byte(closing.Terms))
	if err != nil {
		return nil, err
	}
	claims = slices.Clone(claims)
	for _, claim := range terms.Disclose {
		if !slices.Contains(claims, claim) {
			claims = append(claims, claim)
		}
	}
	credential, err := c.profile.credential()
	if err != nil {
		return nil, err
	}
	nonce := closing.nonce(c.profile.house.House, closing.Role)
	now, err := c.Now(ctx)
	if err != nil {
		return nil, err
	}
	presentation, err := identity.Present(credential, c.profile.key, claims, c.profile.house.House, nonce, now.Std())
	if err != nil {
		return nil, err
	}
	key, err := wire.DisclosureKEMOf(closing.TheirKey).NewPublicKey(closing.TheirKey)
	if err != nil {
		return nil, err
	}
	sealed, err := hpke.Seal(key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(disclosureLabel+nonce), []byte(presentation))
	if err != nil {
		return nil, err
	}
	jws, err := c.signCommand(wire.Command{Kind: auction.KindDisclose, Auction: closing.Auction, Sealed: sha256.Sum256(sealed)})
	if err != nil {
		return nil, err
	}
	return &Sealed{JWS: string(jws), Sealed: sealed, Claims: claims}, nil
}

// Opened verifies and opens what the counterpart of a sale disclosed, keeps it,
// and returns the claims. The error is a [*Junk] if it does not hold: if the
// counterpart signed it, that pins it on the counterpart. What the house gives
// before one has sent one's own is opened too, and pinned on the house: see
// [Closing.Early].
func (c *Client) Opened(ctx context.Context, m wire.Message) (Closing, error) {
	closing, err := c.Closing(m.Auction)
	if err != nil {
		err := auction.Refuse(auction.CodeNoDisclosure, "no close of yours under that id: look into the inbox first")
		if c.profile.has(junkName(m.Auction, auction.MessageClosed)) {
			return Closing{}, &Junk{err}
		}
		return Closing{}, err
	}
	keys, err := c.keySet(ctx)
	if err != nil {
		return Closing{}, err
	}
	now, err := c.Now(ctx)
	if err != nil {
		return Closing{}, err
	}
	theirs, err := c.openDisclosure(closing, m, keys, now)
	if err != nil {
		return Closing{}, junk(err)
	}
	closing, err = c.amendClosing(m.Auction, func(kept *Closing) {
		kept.Theirs = theirs
		if kept.Sealed == nil {
			kept.Early = &m
		}
	})
	if err != nil {
		return Closing{}, err
	}
	return closing, c.acknowledge(ctx, m.Auction, auction.MessageDisclosure)
}

// openDisclosure checks that a disclosure is the counterpart's, and opens it.
func (c *Client) openDisclosure(closing Closing, m wire.Message, keys *identity.KeySet, now auction.Time) (map[string]string, error) {
	cert, err := c.verifier.Verify(raw(closing.Chain), identity.RoleParticipant, closing.TheirTS.Std())
	if err != nil {
		return nil, err
	}
	cmd, err := wire.ParseCommand([]byte(m.JWS))
	if err != nil {
		return nil, err
	}
	if cmd.Kind != auction.KindDisclose || cmd.Auction != m.Auction || cmd.House != c.profile.house.House || cmd.Sealed != sha256.Sum256(m.Sealed) {
		return nil, auction.Refuse(auction.CodeBadSignature, "the house swapped what the counterpart disclosed")
	}
	if err := cmd.Verify(cert.Key); err != nil {
		return nil, err
	}
	key, err := c.profile.disclosureKey(closing.Own, wire.DisclosureKEMOf(closing.OwnKey))
	if err != nil {
		return nil, err
	}
	theirRole := wire.RoleSeller
	if closing.Role == wire.RoleSeller {
		theirRole = wire.RoleWinner
	}
	nonce := closing.nonce(c.profile.house.House, theirRole)
	presentation, err := hpke.Open(key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(disclosureLabel+nonce), m.Sealed)
	if err != nil {
		return nil, auction.Refuse(auction.CodeBadSignature, "the counterpart sealed something that does not open")
	}
	c.received(presentation)
	theirs, err := identity.VerifyPresentation(string(presentation), keys, identity.Expectation{
		House: c.profile.house.House, Holder: auction.Participant(closing.Counterpart),
		Audience: c.profile.house.House, Nonce: nonce, At: now.Std(),
	})
	if err != nil {
		return nil, err
	}
	return theirs, closing.leastIn(theirs)
}

// leastIn refuses claims that lack one of those that the terms demand of both
// sides: who says less than that has not disclosed.
func (c Closing) leastIn(claims map[string]string) error {
	terms, err := auction.ParseTerms([]byte(c.Terms))
	if err != nil {
		return err
	}
	for _, name := range terms.Disclose {
		if _, there := claims[name]; !there {
			return auction.Refuse(auction.CodeBadSignature, "the counterpart disclosed less than the terms demand")
		}
	}
	return nil
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
