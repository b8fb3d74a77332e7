package wire_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

func TestParseGivesWhatWasSigned(t *testing.T) {
	for name, c := range commands() {
		t.Run(name, func(t *testing.T) {
			jws := sign(t, c)
			s, err := wire.ParseCommand(jws)
			if err != nil {
				t.Fatal(err)
			}
			if c.Kind == auction.KindList {
				if c.Listing, err = auction.ParseTerms(c.Terms); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(c, s.Command); diff != "" {
				t.Error(diff)
			}
			if s.Thumbprint != thumbprint || s.Digest != sha256.Sum256(jws) || !bytes.Equal(s.JWS, jws) {
				t.Error("thumbprint, digest or bytes are not those of the JWS")
			}
			if err := s.Verify(&signer.PublicKey); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestVerifyRefusesAnotherKey(t *testing.T) {
	s, err := wire.ParseCommand(sign(t, commands()["bid"]))
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]*ecdsa.PublicKey{
		"a stranger's": &stranger.PublicKey, "another curve": &p384.PublicKey, "none": nil, "empty": {},
	} {
		if code := auction.CodeOf(s.Verify(key)); code != auction.CodeBadSignature {
			t.Errorf("%s: code %q", name, code)
		}
	}
}

// Every change of a byte is seen: the command does not parse, or its signature
// does not hold, or it is another certificate's.
func TestNoByteOfACommandCanChange(t *testing.T) {
	jws := sign(t, commands()["bid"])
	for i := range jws {
		for _, b := range []byte{jws[i] ^ 1, jws[i] ^ 0x20, '.', 'A', '\n', '='} {
			if b == jws[i] {
				continue
			}
			changed := bytes.Clone(jws)
			changed[i] = b
			s, err := wire.ParseCommand(changed)
			if err == nil {
				err = s.Verify(&signer.PublicKey)
			}
			if code := auction.CodeOf(err); code == "" || code == auction.CodeInternal {
				t.Fatalf("byte %d as %q: code %q", i, b, code)
			}
		}
	}
	for i := range jws {
		if _, err := wire.ParseCommand(jws[:i]); err == nil {
			t.Fatalf("the first %d bytes parse", i)
		}
		grown := append(append(bytes.Clone(jws[:i]), '\n'), jws[i:]...)
		if _, err := wire.ParseCommand(grown); err == nil {
			t.Fatalf("a line break before byte %d parses", i)
		}
	}
}

func TestVerifyRefusesSignaturesOutOfRange(t *testing.T) {
	jws := sign(t, commands()["bid"])
	n := elliptic.P256().Params().N
	zero, one, order := make([]byte, 32), append(make([]byte, 31), 1), n.Bytes()
	over := bytes.Repeat([]byte{0xff}, 32)
	for name, pair := range map[string][2][]byte{
		"r zero": {zero, one}, "s zero": {one, zero}, "r the order": {order, one}, "s the order": {one, order},
		"both over": {over, over}, "both zero": {zero, zero},
	} {
		raw := append(bytes.Clone(pair[0]), pair[1]...)
		s, err := wire.ParseCommand(withSignature(jws, raw))
		if err != nil {
			t.Fatal(err)
		}
		if code := auction.CodeOf(s.Verify(&signer.PublicKey)); code != auction.CodeBadSignature {
			t.Errorf("%s: code %q", name, code)
		}
	}
}

// ECDSA is malleable: from (r, s) anyone makes (r, n-s). It verifies, so the
// digest, which names a command, has to be over the signature too.
func TestMalleatedSignatureIsAnotherCommand(t *testing.T) {
	jws := sign(t, commands()["bid"])
	raw, err := base64.RawURLEncoding.DecodeString(string(jws[bytes.LastIndexByte(jws, '.')+1:]))
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(raw[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(raw[32:])
	first, err := wire.ParseCommand(jws)
	if err != nil {
		t.Fatal(err)
	}
	second, err := wire.ParseCommand(withSignature(jws, raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Verify(&signer.PublicKey); err != nil {
		t.Fatal(err)
	}
	if first.Digest == second.Digest {
		t.Error("two byte strings have one digest")
	}
}

func withSignature(jws, raw []byte) []byte {
	return []byte(string(jws[:bytes.LastIndexByte(jws, '.')+1]) + base64.RawURLEncoding.EncodeToString(raw))
}

func TestSignRefusesWhatWouldNotParse(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*wire.Command)
		code   auction.Code
	}{
		"no kind":              {func(c *wire.Command) { c.Kind = "" }, auction.CodeBadRequest},
		"no auction":           {func(c *wire.Command) { c.Auction = "" }, auction.CodeBadRequest},
		"no house":             {func(c *wire.Command) { c.House = "" }, auction.CodeBadRequest},
		"house in upper case":  {func(c *wire.Command) { c.House = "Demo" }, auction.CodeBadRequest},
		"no pseudonym":         {func(c *wire.Command) { c.Pseudonym = "" }, auction.CodeBadRequest},
		"no disclosure key":    {func(c *wire.Command) { c.DisclosureKey = nil }, auction.CodeBadRequest},
		"amount zero":          {func(c *wire.Command) { c.Amount = 0 }, auction.CodeBadAmount},
		"amount negative":      {func(c *wire.Command) { c.Amount = -1 }, auction.CodeBadAmount},
		"amount too big":       {func(c *wire.Command) { c.Amount = auction.MaxAmount + 1 }, auction.CodeBadAmount},
		"no currency":          {func(c *wire.Command) { c.Currency = "" }, auction.CodeWrongCurrency},
		"after in a bid":       {func(c *wire.Command) { c.After = lot }, auction.CodeBadRequest},
		"list without terms":   {func(c *wire.Command) { c.Kind = auction.KindList }, auction.CodeBadRequest},
		"house not UTF-8":      {func(c *wire.Command) { c.House = "\xff" }, auction.CodeInternal},
		"head beyond integers": {func(c *wire.Command) { c.Head.Size = 1 << 53 }, auction.CodeBadRequest},
	} {
		c := commands()["bid"]
		test.change(&c)
		if _, err := wire.Sign(signer, thumbprint, c, nil); auction.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want code %s", name, err, test.code)
		}
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Sign(p384, thumbprint, commands()["bid"], rand.Reader); err == nil {
		t.Error("a key of another curve signs")
	}
	long := commands()["list"]
	listing := listing()
	listing.Description = strings.Repeat(`"`, auction.MaxDescription)
	if long.Terms, err = listing.Encode(); err != nil {
		t.Fatal(err)
	}
	if _, err := wire.Sign(signer, thumbprint, long, nil); auction.CodeOf(err) != auction.CodeTooLarge {
		t.Errorf("a listing of quotes alone: %v", err)
	}
}

// The largest listing in ordinary text has room.
func TestFullListingFits(t *testing.T) {
	c, listing := commands()["list"], listing()
	listing.Title = strings.Repeat("é", auction.MaxTitle/2)
	listing.Description = strings.Repeat("Uhr aus Messing,\n", auction.MaxDescription/17)
	listing.Disclose = nil
	for i := range auction.MaxClaims {
		listing.Disclose = append(listing.Disclose, strings.Repeat(string(rune('a'+i)), 32))
	}
	var err error
	if c.Terms, err = listing.Encode(); err != nil {
		t.Fatal(err)
	}
	if _, err := wire.ParseCommand(sign(t, c)); err != nil {
		t.Fatal(err)
	}
}

func TestAnyBidSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := commands()["bid"]
		c.House = rapid.StringMatching(`[a-z0-9-]{1,32}`).Draw(t, "house")
		c.Auction = auction.ID(anyUUID(t, "auction"))
		c.Pseudonym = auction.Pseudonym(anyUUID(t, "pseudonym"))
		c.Amount = auction.Amount(rapid.Int64Range(1, int64(auction.MaxAmount)).Draw(t, "amount"))
		c.Currency = rapid.SampledFrom([]auction.Currency{"EUR", "JPY", "KWD"}).Draw(t, "currency")
		c.Head.Size = rapid.Uint64Range(0, 1<<53-1).Draw(t, "size")
		c.TermsHash = hashOf(rapid.String().Draw(t, "terms"))
		jws, err := wire.Sign(signer, hashOf(c.House), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := wire.ParseCommand(jws)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, s.Command); diff != "" {
			t.Fatal(diff)
		}
		if s.Thumbprint != hashOf(c.House) {
			t.Fatal("another thumbprint")
		}
	})
}

func anyUUID(t *rapid.T, label string) string {
	return rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`).Draw(t, label)
}
