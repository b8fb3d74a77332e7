package tsp

import (
	"bytes"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity/ecdsatest"
)

// A token with any byte changed, cut or added is refused, and nothing panics.
func TestCorruptTokens(t *testing.T) {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	v, imprint := a.verifier(t), digestOf("bid")
	token := a.stamp(t, imprint, start)
	refused := func(name string, i int, bad []byte) {
		t.Helper()
		if _, err := v.Verify(bad, imprint); auction.CodeOf(err) != auction.CodeBadStamp {
			t.Fatalf("%s at %d: got %v", name, i, err)
		}
	}
	for i := range token {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(token)
			bad[i] ^= flip
			refused("flip", i, bad)
		}
		refused("cut", i, token[:i])
		refused("missing byte", i, slices.Delete(bytes.Clone(token), i, i+1))
		refused("added byte", i, slices.Insert(bytes.Clone(token), i, 0))
	}
	refused("trailing byte", len(token), append(bytes.Clone(token), 0))
	refused("over the limit", len(token), append(bytes.Clone(token), make([]byte, MaxToken)...))
}

// No element has room for another: most of the token is not signed, so that
// whoever passes it on could hide bytes in it.
func TestGraftedTokens(t *testing.T) {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	v, imprint := a.verifier(t), digestOf("bid")
	token := a.stamp(t, imprint, start)
	n := 0
	for ; graft(token, n) != nil; n++ {
		if _, err := v.Verify(graft(token, n), imprint); auction.CodeOf(err) != auction.CodeBadStamp {
			t.Errorf("graft %d: got %v", n, err)
		}
	}
	if n < 20 {
		t.Fatalf("only %d places for a graft", n)
	}
}

// graft adds a NULL to the end of the n-th constructed element of der, counted
// from outside; nil if there are fewer.
func graft(der []byte, n int) []byte {
	out, left := graftElement(der, n)
	if left >= 0 {
		return nil
	}
	return out
}

// graftElement returns what is left of n after the elements of der; it is
// negative once the graft is made.
func graftElement(der []byte, n int) ([]byte, int) {
	var b cryptobyte.Builder
	rest := cryptobyte.String(der)
	for !rest.Empty() {
		var content cryptobyte.String
		var tag cbasn1.Tag
		rest.ReadAnyASN1(&content, &tag)
		body := []byte(content)
		if tag&0x20 != 0 { // constructed
			here := n == 0
			if n--; n >= 0 {
				body, n = graftElement(content, n)
			}
			if here {
				body = append(bytes.Clone(body), 5, 0)
			}
		}
		b.AddBytes(wrap(tag, body))
	}
	return b.BytesOrPanic(), n
}

// A token's signature is DER, with numbers in range.
func TestSignaturesAtTheEdges(t *testing.T) {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	v, imprint := a.verifier(t), digestOf("bid")
	token, err := parseToken(a.stamp(t, imprint, start))
	if err != nil {
		t.Fatal(err)
	}
	own := mustSigner(t, a)
	attrs := append([]byte{tagSet}, token.attrs[1:]...)
	for _, c := range ecdsatest.DER(token.signature) {
		want := auction.CodeBadStamp
		if c.Good {
			want = ""
		}
		_, err := v.Verify(marshalToken(token.info, own.sid, attrs, c.Signature, nil), imprint)
		if got := auction.CodeOf(err); got != want {
			t.Errorf("%s: got %q, want %q", c.Name, got, want)
		}
	}
}
