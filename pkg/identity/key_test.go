package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	key := newTestKey(t)
	if err := SaveKey(path, key); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	loaded, err := LoadKey(path)
	if err != nil || !loaded.Equal(key) {
		t.Fatalf("the key does not come back: %v", err)
	}
	if err := SaveKey(path, newTestKey(t)); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("overwriting a key: %v", err)
	}
	for mode, ok := range map[os.FileMode]bool{0o400: true, 0o640: true, 0o440: true, 0o644: false, 0o604: false, 0o660: false, 0o666: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKey(path); (err == nil) != ok {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %v %v", left, err)
	}
}

func TestParseKeyRefuses(t *testing.T) {
	good := must[[]byte](t)(EncodeKey(newTestKey(t)))
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	der := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(p384))
	for name, data := range map[string][]byte{
		"empty":        nil,
		"twice":        bytes.Repeat(good, 2),
		"another type": bytes.ReplaceAll(good, []byte("PRIVATE KEY"), []byte("EC PRIVATE KEY")),
		"P-384":        pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}),
		"cut off":      pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der[:40]}),
		"trailing":     append(bytes.Clone(good), 'x'),
	} {
		if _, err := ParseKey(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, maxKeyFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(large); err == nil {
		t.Error("a large file is read")
	}
}

func TestChainFile(t *testing.T) {
	h := newHouse(t, "demo")
	path := filepath.Join(t.TempDir(), "chain.pem")
	data := EncodeChain(h.participantChain)
	if err := WriteNew(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	chain, err := LoadChain(path)
	if err != nil || len(chain) != 2 || !bytes.Equal(chain[0], h.participantChain[0]) || !bytes.Equal(chain[1], h.participantChain[1]) {
		t.Fatalf("the chain does not come back: %v", err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "four": bytes.Repeat(data, 2),
		"trailing text": append(bytes.Clone(data), "more"...),
		"a key":         must[[]byte](t)(EncodeKey(h.caKey)),
	} {
		if _, err := ParseChain(data); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParticipantIsTheHashOfTheSPKI(t *testing.T) {
	key := newTestKey(t)
	der := must[[]byte](t)(x509.MarshalPKIXPublicKey(&key.PublicKey))
	if ParticipantOf(&key.PublicKey) != sha256.Sum256(der) {
		t.Error("not SHA-256 of the SPKI")
	}
}

func TestRequest(t *testing.T) {
	key := newTestKey(t)
	der := must[[]byte](t)(NewRequest(key))
	pub, err := ParseRequest(der)
	if err != nil || !pub.Equal(&key.PublicKey) {
		t.Fatalf("the key does not come back: %v", err)
	}
	parsed := must[*x509.CertificateRequest](t)(x509.ParseCertificateRequest(der))
	if len(parsed.Subject.Names) != 0 || len(parsed.Extensions) != 0 {
		t.Error("the request names somebody")
	}
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	// A signature by a key other than the one that is asked for.
	swapped := bytes.Clone(der)
	other := must[[]byte](t)(x509.MarshalPKIXPublicKey(&newTestKey(t).PublicKey))
	copy(swapped[bytes.Index(swapped, other[:27]):], other)
	for name, bad := range map[string][]byte{
		"empty":           nil,
		"trailing byte":   append(bytes.Clone(der), 0),
		"P-384":           must[[]byte](t)(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, p384)),
		"SHA-512":         must[[]byte](t)(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{SignatureAlgorithm: x509.ECDSAWithSHA512}, key)),
		"another's key":   swapped,
		"too large":       must[[]byte](t)(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{strings.Repeat("a", maxRequest)}}, key)),
		"a certificate":   newHouse(t, "demo").rootDER,
		"PEM, not DER":    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		"cut off":         der[:len(der)-1],
		"changed payload": func() []byte { b := bytes.Clone(der); b[len(b)-1] ^= 1; return b }(),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRequest(bad)
			wantCode(t, err, auction.CodeBadEnrolment)
		})
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"demo": true, "a": true, "house-2": true, strings.Repeat("a", 32): true,
		"": false, "Demo": false, "a b": false, "a:b": false, "a/b": false, "é": false, "a_b": false, strings.Repeat("a", 33): false,
	} {
		if (CheckName(name) == nil) != ok {
			t.Errorf("%q", name)
		}
	}
}
