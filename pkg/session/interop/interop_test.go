// Package interop judges the session's golden vectors with an implementation of
// HPKE in another language, as the browser's client will have it.
package interop

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/hpke"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestOtherImplementation needs node and npm. The other implementation opens
// what is in the vectors, and what it seals itself opens here.
func TestOtherImplementation(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "check.mjs"} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	for file, kem := range map[string]hpke.KEM{
		"session.json":              hpke.DHKEM(ecdh.P256()),
		"session-mlkem768p256.json": hpke.MLKEM768P256(),
	} {
		t.Run(file, func(t *testing.T) {
			vectors, err := filepath.Abs(filepath.Join("..", "testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			openTheirs(t, kem, vectors, run(t, dir, "node", "check.mjs", vectors))
		})
	}
}

// openTheirs opens what the other implementation sealed to a vector's server.
func openTheirs(t *testing.T, kem hpke.KEM, vectors string, out []byte) {
	t.Helper()
	var vector struct {
		ServerHPKE string `json:"server_hpke"`
		InfoC2S    string `json:"info_c2s"`
	}
	file, err := os.ReadFile(vectors)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &vector); err != nil {
		t.Fatal(err)
	}
	var theirs struct{ Enc, Sealed, Exported string }
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatalf("%v: printed %q", err, out)
	}
	key, err := kem.NewPrivateKey(bin(t, vector.ServerHPKE))
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := hpke.NewRecipient(bin(t, theirs.Enc), key, hpke.HKDFSHA256(), hpke.AES256GCM(), bin(t, vector.InfoC2S))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := recipient.Open(nil, bin(t, theirs.Sealed)); err != nil || string(got) != "from elsewhere" {
		t.Errorf("opened %q, %v", got, err)
	}
	if got, err := recipient.Export("sigilo/s2c/v1", 32); err != nil || !bytes.Equal(got, bin(t, theirs.Exported)) {
		t.Errorf("exported %x, %v", got, err)
	}
}

func bin(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func run(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return out
}
