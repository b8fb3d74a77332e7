package dms

import (
	"context"
	"crypto/ecdsa"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/identity"
)

// fakeCA publishes what a CA does, and makes certificates and tokens.
type fakeCA struct {
	t       *testing.T
	clock   *auctiontest.Clock
	issuer  *identity.Issuer
	checker *accept.Checker
	trust   *trust
	tokens  *identity.TokenIssuer

	keySet  atomic.Pointer[[]byte]
	list    []byte
	der     []byte
	fetches atomic.Int32 // of the key set
}

func newFakeCA(t *testing.T) *fakeCA {
	t.Helper()
	ca := &fakeCA{t: t, clock: auctiontest.NewClock()}
	start := ca.clock.Time().Std().Truncate(time.Second) // as X.509 has it
	from, until := start.Add(-time.Hour), start.Add(24*time.Hour)
	rootKey, key := ca.key(), ca.key()
	root, err := identity.NewRoot(rootKey, "demo", from, until)
	ca.must(err)
	rootIssuer, err := identity.NewIssuer([][]byte{root}, rootKey)
	ca.must(err)
	ca.der, err = rootIssuer.NewIntermediate(&key.PublicKey, "demo", from, until)
	ca.must(err)
	ca.issuer, err = identity.NewIssuer([][]byte{ca.der}, key)
	ca.must(err)
	ca.list, err = ca.issuer.NewRevocationList(1, from, ca.clock.Time().Add(time.Hour).Std(), nil)
	ca.must(err)
	ca.newTokenKey()
	server := httptest.NewServer(ca)
	t.Cleanup(server.Close)
	ca.checker, err = accept.New("demo", [][]byte{root}, nil)
	ca.must(err)
	ca.trust = &trust{
		ca: server.URL, house: "demo", verifier: ca.checker.Verifier(), http: server.Client(),
		clock: ca.clock.Now, log: slog.New(slog.DiscardHandler),
	}
	return ca
}

func (ca *fakeCA) must(err error) {
	ca.t.Helper()
	if err != nil {
		ca.t.Fatal(err)
	}
}

func (ca *fakeCA) key() *ecdsa.PrivateKey {
	ca.t.Helper()
	key, err := identity.NewKey()
	ca.must(err)
	return key
}

// newTokenKey replaces the key that signs tokens.
func (ca *fakeCA) newTokenKey() {
	ca.t.Helper()
	var err error
	ca.tokens, err = identity.NewTokenIssuer("demo", ca.key())
	ca.must(err)
	doc, err := identity.NewKeySet([]*identity.TokenIssuer{ca.tokens}, nil).Marshal()
	ca.must(err)
	ca.keySet.Store(&doc)
}

func (ca *fakeCA) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body []byte
	switch r.URL.Path {
	case "/.well-known/ca-public":
		ca.fetches.Add(1)
		body = *ca.keySet.Load()
	case "/ca.pem":
		body = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.der})
	case "/crl.der":
		body = ca.list
	}
	w.Write(body)
}

// newcomer returns a chain and a token of the present key.
func (ca *fakeCA) newcomer() (token string, chain [][]byte) {
	ca.t.Helper()
	now := ca.clock.Time().Std()
	chain, err := ca.issuer.Issue(&ca.key().PublicKey, identity.Profile{
		Role: identity.RoleParticipant, House: "demo", NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Hour),
	})
	ca.must(err)
	cert, err := ca.checker.Verifier().Verify(chain, identity.RoleParticipant, now)
	ca.must(err)
	token, _, err = ca.tokens.Issue(cert, now)
	ca.must(err)
	return token, chain
}

func (ca *fakeCA) authenticate(token string, chain [][]byte) error {
	aside := func(_ context.Context, wait func()) error { wait(); return nil }
	_, err := ca.trust.authenticate(ca.t.Context(), ca.checker, token, chain, aside)
	return err
}

