package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Limits of a chain. One of our certificates has about 600 bytes.
const (
	maxChain       = 3
	maxCertificate = 2 << 10
)

// A Certificate is a leaf that a [Verifier] accepted. Only Verifier makes one.
type Certificate struct {
	Key         *ecdsa.PublicKey
	Participant auction.Participant // SHA-256 of Key's SPKI: peer_sub when the role is participant
	Thumbprint  auction.Hash        // SHA-256 of the DER: x5t#S256
	Role        Role
	Authority   string // of a time authority its name, else ""
	Simulated   bool   // of a time authority: it stamps simulated time
	Serial      string // lower-case hexadecimal, without leading zeros
	NotBefore   time.Time
	NotAfter    time.Time
	issuer      auction.Hash // SHA-256 of the issuer's SPKI: which CRL speaks of it
}

// A Verifier decides which certificates a house trusts.
type Verifier struct {
	house string
	roots *x509.CertPool
}

// NewVerifier makes a verifier of pinned roots in DER, at least one, each made
// for this house.
func NewVerifier(house string, roots ...[]byte) (*Verifier, error) {
	if err := CheckName(house); err != nil {
		return nil, err
	}
	if len(roots) == 0 {
		return nil, errors.New("make verifier: no root")
	}
	pool := x509.NewCertPool()
	for _, der := range roots {
		root, err := parseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("make verifier: %w", err)
		}
		if !root.IsCA || root.CheckSignatureFrom(root) != nil {
			return nil, errors.New("make verifier: not a root: a self-signed CA certificate is needed")
		}
		if owner := root.Subject.Organization; len(owner) != 1 || owner[0] != house {
			return nil, errors.New("make verifier: the root is another house's")
		}
		pool.AddCert(root)
	}
	return &Verifier{house: house, roots: pool}, nil
}

// House returns the house whose certificates the verifier accepts.
func (v *Verifier) House() string { return v.house }

// Verify checks a chain at a time: the leaf first, then each issuer of the one
// before it, without the root. It demands the role in all of it, by the policy
// in every certificate and the name in the leaf. It refuses with bad_certificate.
func (v *Verifier) Verify(chain [][]byte, role Role, at time.Time) (*Certificate, error) {
	return v.VerifyEnded(chain, role, at, 0)
}

// VerifyEnded is Verify for a leaf that may have ended up to grace before at; an
// ended chain is then judged as of its last second. It tells whose a certificate
// was; it lets nobody in.
func (v *Verifier) VerifyEnded(chain [][]byte, role Role, at time.Time, grace time.Duration) (*Certificate, error) {
	certs, err := parseChain(chain)
	if err != nil {
		return nil, err
	}
	if end := certs[0].NotAfter; at.After(end) && !at.After(end.Add(grace)) {
		at = end
	}
	issuer, err := v.path(certs, role, at)
	if err != nil {
		return nil, err
	}
	leaf := certs[0]
	authority, err := v.checkLeaf(leaf, role)
	if err != nil {
		return nil, err
	}
	key := leaf.PublicKey.(*ecdsa.PublicKey) // parseCertificate has seen to it
	return &Certificate{
		Key:         key,
		Participant: ParticipantOf(key),
		Thumbprint:  sha256.Sum256(leaf.Raw),
		Role:        role,
		Authority:   authority,
		Simulated:   hasPolicy(leaf, oidSimulatedTime),
		Serial:      serialText(leaf.SerialNumber),
		NotBefore:   leaf.NotBefore,
		NotAfter:    leaf.NotAfter,
		issuer:      sha256.Sum256(issuer.RawSubjectPublicKeyInfo),
	}, nil
}

// path verifies certs up to a pinned root and returns the issuer of certs[0].
//
// The role's policy is looked for in every certificate here, since
// VerifyOptions.CertificatePolicies alone only matters where a certificate of
// the chain requires an explicit policy: it would let a bare chain pass.
func (v *Verifier) path(certs []*x509.Certificate, role Role, at time.Time) (*x509.Certificate, error) {
	if !role.valid() {
		return nil, errors.New("verify certificate: unknown role")
	}
	for _, cert := range certs {
		if !hasPolicy(cert, role.OID()) {
			return nil, refuseCertificate("it is not for this role")
		}
	}
	usage := x509.ExtKeyUsageClientAuth
	if role == RoleTSA {
		usage = x509.ExtKeyUsageTimeStamping
	}
	intermediates := x509.NewCertPool()
	for _, cert := range certs[1:] {
		intermediates.AddCert(cert)
	}
	paths, err := certs[0].Verify(x509.VerifyOptions{
		Roots:               v.roots,
		Intermediates:       intermediates,
		CurrentTime:         at,
		KeyUsages:           []x509.ExtKeyUsage{usage},
		CertificatePolicies: []x509.OID{role.OID()},
	})
	if err != nil {
		return nil, refusePath(err)
	}
	for _, path := range paths {
		if isPath(path, certs) {
			return path[1], nil
		}
	}
	return nil, refuseCertificate("its chain is not in order, or has more than it needs")
}

