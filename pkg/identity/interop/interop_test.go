// Package interop has implementations of JOSE and of SD-JWT in another language
// judge what package identity signs, and package identity what those make.
package interop

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// vectors are those of package identity, as far as they are needed here.
type vectors struct {
	House          string            `json:"house"`
	At             auction.Time      `json:"at"`
	ParticipantKey string            `json:"participant_key"`
	Root           string            `json:"root"`
	Chain          []string          `json:"chain"`
	Nonce          string            `json:"nonce"`
	Audience       string            `json:"audience"`
	Disclosed      map[string]string `json:"disclosed"`
}

// made is what check.mjs prints once it has found the vectors good.
type made struct {
	KeySet       string `json:"key_set"`
	Token        string `json:"token"`
	Proof        string `json:"proof"`
	Credential   string `json:"credential"`
	Presentation string `json:"presentation"`
}

// TestOtherImplementations needs node and npm.
func TestOtherImplementations(t *testing.T) {
	path := filepath.Join("..", "testdata", "vectors.json")
	theirs := judge(t, path)
	var v vectors
	decode(t, must(os.ReadFile(path))(t), &v)
	at, cert := v.At.Std(), v.certificate(t)
	keys := must(identity.ParseKeySet([]byte(theirs.KeySet)))(t)

	if _, err := identity.VerifyToken(theirs.Token, keys, v.House, cert, at); err != nil {
		t.Errorf("token: %v", err)
	}
	if err := identity.VerifyProof(theirs.Proof, cert.Key, identity.ProofForRenewal, v.House, func(nonce string) error {
		if nonce != v.Nonce {
			t.Errorf("nonce %q", nonce)
		}
		return nil
	}); err != nil {
		t.Errorf("proof: %v", err)
	}

	want := identity.Expectation{House: v.House, Holder: cert.Participant, Audience: v.Audience, Nonce: v.Nonce, At: at}
	got, err := identity.VerifyPresentation(theirs.Presentation, keys, want)
	if diff := cmp.Diff(v.Disclosed, got); err != nil || diff != "" {
		t.Errorf("presentation: %v %s", err, diff)
	}
	want.Nonce = "another"
	if _, err := identity.VerifyPresentation(theirs.Presentation, keys, want); auction.CodeOf(err) != auction.CodeBadSignature {
		t.Errorf("presentation over another nonce: %v", err)
	}

	// Their credential, presented by us.
	want.Nonce = "one"
	key := must(identity.ParseKey([]byte(v.ParticipantKey)))(t)
	presented := must(identity.Present(theirs.Credential, key, []string{"city"}, v.Audience, "one", at))(t)
	got, err = identity.VerifyPresentation(presented, keys, want)
	if names := slices.Collect(maps.Keys(got)); err != nil || !slices.Equal(names, []string{"city"}) {
		t.Errorf("presented by us: %v %v", err, got)
	}
}

// judge has check.mjs check the vectors, and returns what it makes.
func judge(t *testing.T, path string) made {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "check.mjs"} {
		if err := os.WriteFile(filepath.Join(dir, name), must(os.ReadFile(name))(t), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	var out made
	decode(t, run(t, dir, "node", "check.mjs", must(filepath.Abs(path))(t)), &out)
	return out
}

func (v vectors) certificate(t *testing.T) *identity.Certificate {
	t.Helper()
	var chain [][]byte
	for _, text := range v.Chain {
		chain = append(chain, must(base64.RawURLEncoding.DecodeString(text))(t))
	}
	root := must(base64.RawURLEncoding.DecodeString(v.Root))(t)
	verifier := must(identity.NewVerifier(v.House, root))(t)
	return must(verifier.Verify(chain, identity.RoleParticipant, v.At.Std()))(t)
}

// run returns what a program prints. A program that is missing is a failure.
func run(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok {
		t.Fatalf("%s: %v\n%s%s", name, err, out, exit.Stderr)
	}
	return must(out, err)(t)
}

func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