// A token that is signed with a key which is not known yet makes the replica
// look once more before it refuses, and not more often than is good for the CA.
func TestUnknownKeyIsFetched(t *testing.T) {
	ca := newFakeCA(t)
	token, chain := ca.newcomer()
	ca.must(ca.authenticate(token, chain)) // the first fetch
	ca.newTokenKey()
	token, chain = ca.newcomer()
	if err := ca.authenticate(token, chain); auction.CodeOf(err) != auction.CodeBadToken {
		t.Fatalf("right after a fetch: %v", err)
	}
	if n := ca.fetches.Load(); n != 1 {
		t.Fatalf("%d fetches within the gap, want 1", n)
	}
	ca.trust.last = ca.trust.last.Add(-refreshGap)
	ca.must(ca.authenticate(token, chain))
	ca.must(ca.authenticate(token, chain))
	if n := ca.fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

// A revocation list that has ended is replaced before anybody is refused for it.
func TestEndedListIsFetched(t *testing.T) {
	ca := newFakeCA(t)
	token, chain := ca.newcomer()
	ca.must(ca.authenticate(token, chain))
	ca.clock.Advance(90 * time.Minute)
	token, chain = ca.newcomer()
	if err := ca.authenticate(token, chain); auction.CodeOf(err) != auction.CodeUnavailable {
		t.Fatalf("without a list: %v", err)
	}
	now := ca.clock.Time()
	var err error
	ca.list, err = ca.issuer.NewRevocationList(2, now.Add(-time.Minute).Std(), now.Add(time.Hour).Std(), nil)
	ca.must(err)
	ca.trust.last = time.Time{}
	ca.must(ca.authenticate(token, chain))
}

// Simulated time that was moved is read again before somebody is refused.
func TestMovedTimeIsReadAgain(t *testing.T) {
	ca := newFakeCA(t)
	token, chain := ca.newcomer()
	ca.must(ca.authenticate(token, chain))
	behind := ca.clock.Time()
	ca.clock.Advance(10 * time.Minute)
	token, chain = ca.newcomer()
	reads := 0
	ca.trust.clock = func() (auction.Time, error) { return behind, nil }
	if err := ca.authenticate(token, chain); auction.CodeOf(err) != auction.CodeBadCertificate {
		t.Fatalf("a certificate of the future: %v", err)
	}
	ca.trust.readTime = func(context.Context) {
		reads++
		behind = ca.clock.Time()
	}
	ca.must(ca.authenticate(token, chain))
	ca.must(ca.authenticate(token, chain))
	if reads != 1 {
		t.Errorf("the time was read %d times, want once", reads)
	}
}

func TestNoSessionWithoutTheCA(t *testing.T) {
	ca := newFakeCA(t)
	token, chain := ca.newcomer()
	ca.trust.ca = "http://127.0.0.1:1" // nobody listens there
	if err := ca.authenticate(token, chain); auction.CodeOf(err) != auction.CodeUnavailable {
		t.Fatalf("got %v", err)
	}
	if ca.trust.ready() == nil {
		t.Error("ready without having met the CA")
	}
	ca.clock.Stop(true)
	if err := ca.authenticate(token, chain); auction.CodeOf(err) != auction.CodeUnavailable {
		t.Errorf("without trusted time: %v", err)
	}
}

// A revocation list that is older than the one at hand would let a revoked key
// in again: whoever shows it, it is not taken.
func TestOlderListIsRefused(t *testing.T) {
	ca := newFakeCA(t)
	now := ca.clock.Time()
	older := ca.list
	var err error
	ca.list, err = ca.issuer.NewRevocationList(2, now.Add(-time.Minute).Std(), now.Add(time.Hour).Std(), nil)
	ca.must(err)
	ca.must(ca.trust.refresh(t.Context(), 0))
	ca.list = older
	if err := ca.trust.refresh(t.Context(), 0); err == nil || ca.trust.list.Load().Number != 2 {
		t.Errorf("an older list was taken: %v", err)
	}
}
