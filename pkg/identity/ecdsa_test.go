package identity

import (
	"strings"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity/ecdsatest"
)

// Whatever this package verifies, it takes a signature in its one form, with
// numbers in range, and no other.
func TestSignaturesAtTheEdges(t *testing.T) {
	h := newHouse(t, "demo")
	judge := func(what string, c ecdsatest.Case, err error, code auction.Code) {
		t.Helper()
		if c.Good {
			code = ""
		}
		if got := auction.CodeOf(err); got != code {
			t.Errorf("%s, %s: %q, want %q", what, c.Name, got, code)
		}
	}

	token, _, err := h.tokens.Issue(h.participant, epoch)
	if err != nil {
		t.Fatal(err)
	}
	proof := must[string](t)(NewProof(h.participantKey, ProofForToken, "demo", "n"))
	presentation := must[string](t)(Present(h.credential(t), h.participantKey, []string{"city"}, "a", "n", epoch))
	want := Expectation{House: "demo", Holder: h.participant.Participant, Audience: "a", Nonce: "n", At: epoch}
	jws := func(compact string, verify func(string) error, what string, code auction.Code) {
		t.Helper()
		at := strings.LastIndexByte(compact, '.') + 1
		for _, c := range ecdsatest.Raw(must[[]byte](t)(decode64(compact[at:]))) {
			judge(what, c, verify(compact[:at]+encode64(c.Signature)), code)
		}
	}
	jws(token, func(s string) error { _, err := VerifyToken(s, h.keys, "demo", h.participant, epoch); return err },
		"token", auction.CodeBadToken)
	jws(proof, func(s string) error {
		return VerifyProof(s, h.participant.Key, ProofForToken, "demo", func(string) error { return nil })
	}, "proof", auction.CodeBadEnrolment)
	jws(presentation, func(s string) error { _, err := VerifyPresentation(s, h.keys, want); return err },
		"key binding", auction.CodeBadSignature)

	x509 := func(der []byte, verify func([]byte) error, what string, code auction.Code) {
		t.Helper()
		for _, c := range ecdsatest.DER(ecdsatest.SignatureOf(der)) {
			judge(what, c, verify(ecdsatest.Replace(der, c.Signature)), code)
		}
	}
	x509(must[[]byte](t)(NewRequest(h.participantKey)), func(der []byte) error { _, err := ParseRequest(der); return err },
		"request", auction.CodeBadEnrolment)
	for i, what := range []string{"leaf", "intermediate"} {
		x509(h.participantChain[i], func(der []byte) error {
			chain := [][]byte{h.participantChain[0], h.participantChain[1]}
			chain[i] = der
			_, err := h.verifier.Verify(chain, RoleParticipant, epoch)
			return err
		}, what, auction.CodeBadCertificate)
	}
	x509(must[[]byte](t)(h.ca.NewRevocationList(1, epoch, epoch.Add(time.Hour), nil)), func(der []byte) error {
		_, err := h.verifier.RevocationList(der, h.intermediateDER, epoch)
		return err
	}, "revocation list", auction.CodeBadCertificate)
}
