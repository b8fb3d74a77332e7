package tsp

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/timestamp-authority/v2/pkg/verification"
)

// openssl runs the tool, which these tests need. It returns all that it prints.
func openssl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
	return string(out), err
}

func mustOpenSSL(t *testing.T, args ...string) string {
	t.Helper()
	out, err := openssl(t, args...)
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func writeFile(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pemOf(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// openssl asks, this package answers, openssl verifies.
func TestOpenSSLVerifiesOurTokens(t *testing.T) {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	dir := t.TempDir()
	data := writeFile(t, dir, "data", []byte("a signed command"))
	root := writeFile(t, dir, "root.pem", pemOf(a.house.root))
	leaf := writeFile(t, dir, "leaf.pem", pemOf(a.leaf))
	for name, query := range map[string][]string{
		"SHA-256":           {"-sha256"},
		"with certificates": {"-sha256", "-cert"},
		"SHA-384":           {"-sha384", "-cert"},
		"SHA-512, policy":   {"-sha512", "-cert", "-tspolicy", RealTime.String()},
		"without a nonce":   {"-sha256", "-no_nonce"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tsq, tsr := filepath.Join(dir, "query.tsq"), filepath.Join(dir, "reply.tsr")
			mustOpenSSL(t, append([]string{"ts", "-query", "-data", data, "-out", tsq}, query...)...)
			request, err := os.ReadFile(tsq)
			if err != nil {
				t.Fatal(err)
			}
			response := a.issuer(t, at(start)).Respond(request)
			writeFile(t, dir, "reply.tsr", response)
			// start may be past or ahead of the machine's clock: -attime is it.
			verify := []string{"ts", "-verify", "-in", tsr, "-CAfile", root, "-untrusted", leaf, "-attime", "1772366400"}
			mustOpenSSL(t, append(verify, "-queryfile", tsq)...)
			mustOpenSSL(t, append(verify, "-data", data)...)
			if out, err := openssl(t, append(verify, "-data", root)...); err == nil {
				t.Fatalf("verifies over other data: %s", out)
			}
			text := mustOpenSSL(t, "ts", "-reply", "-in", tsr, "-text")
			for _, want := range []string{
				"Status: Granted.", "Policy OID: 1.3.6.1.4.1.32473.17.2.1", "Time stamp: Mar  1 12:00:00.123456 2026 GMT",
				"Accuracy: unspecified seconds, 0xFA millis, unspecified micros", "Ordering: yes",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			corrupt := bytes.Clone(response)
			corrupt[len(corrupt)-20] ^= 1
			writeFile(t, dir, "reply.tsr", corrupt)
			if out, err := openssl(t, append(verify, "-queryfile", tsq)...); err == nil {
				t.Fatalf("a corrupt token verifies: %s", out)
			}
		})
	}
}

func TestOpenSSLReadsOurRequestsAndRefusals(t *testing.T) {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	dir := t.TempDir()
	request := mustRequest(t, digestOf("bid"), SimulatedTime)
	tsq := writeFile(t, dir, "query.tsq", mustMarshal(t, request))
	text := mustOpenSSL(t, "ts", "-query", "-in", tsq, "-text")
	for _, want := range []string{"Version: 1", "Hash Algorithm: sha256", "Certificate required: no", "Policy OID: 1.3.6.1.4.1.32473.17.2.2"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, c := range []struct {
		request []byte
		want    string
	}{
		{mustMarshal(t, request), "the requested TSA policy is not supported by the TSA"},
		{[]byte("junk"), "the data submitted has the wrong format"},
		{sequence(t, "020102", hexImprint), "transaction not permitted or supported"},
		{sequence(t, hexVersion, hexImprint, "a000"), "the requested extension is not supported by the TSA"},
		{sequence(t, hexVersion, "3021300906052b0e03021a0500"+"0414"+hexDigest[4:44]), "unrecognized or unsupported algorithm identifier"},
	} {
		tsr := writeFile(t, dir, "reply.tsr", a.issuer(t, at(start)).Respond(c.request))
		text := mustOpenSSL(t, "ts", "-reply", "-in", tsr, "-text")
		if !strings.Contains(text, "Status: Rejected.") || !strings.Contains(text, c.want) {
			t.Errorf("no %q in\n%s", c.want, text)
		}
	}
}

// An authority that is not ours makes tokens outside the profile; they are
// refused, and do not panic.
func TestForeignTokenIsRefused(t *testing.T) {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	dir := t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(a.key.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key := writeFile(t, dir, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	leaf := writeFile(t, dir, "leaf.pem", pemOf(a.leaf))
	serial := writeFile(t, dir, "serial", []byte("01\n"))
	config := writeFile(t, dir, "tsa.cnf", []byte("[tsa]\ndigests = sha256\nsigner_digest = sha256\naccuracy = millisecs:250\nordering = yes\n"+
		"default_policy = "+RealTime.String()+"\nserial = "+serial+"\ncrypto_device = builtin\ness_cert_id_alg = sha256\n"))
	request := mustRequest(t, digestOf("bid"), nil)
	tsq := writeFile(t, dir, "query.tsq", mustMarshal(t, request))
	tsr := filepath.Join(dir, "reply.tsr")
	mustOpenSSL(t, "ts", "-reply", "-queryfile", tsq, "-config", config, "-section", "tsa", "-signer", leaf, "-inkey", key, "-out", tsr)
	response, err := os.ReadFile(tsr)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.verifier(t).VerifyResponse(response, request); err == nil {
		t.Fatal("accepted")
	}
}

// Another implementation that lists its checks agrees.
func TestSigstoreVerifiesOurTokens(t *testing.T) {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	data := []byte("a signed command")
	for _, certReq := range []bool{false, true} {
		request := mustRequest(t, digestOf(string(data)), RealTime)
		request.CertReq = certReq
		response := a.issuer(t, at(start)).Respond(mustMarshal(t, request))
		opts := verification.VerifyOpts{
			OID: RealTime, TSACertificate: a.leaf, Roots: []*x509.Certificate{a.house.root},
			Nonce: new(big.Int).SetBytes(request.Nonce), CommonName: "Sigilo tsa",
		}
		stamp, err := verification.VerifyTimestampResponse(response, bytes.NewReader(data), opts)
		if err != nil {
			t.Fatalf("certReq %v: %v", certReq, err)
		}
		if !stamp.Time.Equal(start) || stamp.HashAlgorithm != crypto.SHA256 || !stamp.Ordering {
			t.Fatalf("certReq %v: got %+v", certReq, stamp)
		}
		opts.Nonce = big.NewInt(1)
		if _, err := verification.VerifyTimestampResponse(response, bytes.NewReader(data), opts); err == nil {
			t.Fatal("another nonce is accepted")
		}
	}
}
