package identity

import (
	"crypto/elliptic"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// known demands that bad input is refused with a code, never with a foreign error.
func known(t *testing.T, err error) {
	if auction.CodeOf(err) == auction.CodeInternal {
		t.Fatalf("a foreign error: %v", err)
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(must[[]byte](f)(decode64(readVectors(f).Request)))
	f.Fuzz(func(t *testing.T, der []byte) {
		pub, err := ParseRequest(der)
		known(t, err)
		if err == nil && (pub.Curve != elliptic.P256() || len(der) > maxRequest) {
			t.Fatal("a request out of bounds is accepted")
		}
	})
}

func FuzzVerifyChain(f *testing.F) {
	v := readVectors(f)
	verifier := must[*Verifier](f)(NewVerifier(v.House, must[[]byte](f)(decode64(v.Root))))
	chain := v.chain(f)
	f.Add(chain[0], chain[1])
	f.Fuzz(func(t *testing.T, leaf, issuer []byte) {
		cert, err := verifier.Verify([][]byte{leaf, issuer}, RoleParticipant, auction.Time(v.At).Std())
		known(t, err)
		if err == nil && cert.Participant.String() != v.Participant {
			t.Fatal("a certificate that nobody issued is accepted")
		}
	})
}

func FuzzRevocationList(f *testing.F) {
	v := readVectors(f)
	verifier := must[*Verifier](f)(NewVerifier(v.House, must[[]byte](f)(decode64(v.Root))))
	issuer := v.chain(f)[1]
	f.Add(must[[]byte](f)(decode64(v.CRL)))
	f.Fuzz(func(t *testing.T, der []byte) {
		list, err := verifier.RevocationList(der, issuer, auction.Time(v.At).Std())
		known(t, err)
		if err == nil && list.Number != 1 {
			t.Fatal("a list that nobody issued is accepted")
		}
	})
}

func FuzzParseKeySet(f *testing.F) {
	f.Add([]byte(readVectors(f).KeySet))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := ParseKeySet(data)
		known(t, err)
		if err != nil {
			return
		}
		canonical := must[[]byte](t)(set.Marshal())
		again, err := ParseKeySet(canonical)
		if err != nil || string(must[[]byte](t)(again.Marshal())) != string(canonical) {
			t.Fatalf("its own form does not come back: %v", err)
		}
	})
}

func FuzzVerifyToken(f *testing.F) {
	v := readVectors(f)
	verifier := must[*Verifier](f)(NewVerifier(v.House, must[[]byte](f)(decode64(v.Root))))
	at := auction.Time(v.At).Std()
	cert := must[*Certificate](f)(verifier.Verify(v.chain(f), RoleParticipant, at))
	keys := must[*KeySet](f)(ParseKeySet([]byte(v.KeySet)))
	f.Add(v.Token)
	f.Add(v.Proof)
	f.Add(v.Credential)
	f.Fuzz(func(t *testing.T, token string) {
		_, err := VerifyToken(token, keys, v.House, cert, at)
		known(t, err)
		if err == nil && token != v.Token {
			t.Fatal("a token that nobody issued is accepted")
		}
		known(t, VerifyProof(token, cert.Key, ProofForToken, v.House, func(string) error { return nil }))
	})
}

func FuzzVerifyPresentation(f *testing.F) {
	v := readVectors(f)
	keys := must[*KeySet](f)(ParseKeySet([]byte(v.KeySet)))
	want := Expectation{House: v.House, Audience: v.Audience, Nonce: v.Nonce, At: auction.Time(v.At).Std()}
	want.Holder = auction.Participant(must[auction.Hash](f)(auction.ParseHash(v.Participant)))
	f.Add(v.Presentation)
	f.Add(v.Credential)
	f.Fuzz(func(t *testing.T, presentation string) {
		_, err := VerifyPresentation(presentation, keys, want)
		known(t, err)
		if err == nil && presentation != v.Presentation {
			t.Fatal("a presentation that nobody made is accepted")
		}
		_, err = ClaimsOf(presentation)
		known(t, err)
	})
}

func FuzzParseDisclosure(f *testing.F) {
	f.Add(newDisclosure("city", "Zürich"))
	f.Fuzz(func(t *testing.T, disclosure string) {
		name, value, err := parseDisclosure(disclosure)
		known(t, err)
		if err == nil && (!claimName(name) || !printable(value, maxClaimValue)) {
			t.Fatalf("%q, %q", name, value)
		}
	})
}
