package identity

import (
	"crypto/ecdsa"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// epoch is the time at which tests happen.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const year = 365 * 24 * time.Hour

// A house is a whole small PKI.
type house struct {
	name              string
	rootDER           []byte
	rootKey, caKey    *ecdsa.PrivateKey
	root, ca          *Issuer
	verifier          *Verifier
	tokens            *TokenIssuer
	credentials       *CredentialIssuer
	tokenKey, credKey *ecdsa.PrivateKey
	keys              *KeySet
	participantKey    *ecdsa.PrivateKey
	participantChain  [][]byte
	participant       *Certificate
	intermediateDER   []byte
}

func newTestKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newHouse(t testing.TB, name string) *house {
	t.Helper()
	h := &house{
		name: name, rootKey: newTestKey(t), caKey: newTestKey(t),
		tokenKey: newTestKey(t), credKey: newTestKey(t), participantKey: newTestKey(t),
	}
	der := must[[]byte](t)
	issuer := must[*Issuer](t)
	h.rootDER = der(NewRoot(h.rootKey, name, epoch.Add(-time.Hour), epoch.Add(10*year)))
	h.root = issuer(NewIssuer([][]byte{h.rootDER}, h.rootKey))
	h.intermediateDER = der(h.root.NewIntermediate(&h.caKey.PublicKey, name, epoch.Add(-time.Hour), epoch.Add(5*year)))
	h.ca = issuer(NewIssuer([][]byte{h.intermediateDER}, h.caKey))
	h.verifier = must[*Verifier](t)(NewVerifier(name, h.rootDER))
	h.tokens = must[*TokenIssuer](t)(NewTokenIssuer(name, h.tokenKey))
	h.credentials = must[*CredentialIssuer](t)(NewCredentialIssuer(name, h.credKey))
	h.keys = NewKeySet([]*TokenIssuer{h.tokens}, []*CredentialIssuer{h.credentials})
	h.participantChain, h.participant = h.enrol(t, h.participantKey)
	return h
}

func (h *house) profile(role Role) Profile {
	p := Profile{Role: role, House: h.name, NotBefore: epoch.Add(-time.Minute), NotAfter: epoch.Add(8 * time.Hour)}
	if role == RoleTSA {
		p.Authority = "clock-1"
	}
	return p
}

func (h *house) enrol(t testing.TB, key *ecdsa.PrivateKey) ([][]byte, *Certificate) {
	t.Helper()
	chain := must[[][]byte](t)(h.ca.Issue(&key.PublicKey, h.profile(RoleParticipant)))
	return chain, must[*Certificate](t)(h.verifier.Verify(chain, RoleParticipant, epoch))
}

func wantCode(t testing.TB, err error, want auction.Code) {
	t.Helper()
	if got := auction.CodeOf(err); got != want {
		t.Fatalf("code %q, want %q (%v)", got, want, err)
	}
}
