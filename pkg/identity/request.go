package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"github.com/sigilo/sigilo/pkg/auction"
)

// maxRequest bounds a certificate request in DER. One of ours has about 200 bytes.
const maxRequest = 1 << 10

// NewRequest returns a PKCS#10 certificate request (RFC 2986) in DER with an
// empty subject. Its self-signature proves that the sender holds the key.
func NewRequest(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		SignatureAlgorithm: x509.ECDSAWithSHA256,
	}, key)
	if err != nil {
		return nil, fmt.Errorf("make certificate request: %w", err)
	}
	return der, nil
}

// loginLabel and the request follow each other in what the nonce is the hash of.
const loginLabel = "sigilo/oidc/v1\x00"

// LoginNonce is the nonce that an ID token must have to enrol the key of a
// certificate request: it binds the login to this very request. Nobody but the
// client knows the request before the CA has it, as its signature is random, so
// the nonce tells the identity provider nothing of the key.
func LoginNonce(request []byte) string {
	return auction.Hash(sha256.Sum256(append([]byte(loginLabel), request...))).String()
}

// ParseRequest verifies a certificate request and returns its public key, which
// is all that is ever taken from one: subject and extensions that it asks for
// are not looked at. It refuses with bad_enrolment.
func ParseRequest(der []byte) (*ecdsa.PublicKey, error) {
	if len(der) > maxRequest {
		return nil, auction.Refuse(auction.CodeBadEnrolment, "a certificate request has at most %d bytes", maxRequest)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, auction.Refuse(auction.CodeBadEnrolment, "the certificate request is not PKCS#10 in DER")
	}
	pub, ok := request.PublicKey.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() || request.SignatureAlgorithm != x509.ECDSAWithSHA256 {
		return nil, auction.Refuse(auction.CodeBadEnrolment, "the certificate request is not for a P-256 key, signed with ECDSA and SHA-256")
	}
	if err := request.CheckSignature(); err != nil {
		return nil, auction.Refuse(auction.CodeBadEnrolment, "the certificate request is not signed by its own key")
	}
	return pub, nil
}
