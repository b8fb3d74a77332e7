package tsp

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sigilo/sigilo/pkg/auction"
)

// What is a request is so in one form, and whatever comes is answered by a
// response that can be read.
func FuzzParseRequest(f *testing.F) {
	a := newTestHouse(f, 1).authority(f, "one", 2, nil)
	issuer := a.issuer(f, at(start))
	f.Add(mustMarshal(f, mustRequest(f, digestOf("bid"), RealTime)))
	f.Add(sequence(f, hexVersion, hexImprint, hexPolicy, "020101", "0101ff"))
	f.Add(sequence(f, hexVersion, "3031300d06096086480165030402010500"+hexDigest, "a000"))
	f.Fuzz(func(t *testing.T, der []byte) {
		var failure *Failure
		request, err := ParseRequest(der)
		if err != nil && !errors.As(err, &failure) {
			t.Fatalf("not a failure: %v", err)
		}
		if err == nil && !bytes.Equal(mustMarshal(t, request), der) {
			t.Fatalf("%x has another form", der)
		}
		_, answer := ParseResponse(issuer.Respond(der))
		if err != nil && (!errors.As(answer, &failure) || answer == nil) {
			t.Fatalf("refused with %v, answered with %v", err, answer)
		}
	})
}

// What is a response holds a token in one form, or says why not.
func FuzzParseResponse(f *testing.F) {
	a := newTestHouse(f, 1).authority(f, "one", 2, nil)
	f.Add(marshalGranted(a.stamp(f, digestOf("bid"), start)))
	f.Add(marshalFailure(fail(SystemFailure, "no")))
	f.Add([]byte{0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02})
	f.Fuzz(func(t *testing.T, der []byte) {
		token, err := ParseResponse(der)
		if err == nil && !bytes.Equal(marshalGranted(token), der) {
			t.Fatalf("%x has another form", der)
		}
	})
}

// Only tokens that the authority made over the imprint are accepted, and what
// has the form of a token has one form: put together again from its parts, it
// is the same.
func FuzzVerify(f *testing.F) {
	// Workers are processes, so the tokens must be the same in each.
	golden, v := loadVectors(f)
	for _, c := range append(golden.Tokens, golden.Refusals...) {
		f.Add([]byte(c.Token))
	}
	made := func(token []byte) bool {
		return slices.ContainsFunc(golden.Tokens, func(c tokenVector) bool { return bytes.Equal(c.Token, token) })
	}
	f.Fuzz(func(t *testing.T, token []byte) {
		if parsed, err := parseToken(token); err == nil && !bytes.Equal(reassemble(&parsed), token) {
			t.Fatalf("%x has another form", token)
		}
		_, err := v.Verify(token, [32]byte(golden.Imprint))
		if err == nil && !made(token) {
			t.Fatalf("%x is accepted", token)
		}
		if err != nil && auction.CodeOf(err) != auction.CodeBadStamp {
			t.Fatalf("refused with %v", err)
		}
	})
}

func reassemble(t *parsedToken) []byte {
	attrs := wrap(cbasn1.SET, derAttrContentType,
		element(func(b *cryptobyte.Builder) {
			addAttribute(b, oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(t.digest) })
		}), t.ess)
	return marshalToken(t.tst.marshal(), t.sid, attrs, t.signature, nil)
}