func hasPolicy(cert *x509.Certificate, want x509.OID) bool {
	for _, policy := range cert.Policies {
		if policy.Equal(want) {
			return true
		}
	}
	return false
}

// isPath reports whether path is certs and a root, in this order.
func isPath(path, certs []*x509.Certificate) bool {
	if len(path) != len(certs)+1 {
		return false
	}
	for i, cert := range certs {
		if !path[i].Equal(cert) {
			return false
		}
	}
	return true
}

// refusePath says what a person can do something about; x509's own text quotes
// the certificate.
func refusePath(err error) error {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return refuseCertificate("it is not valid at this time: renew it")
	}
	return refuseCertificate("it does not lead to a root of this house")
}

// checkLeaf demands the exact form in which leaves are issued, and returns the
// name of a time authority.
func (v *Verifier) checkLeaf(leaf *x509.Certificate, role Role) (string, error) {
	if leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageDigitalSignature ||
		len(leaf.ExtKeyUsage) != 1 || len(leaf.UnknownExtKeyUsage) != 0 {
		return "", refuseCertificate("it is not in the form of this role")
	}
	if len(leaf.URIs) != 1 || len(leaf.DNSNames)+len(leaf.EmailAddresses)+len(leaf.IPAddresses) != 0 {
		return "", refuseCertificate("it does not have exactly one name")
	}
	name := leaf.URIs[0].String()
	if role == RoleTSA {
		authority, ok := strings.CutPrefix(name, RoleURI(RoleTSA, v.house, ""))
		if !ok || CheckName(authority) != nil {
			return "", refuseCertificate("it is another house's or another role's")
		}
		return authority, checkTimeAuthority(leaf)
	}
	if len(leaf.Policies) != 1 {
		return "", refuseCertificate("it is for more than one role")
	}
	if name != RoleURI(role, v.house, "") {
		return "", refuseCertificate("it is another house's or another role's")
	}
	return "", nil
}

// checkTimeAuthority demands the critical extended key usage of RFC 3161 2.3,
// and one kind of time.
func checkTimeAuthority(leaf *x509.Certificate) error {
	if len(leaf.Policies) != 2 || hasPolicy(leaf, oidRealTime) == hasPolicy(leaf, oidSimulatedTime) {
		return refuseCertificate("it is not for one kind of time")
	}
	for _, extension := range leaf.Extensions {
		if extension.Id.Equal(oidExtKeyUsage) && extension.Critical {
			return nil
		}
	}
	return refuseCertificate("its key usage is not critical")
}

func parseChain(chain [][]byte) ([]*x509.Certificate, error) {
	if len(chain) == 0 || len(chain) > maxChain {
		return nil, refuseCertificate("a chain has 1 to %d certificates", maxChain)
	}
	certs := make([]*x509.Certificate, len(chain))
	for i, der := range chain {
		cert, err := parseCertificate(der)
		if err != nil {
			return nil, err
		}
		certs[i] = cert
	}
	return certs, nil
}

func parseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) > maxCertificate {
		return nil, refuseCertificate("one has at most %d bytes", maxCertificate)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil || !bytes.Equal(cert.Raw, der) {
		return nil, refuseCertificate("it is not X.509 in DER")
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() || cert.SignatureAlgorithm != x509.ECDSAWithSHA256 || cert.Version != 3 {
		return nil, refuseCertificate("it is not of a P-256 key, signed with ECDSA and SHA-256")
	}
	return cert, nil
}

func serialText(n *big.Int) string {
	return n.Text(16)
}

func refuseCertificate(why string, args ...any) error {
	return auction.Refuse(auction.CodeBadCertificate, "the certificate is refused: "+why, args...)
}
