// Command stepca serves certificates over HTTP with step-ca's library, for
// sigilo bench ca to compare with: stepca ADDRESS FOLDER. Its keys are on P-256 and
// in memory, and each certificate is recorded in step-ca's own database, of the kind
// that "step ca init" makes, which is on the disk before the answer goes out.
//
// POST /sign takes the JSON of step-ca's own /sign, less its one-time token, and
// answers as that does. Nobody has to prove who they are, and no certificate
// template is run.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"time"

	"github.com/smallstep/certificates/authority"
	"github.com/smallstep/certificates/authority/provisioner"
	"github.com/smallstep/certificates/db"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "stepca:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: stepca ADDRESS FOLDER")
	}
	ca, err := newAuthority(args[1])
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /sign", func(w http.ResponseWriter, r *http.Request) {
		answer, err := sign(ca, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer) // whoever asked may have gone
	})
	server := &http.Server{Addr: args[0], Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

// newAuthority makes a root and an intermediate, and an authority of them with
// a database in the folder.
func newAuthority(folder string) (*authority.Authority, error) {
	root, rootKey, err := certificate("Root", nil, nil)
	if err != nil {
		return nil, err
	}
	intermediate, key, err := certificate("Intermediate", root, rootKey)
	if err != nil {
		return nil, err
	}
	store, err := db.New(&db.Config{Type: "badgerv2", DataSource: folder})
	if err != nil {
		return nil, err
	}
	return authority.NewEmbedded(authority.WithX509RootCerts(root),
		authority.WithX509Signer(intermediate, key), authority.WithDatabase(store))
}

// sign does what step-ca's handler of /sign does.
func sign(ca *authority.Authority, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<10))
	if err != nil {
		return nil, err
	}
	var request struct {
		CSR string `json:"csr"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(request.CSR))
	if block == nil {
		return nil, errors.New("csr is not PEM")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	// The library checks the request's signature.
	chain, err := ca.SignWithContext(r.Context(), csr, provisioner.SignOptions{}, lifetime{})
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(chain))
	for i, cert := range chain {
		texts[i] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	}
	return json.Marshal(map[string]any{"crt": texts[0], "ca": texts[1], "certChain": texts})
}

// lifetime sets the dates, which a provisioner would do.
type lifetime struct{}

// Modify implements provisioner.CertificateModifier.
func (lifetime) Modify(cert *x509.Certificate, _ provisioner.SignOptions) error {
	cert.NotBefore = time.Now().Add(-time.Minute)
	cert.NotAfter = cert.NotBefore.Add(8 * time.Hour)
	return nil
}

// certificate makes a CA's certificate, self-signed without a parent.
func certificate(name string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}
