package wire_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity/ecdsatest"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A command's signature has one length, and numbers in range.
func TestSignaturesAtTheEdges(t *testing.T) {
	jws := sign(t, commands()["bid"])
	good, err := base64.RawURLEncoding.DecodeString(string(jws[bytes.LastIndexByte(jws, '.')+1:]))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range ecdsatest.Raw(good) {
		s, err := wire.ParseCommand(withSignature(jws, c.Signature))
		if parsed := err == nil; parsed != (len(c.Signature) == len(good)) {
			t.Errorf("%s: parsed %v", c.Name, parsed)
		}
		if err == nil {
			err = s.Verify(&signer.PublicKey)
		}
		if code := auction.CodeOf(err); (code == "") != c.Good {
			t.Errorf("%s: code %q", c.Name, code)
		}
	}
}
