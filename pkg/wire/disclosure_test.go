package wire_test

import (
	"crypto/ecdh"
	"crypto/hpke"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A command has a disclosure key of one of two KEMs, whole and valid, and the
// policy says of which.
func TestDisclosureKey(t *testing.T) {
	for _, policy := range []auction.Policy{{}, {DisclosureKEM: auction.DisclosureHybrid}} {
		key, err := wire.DisclosureKEM(policy).GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		public := key.PublicKey().Bytes()
		if got := wire.DisclosureKEMOf(public); got.ID() != wire.DisclosureKEM(policy).ID() {
			t.Errorf("%q: KEM %x", policy.DisclosureKEM, got.ID())
		}
		for _, other := range []auction.Policy{{}, {DisclosureKEM: auction.DisclosureHybrid}} {
			if got := wire.FitsDisclosure(public, other); got != (other.DisclosureKEM == policy.DisclosureKEM) {
				t.Errorf("%q under %q: fits %v", policy.DisclosureKEM, other.DisclosureKEM, got)
			}
		}
		offCurve := append(public[:len(public)-1:len(public)-1], public[len(public)-1]^1)
		for name, bad := range map[string]struct {
			key  []byte
			code auction.Code
		}{
			"good":      {public, ""},
			"cut":       {public[:len(public)-1], auction.CodeBadRequest},
			"longer":    {append(public[:len(public):len(public)], 0), auction.CodeBadRequest},
			"off curve": {offCurve, auction.CodeBadRequest},
		} {
			c := commands()["bid"]
			c.DisclosureKey = bad.key
			if _, err := wire.Sign(signer, thumbprint, c, nil); auction.CodeOf(err) != bad.code {
				t.Errorf("%q, %s: %v", policy.DisclosureKEM, name, err)
			}
		}
	}
	x25519, err := ecdh.X25519().GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range [][]byte{x25519.PublicKey().Bytes(), other.PublicKey().Bytes()} {
		c := commands()["bid"]
		c.DisclosureKey = key
		if _, err := wire.Sign(signer, thumbprint, c, nil); auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("a key of %d bytes: %v", len(key), err)
		}
	}
}
