package session

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"golang.org/x/crypto/cryptobyte"
)

// A binding depends on the bytes so far and not on how they were added.
func TestBinding(t *testing.T) {
	a, b := newTranscript(), newTranscript()
	a.add([]byte("start"))
	a.add([]byte("hello"))
	b.add([]byte("starthello"))
	sum := sha256.Sum256([]byte("starthello"))
	want := append([]byte("label\x00"), sum[:]...)
	if !bytes.Equal(a.bind("label"), want) || !bytes.Equal(b.bind("label"), want) {
		t.Error("a binding is not label, zero byte and hash of the bytes so far")
	}
}

// A list with a name twice, or none, is refused though its lengths are right.
func TestStartList(t *testing.T) {
	encode := func(modes ...string) []byte {
		msg, err := (&start{key: []byte{1}, offered: modes}).marshal()
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	for name, msg := range map[string][]byte{
		"none":  encode(),
		"empty": encode("a", ""),
		"twice": encode("a", "b", "a"),
		"nine":  encode("a", "b", "c", "d", "e", "f", "g", "h", "i"),
		"space": encode("a b"),
		"UTF-8": encode("\u00e9"),
	} {
		if _, err := parseStart(msg); auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m, err := parseStart(encode("a", "b", "c", "d", "e", "f", "g", "h")); err != nil || len(m.offered) != 8 {
		t.Errorf("eight: %v", err)
	}
}

// A chain with none, four, empty or too long certificates is refused.
func TestChainLimits(t *testing.T) {
	for name, chain := range map[string][][]byte{
		"none":     {},
		"four":     {{1}, {2}, {3}, {4}},
		"empty":    {{1}, {}},
		"too long": {make([]byte, maxCert+1)},
	} {
		var b cryptobyte.Builder
		addChain(&b, chain)
		s := cryptobyte.String(b.BytesOrPanic())
		var out [][]byte
		if readChain(&s, &out) {
			t.Errorf("%s: read", name)
		}
	}
}
