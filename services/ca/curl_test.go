package ca

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/identity"
)

// tool runs a program that everybody has, in a folder. Where it is missing, the test fails.
func tool(t *testing.T, dir, name string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if _, missing := err.(*exec.Error); missing {
		t.Fatalf("%s is needed: %v", name, err)
	}
	return out, err
}

// A shell is a folder and the programs that somebody works with there.
type shell struct {
	t   *testing.T
	dir string
}

func (s shell) must(name string, args ...string) []byte {
	s.t.Helper()
	out, err := tool(s.t, s.dir, name, args...)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, args[0], err, out)
	}
	return out
}

func (s shell) write(name string, data []byte) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// enrol makes a key and leaves its certificate in a file.
func (s shell) enrol(ca *testCA, name string) {
	s.t.Helper()
	s.must("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc",
		"-keyout", name+".key", "-subj", "/CN=Somebody else", "-outform", "DER", "-out", name+".csr")
	csr := must[[]byte](s.t)(os.ReadFile(filepath.Join(s.dir, name+".csr")))
	s.write("body.json", must[[]byte](s.t)(json.Marshal(map[string]string{
		"csr": base64.RawURLEncoding.EncodeToString(csr), "invite": ca.invite(name, nil),
	})))
	var answer signAnswer
	if err := json.Unmarshal(s.must("curl", "-sS", "--fail-with-body", "-H", "Content-Type: application/json",
		"--data-binary", "@body.json", ca.url+"/api/sign-csr"), &answer); err != nil {
		s.t.Fatal(err)
	}
	s.write(name+".pem", identity.EncodeChain(must[[][]byte](s.t)(decodeChain(answer.Chain))[:1]))
}

// Somebody with openssl and curl alone enrols, and checks what they get.
func TestCurlAndOpenSSL(t *testing.T) {
	keys := t.TempDir()
	if err := Bootstrap(keys, BootstrapConfig{House: testHouse, Authorities: []string{"clock"}, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	ca := startCA(t, keys, func(c *Config) { c.Clock = nil }) // openssl has its own clock
	s := shell{t, t.TempDir()}
	s.enrol(ca, "alice")
	s.enrol(ca, "bob")
	_, serial, _ := strings.Cut(strings.ToLower(string(s.must("openssl", "x509", "-in", "bob.pem", "-noout", "-serial"))), "=")
	ca.mustCall("POST", "/api/revoke", map[string]string{
		"serial": strings.TrimLeft(strings.TrimSpace(serial), "0"), "reason": "key_compromise",
	}, nil, ca.token)

	s.must("curl", "-sS", "--fail", "-o", "ca.pem", ca.url+"/ca.pem")
	s.must("curl", "-sS", "--fail", "-o", "crl.der", ca.url+"/crl.der")
	s.must("openssl", "crl", "-inform", "DER", "-in", "crl.der", "-CAfile", "ca.pem", "-out", "crl.pem")
	for name, good := range map[string]bool{"alice": true, "bob": false} {
		out, err := tool(t, s.dir, "openssl", "verify", "-x509_strict", "-CAfile", filepath.Join(keys, FileRoot), "-untrusted", "ca.pem",
			"-crl_check", "-CRLfile", "crl.pem", "-policy_check", "-explicit_policy", "-policy", identity.RoleParticipant.OID().String(), name+".pem")
		if (err == nil) != good || !good && !strings.Contains(string(out), "certificate revoked") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	revoked := string(s.must("openssl", "crl", "-in", "crl.pem", "-noout", "-text"))
	for _, says := range []string{"X509v3 CRL Number", "Next Update: ", "X509v3 CRL Reason Code", "Key Compromise"} {
		if strings.Count(revoked, says) != 1 {
			t.Errorf("the revocation list does not say %q once:\n%s", says, revoked)
		}
	}
	// The certificate is of her key, and names nobody.
	if got, want := s.must("openssl", "x509", "-in", "alice.pem", "-noout", "-pubkey"), s.must("openssl", "pkey", "-in", "alice.key", "-pubout"); string(got) != string(want) {
		t.Error("the certificate is of another key")
	}
	if out := string(s.must("openssl", "x509", "-in", "alice.pem", "-noout", "-subject")); strings.TrimSpace(out) != "subject=CN = Sigilo participant" {
		t.Errorf("got %q", out)
	}
}
