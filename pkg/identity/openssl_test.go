package identity

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// judge runs openssl, which knows X.509 from another pen than crypto/x509.
func judge(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if _, missing := err.(*exec.Error); missing {
		t.Fatalf("openssl is needed: %v", err)
	}
	return string(out), err
}

func writeFiles(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpenSSLAccepts(t *testing.T) {
	h := newHouse(t, "demo")
	one := func(der []byte) []byte { return EncodeChain([][]byte{der}) }
	tsa := must[[][]byte](t)(h.root.Issue(&newTestKey(t).PublicKey, h.profile(RoleTSA)))
	forgedTSA := must[[][]byte](t)(h.ca.Issue(&newTestKey(t).PublicKey, h.profile(RoleTSA)))
	forgedDMS := must[[][]byte](t)(h.ca.Issue(&newTestKey(t).PublicKey, h.profile(RoleDMS)))
	revoked, revokedCert := h.enrol(t, newTestKey(t))
	crl := must[[]byte](t)(h.ca.NewRevocationList(1, epoch, epoch.Add(time.Hour), []Revoked{{Serial: revokedCert.Serial, At: epoch}}))
	dir := writeFiles(t, map[string][]byte{
		"root.pem": one(h.rootDER), "ca.pem": one(h.intermediateDER), "leaf.pem": one(h.participantChain[0]),
		"tsa.pem": one(tsa[0]), "forged-tsa.pem": one(forgedTSA[0]), "forged-dms.pem": one(forgedDMS[0]),
		"revoked.pem": one(revoked[0]), "crl.pem": pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl}),
		"request.der": must[[]byte](t)(NewRequest(h.participantKey)),
		"key.pem":     must[[]byte](t)(EncodeKey(h.participantKey)),
	})
	verify := []string{"verify", "-x509_strict", "-attime", strconv.FormatInt(epoch.Unix(), 10), "-CAfile", "root.pem"}
	below := append(verify[:len(verify):len(verify)], "-untrusted", "ca.pem")
	policy := func(role Role) []string {
		return append(below[:len(below):len(below)], "-policy_check", "-explicit_policy", "-policy", role.OID().String())
	}
	withCRL := append(below[:len(below):len(below)], "-crl_check", "-CRLfile", "crl.pem")
	for _, c := range []struct {
		name string
		args []string
		file string
		ok   bool
	}{
		{"request", []string{"req", "-inform", "DER", "-verify", "-noout", "-in"}, "request.der", true},
		{"key", []string{"pkey", "-check", "-noout", "-in"}, "key.pem", true},
		{"leaf", below, "leaf.pem", true},
		{"leaf with its role", policy(RoleParticipant), "leaf.pem", true},
		{"leaf as a DMS", policy(RoleDMS), "leaf.pem", false},
		{"a DMS made by the CA", policy(RoleDMS), "forged-dms.pem", false},
		{"leaf without its CA", verify, "leaf.pem", false},
		{"leaf as a client", append(below[:len(below):len(below)], "-purpose", "sslclient"), "leaf.pem", true},
		{"leaf as a time authority", append(below[:len(below):len(below)], "-purpose", "timestampsign"), "leaf.pem", false},
		{"time authority", append(verify[:len(verify):len(verify)], "-purpose", "timestampsign"), "tsa.pem", true},
		{"a time authority made by the CA", policy(RoleTSA), "forged-tsa.pem", false},
		{"not revoked", withCRL, "leaf.pem", true},
		{"revoked", withCRL, "revoked.pem", false},
	} {
		out, err := judge(t, dir, append(c.args[:len(c.args):len(c.args)], c.file)...)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
}

// What openssl makes, the CA takes.
func TestRequestOfOpenSSL(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ec.pem"},
		{"req", "-new", "-key", "ec.pem", "-subj", "/CN=Somebody", "-outform", "DER", "-out", "request.der"},
	} {
		if out, err := judge(t, dir, args...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	der := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "request.der")))
	if _, err := ParseRequest(der); err != nil {
		t.Fatal(err)
	}
}
