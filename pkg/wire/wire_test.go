package wire_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// The fixed values from which tests and vectors are made. The keys are public:
// their private parts are hashes of their names.
const (
	lot   auction.ID        = "7c1a2f60-4a55-4a0b-9d1c-5f0e3a9b6d21"
	alice auction.Pseudonym = "0b9f3c52-8e1d-4f7a-a6b0-2d4c6e8f1a35"
	bob   auction.Pseudonym = "d2f1e0c3-5b4a-4968-8776-554433221100"
)

var (
	signer     = testKey("sigilo test: signer")
	stranger   = testKey("sigilo test: stranger")
	disclosure = testKey("sigilo test: disclosure")
	thumbprint = hashOf("sigilo test: certificate")
)

func hashOf(s string) auction.Hash { return sha256.Sum256([]byte(s)) }

func testKey(name string) *ecdsa.PrivateKey {
	d := sha256.Sum256([]byte(name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
	if err != nil {
		panic(err)
	}
	return key
}

func point(key *ecdsa.PrivateKey) []byte {
	b, err := key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return b
}

func listing() auction.Terms {
	return auction.Terms{
		V: 1, Policy: hashOf("policy"), Title: "Clock \"of\" brass",
		Description: "It ticks.\nIt is 12 cm <high> & heavy.", Currency: "EUR",
		Minimum: 1000, Increment: 100, Closes: 1_790_000_000_000_000, TieWindow: 1_000_000,
		Disclose: []string{"username"},
	}
}

func softTerms() []byte {
	l := listing()
	l.Soft = &auction.SoftClose{Window: 120_000_000, Extension: 180_000_000, Latest: l.Closes + 3_600_000_000}
	b, err := l.Encode()
	if err != nil {
		panic(err)
	}
	return b
}

func reserve() *auction.Opening {
	return &auction.Opening{Amount: 5000, Salt: bytes.Repeat([]byte("r"), auction.SaltSize)}
}

func reserveTerms() []byte {
	l := listing()
	hash := reserve().Hash()
	l.Reserve = &hash
	b, err := l.Encode()
	if err != nil {
		panic(err)
	}
	return b
}

func terms() []byte {
	b, err := listing().Encode()
	if err != nil {
		panic(err)
	}
	return b
}

// commands is one good command of each form.
func commands() map[string]wire.Command {
	head := auction.Head{Size: 12, Root: hashOf("head")}
	return map[string]wire.Command{
		"list": {
			House: "demo", Kind: auction.KindList, Auction: lot, Pseudonym: auction.Pseudonym(lot),
			Head: head, DisclosureKey: point(disclosure), Terms: terms(),
		},
		"list-soft": {
			House: "demo", Kind: auction.KindList, Auction: lot, Pseudonym: auction.Pseudonym(lot),
			Head: head, DisclosureKey: point(disclosure), Terms: softTerms(),
		},
		"list-reserve": {
			House: "demo", Kind: auction.KindList, Auction: lot, Pseudonym: auction.Pseudonym(lot),
			Head: head, DisclosureKey: point(disclosure), Terms: reserveTerms(), Reserve: reserve(),
		},
		"withdraw": {House: "demo", Kind: auction.KindWithdraw, Auction: lot, Pseudonym: alice, Head: head},
		"bid": {
			House: "demo", Kind: auction.KindBid, Auction: lot, Pseudonym: alice,
			Head: head, DisclosureKey: point(disclosure),
			Amount: 1500, Currency: "EUR", TermsHash: auction.TermsHash(terms()),
		},
		"bid-most": {
			House: "demo", Kind: auction.KindBid, Auction: lot, Pseudonym: bob,
			Head: auction.Head{Size: 1<<53 - 1, Root: hashOf("head")}, DisclosureKey: point(disclosure),
			Amount: auction.MaxAmount, Currency: "JPY", TermsHash: auction.TermsHash(terms()),
		},
		"disclose":      {House: "demo", Kind: auction.KindDisclose, Auction: lot, Pseudonym: alice, Sealed: hashOf("sealed")},
		"allitems":      {House: "demo", Kind: auction.KindAllItems, Pseudonym: alice},
		"allitems-page": {House: "demo", Kind: auction.KindAllItems, Pseudonym: alice, After: lot},
		"myitems":       {House: "demo", Kind: auction.KindMyItems, Pseudonym: alice},
		"mybids":        {House: "demo", Kind: auction.KindMyBids, Pseudonym: alice, After: lot},
		"item":          {House: "demo", Kind: auction.KindItem, Auction: lot, Pseudonym: alice},
		"inbox":         {House: "demo", Kind: auction.KindInbox, Pseudonym: alice},
	}
}

func sign(t testing.TB, c wire.Command) []byte {
	t.Helper()
	jws, err := wire.Sign(signer, thumbprint, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return jws
}
