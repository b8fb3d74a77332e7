// Command stepca serves certificates over HTTP with step-ca's library, for
// sigilo bench ca to compare with: stepca ADDRESS FOLDER. Its keys are on P-256 and
// in memory, and each certificate is recorded in step-ca's own database, of the kind
// that "step ca init" makes, which is on the disk before the answer goes out.
//
// POST /1.0/sign is step-ca's own handler. POST /token?sub=NAME answers with the
// one-time token that it wants, by a provisioner of the kind that "step ca init" makes.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"time"

	"github.com/smallstep/certificates/api"
	"github.com/smallstep/certificates/authority"
	"github.com/smallstep/certificates/authority/config"
	"github.com/smallstep/certificates/authority/provisioner"
	"github.com/smallstep/certificates/db"
	"go.step.sm/crypto/jose"
)

const (
	provisionerName = "bench"
	audience        = "https://localhost/1.0/sign"
	lifetime        = 8 * time.Hour // of certificates, and of tokens
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
	key, err := jose.GenerateJWK("EC", "P-256", "ES256", "sig", "", 0)
	if err != nil {
		return err
	}
	ca, err := newAuthority(args[1], key.Public())
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", api.Health)
	mux.HandleFunc("POST /1.0/sign", func(w http.ResponseWriter, r *http.Request) {
		api.Sign(w, r.WithContext(authority.NewContext(r.Context(), ca)))
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		token, err := newToken(key, r.FormValue("sub"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, token) // whoever asked may have gone
	})
	server := &http.Server{Addr: args[0], Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

// newAuthority makes a root and an intermediate, and an authority of them with
// a database in the folder and one provisioner, whose key is given.
func newAuthority(folder string, key jose.JSONWebKey) (*authority.Authority, error) {
	root, rootKey, err := certificate("Root", nil, nil)
	if err != nil {
		return nil, err
	}
	intermediate, signer, err := certificate("Intermediate", root, rootKey)
	if err != nil {
		return nil, err
	}
	store, err := db.New(&db.Config{Type: "badgerv2", DataSource: folder})
	if err != nil {
		return nil, err
	}
	life := &provisioner.Duration{Duration: lifetime}
	return authority.NewEmbedded(
		authority.WithConfig(&config.Config{
			DNSNames: []string{"localhost"},
			AuthorityConfig: &config.AuthConfig{Provisioners: provisioner.List{&provisioner.JWK{
				Type: "JWK", Name: provisionerName, Key: &key,
				Claims: &provisioner.Claims{DefaultTLSDur: life, MaxTLSDur: life},
			}}},
		}),
		authority.WithX509RootCerts(root), authority.WithX509Signer(intermediate, signer), authority.WithDatabase(store))
}

// newToken lets somebody have a certificate for a name, once.
func newToken(key *jose.JSONWebKey, name string) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key.Key},
		new(jose.SignerOptions).WithType("JWT").WithHeader("kid", key.KeyID))
	if err != nil {
		return "", err
	}
	now := time.Now()
	return jose.Signed(signer).Claims(jose.Claims{
		Issuer: provisionerName, Subject: name, Audience: jose.Audience{audience}, ID: rand.Text(),
		NotBefore: jose.NewNumericDate(now), IssuedAt: jose.NewNumericDate(now), Expiry: jose.NewNumericDate(now.Add(lifetime)),
	}).Claims(map[string]any{"sans": []string{name}}).CompactSerialize()
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
