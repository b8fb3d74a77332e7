package ca

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// verifier keeps a key set as a DMS does, and fetches it anew on an unknown kid.
type verifier struct {
	ca      *testCA
	keys    *identity.KeySet
	fetched int
}

func (v *verifier) check(token string, cert *identity.Certificate) auction.Code {
	v.ca.t.Helper()
	at := v.ca.time().Std()
	_, err := identity.VerifyToken(token, v.keys, testHouse, cert, at)
	if errors.Is(err, identity.ErrUnknownKey) {
		v.keys = v.ca.keys()
		v.fetched++
		_, err = identity.VerifyToken(token, v.keys, testHouse, cert, at)
	}
	return auction.CodeOf(err)
}

// A key is replaced without any token being refused meanwhile.
func TestRotation(t *testing.T) {
	dir := newFolder(t)
	next := filepath.Join(dir, "token-2.key")
	if err := identity.SaveKey(next, must[*ecdsa.PrivateKey](t)(identity.NewKey())); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(dir, FileTokenKey)
	ca := startCA(t, dir, nil)
	alice := ca.enrolled("alice", nil)
	v := &verifier{ca: ca, keys: ca.keys()}
	var token string
	for _, step := range []struct {
		name    string
		keys    []string
		fetched int          // by the verifier, all in all
		before  auction.Code // of the token that was issued before
	}{
		{"the first signs", []string{first}, 0, ""},
		{"the next is published", []string{first, next}, 0, ""},
		{"the next signs", []string{next, first}, 1, ""},
		{"the next is alone", []string{next}, 1, ""},
	} {
		if err := ca.stop(); err != nil {
			t.Fatal(err)
		}
		ca = startCA(t, dir, func(c *Config) { c.TokenKey = step.keys })
		alice.ca, v.ca = ca, ca
		cert := alice.certificate()
		if token != "" {
			wantCode(t, step.name+": the token of before", v.check(token, cert), step.before)
		}
		fresh, code := alice.issue()
		wantCode(t, step.name+": issue", code, "")
		wantCode(t, step.name+": a new token", v.check(fresh, cert), "")
		if v.fetched != step.fetched {
			t.Errorf("%s: fetched %d times, want %d", step.name, v.fetched, step.fetched)
		}
		token = fresh
	}
	// Whoever keeps no old set refuses what a key signed that is gone.
	if err := ca.stop(); err != nil {
		t.Fatal(err)
	}
	ca = startCA(t, dir, nil)
	v = &verifier{ca: ca, keys: ca.keys()}
	wantCode(t, "a token of a key that is gone", v.check(token, alice.certificate()), auction.CodeBadToken)
}

// A credential of a retired key goes on to verify while that key is published.
func TestRotationOfCredentials(t *testing.T) {
	dir := newFolder(t)
	next := filepath.Join(dir, "credential-2.key")
	if err := identity.SaveKey(next, must[*ecdsa.PrivateKey](t)(identity.NewKey())); err != nil {
		t.Fatal(err)
	}
	ca := startCA(t, dir, nil)
	alice := ca.enrolled("alice", nil)
	old := alice.credential
	if err := ca.stop(); err != nil {
		t.Fatal(err)
	}
	ca = startCA(t, dir, func(c *Config) { c.CredentialKey = []string{next, filepath.Join(dir, FileCredentialKey)} })
	alice.ca = ca
	wantCode(t, "renew", alice.renew(), "")
	for _, credential := range []string{old, alice.credential} {
		presented := must[string](t)(identity.Present(credential, alice.key, []string{"username"}, "a", "n", epoch))
		if _, err := identity.VerifyPresentation(presented, ca.keys(), identity.Expectation{
			House: testHouse, Holder: alice.certificate().Participant, Audience: "a", Nonce: "n", At: epoch,
		}); err != nil {
			t.Error(err)
		}
	}
}

func TestEncryptedKeys(t *testing.T) {
	dir := newFolder(t)
	passphrase := filepath.Join(dir, "passphrase")
	if err := os.WriteFile(passphrase, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{FileKey, FileTokenKey} { // the credential key stays as it is
		path := filepath.Join(dir, name)
		var out bytes.Buffer
		recipient := must[*age.ScryptRecipient](t)(age.NewScryptRecipient("correct horse"))
		recipient.SetWorkFactor(10)
		w := must[io.WriteCloser](t)(age.Encrypt(&out, recipient))
		if _, err := w.Write(must[[]byte](t)(os.ReadFile(path))); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ca := startCA(t, dir, func(c *Config) { c.KeyPassphrase = passphrase })
	alice := ca.enrolled("alice", nil)
	token, code := alice.issue()
	wantCode(t, "issue", code, "")
	if _, err := identity.VerifyToken(token, ca.keys(), testHouse, alice.certificate(), epoch); err != nil {
		t.Error(err)
	}
	if err := Run(t.Context(), testConfig(dir)); err == nil {
		t.Error("runs without the passphrase")
	}
}
