package tsp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sigilo/sigilo/pkg/auction"
)

// maxCertificate bounds a certificate, in bytes; those of a house have about 600.
const maxCertificate = 2048

// signer is one certificate of an authority, checked, with the parts of a token
// that follow from it.
type signer struct {
	key         *ecdsa.PublicKey
	sid         []byte // IssuerAndSerialNumber, a DER element
	ess         []byte // the signingCertificateV2 attribute, a DER element
	from, until auction.Time
}

func badCertificate(format string, args ...any) error {
	return auction.Refuse(auction.CodeBadCertificate, format, args...)
}

func parseCertificates(ders [][]byte) ([]*x509.Certificate, error) {
	certs := make([]*x509.Certificate, len(ders))
	for i, der := range ders {
		if len(der) > maxCertificate {
			return nil, badCertificate("a certificate has at most %d bytes", maxCertificate)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, badCertificate("a certificate of a time authority is malformed")
		}
		certs[i] = cert
	}
	return certs, nil
}

// newSigner holds a leaf to RFC 3161 section 2.3 and to one token policy.
func newSigner(leaf *x509.Certificate, policy asn1.ObjectIdentifier) (*signer, error) {
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !ok || key.Curve != elliptic.P256():
		return nil, badCertificate("a time authority's key is on P-256")
	case leaf.IsCA:
		return nil, badCertificate("a CA certificate signs no time stamps")
	case !timeStampingOnly(leaf):
		return nil, badCertificate("the extended key usage must be timeStamping, alone and critical")
	case leaf.KeyUsage == 0 || leaf.KeyUsage&^(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) != 0:
		return nil, badCertificate("the key usage must be to sign, and nothing else")
	case !states(leaf, roleTSA):
		return nil, badCertificate("the certificate is not in the role of a time authority")
	case !states(leaf, policy):
		return nil, badCertificate("the certificate is for another kind of time")
	case states(leaf, RealTime) && states(leaf, SimulatedTime):
		return nil, badCertificate("one certificate serves real or simulated time, not both")
	}
	return &signer{
		key: key,
		sid: element(func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(leaf.RawIssuer)
				b.AddASN1BigInt(leaf.SerialNumber)
			})
		}),
		ess:   marshalESS(sha256.Sum256(leaf.Raw)),
		from:  auction.TimeOf(leaf.NotBefore),
		until: auction.TimeOf(leaf.NotAfter),
	}, nil
}

func timeStampingOnly(leaf *x509.Certificate) bool {
	if len(leaf.UnknownExtKeyUsage) != 0 || len(leaf.ExtKeyUsage) != 1 ||
		leaf.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping {
		return false
	}
	return slices.ContainsFunc(leaf.Extensions, func(ext pkix.Extension) bool {
		return ext.Id.Equal(oidExtKeyUsage) && ext.Critical
	})
}

func states(leaf *x509.Certificate, policy asn1.ObjectIdentifier) bool {
	return slices.ContainsFunc(leaf.Policies, func(oid x509.OID) bool { return oid.EqualASN1OID(policy) })
}

// trust checks that a pinned root issued the leaf under the name in uri, and
// narrows s to the time in which both certificates are valid.
func (s *signer) trust(leaf *x509.Certificate, roots []*x509.Certificate, uri string) error {
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != uri ||
		len(leaf.DNSNames)+len(leaf.EmailAddresses)+len(leaf.IPAddresses) != 0 {
		return badCertificate("the certificate names another authority")
	}
	for _, root := range roots {
		from := max(s.from, auction.TimeOf(root.NotBefore))
		until := min(s.until, auction.TimeOf(root.NotAfter))
		pool := x509.NewCertPool()
		pool.AddCert(root)
		// Both are valid at from, and so until: each token is held to that span.
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots:       pool,
			CurrentTime: from.Std(),
			KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
		})
		if err == nil {
			s.from, s.until = from, until
			return nil
		}
	}
	return badCertificate("no pinned root issued the certificate for time stamping")
}
