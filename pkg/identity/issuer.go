package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"
)

// An Issuer signs certificates: the offline root signs the intermediate and the
// leaves of the services, the CA's intermediate those of participants and auditors.
type Issuer struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	chain [][]byte // what a leaf carries above itself: empty under the root
}

// A Profile says what a leaf certificate is to state.
type Profile struct {
	Role      Role
	House     string
	Authority string    // for RoleTSA only: the name of the time authority
	Simulated bool      // for RoleTSA only: it stamps simulated time, and no other
	NotBefore time.Time // to the second, as X.509 has it
	NotAfter  time.Time
}

// Parts of RFC 5280 that crypto/x509 does not write itself.
var (
	oidExtKeyUsage       = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidPolicyConstraints = asn1.ObjectIdentifier{2, 5, 29, 36}

	// SEQUENCE { OID id-kp-timeStamping }: RFC 3161 2.3 wants it critical and alone.
	timeStampingOnly = []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08}
	// SEQUENCE { [0] requireExplicitPolicy 0 }: every certificate below must
	// state a policy that this one allows, for every verifier of RFC 5280.
	requireExplicitPolicy = []byte{0x30, 0x03, 0x80, 0x01, 0x00}
)

// NewRoot makes the self-signed certificate of a house's root.
func NewRoot(key *ecdsa.PrivateKey, house string, notBefore, notAfter time.Time) ([]byte, error) {
	if err := CheckName(house); err != nil {
		return nil, err
	}
	template, err := caTemplate("Sigilo root", house, notBefore, notAfter)
	if err != nil {
		return nil, err
	}
	template.MaxPathLen = 1
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make root certificate: %w", err)
	}
	return der, nil
}

// NewIssuer makes an issuer of a CA certificate and its key. The chain is the
// issuer's own certificate followed by those between it and the root, without the
// root; for the root itself it is the root alone, which no leaf's chain carries.
func NewIssuer(chain [][]byte, key *ecdsa.PrivateKey) (*Issuer, error) {
	if len(chain) == 0 || len(chain) >= maxChain {
		return nil, errors.New("make issuer: a chain of one or two certificates is needed")
	}
	cert, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, fmt.Errorf("make issuer: %w", err)
	}
	if !cert.IsCA || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("make issuer: the certificate is not a CA's, or not of this key")
	}
	if cert.CheckSignatureFrom(cert) == nil {
		chain = nil
	}
	return &Issuer{cert: cert, key: key, chain: chain}, nil
}

// NotAfter returns when the issuer's own certificate ends.
func (i *Issuer) NotAfter() time.Time { return i.cert.NotAfter }

// ValidAt reports whether the issuer's own certificate is valid at a time.
func (i *Issuer) ValidAt(t time.Time) bool {
	return !t.Before(i.cert.NotBefore) && !t.After(i.cert.NotAfter)
}

// NewIntermediate signs the certificate of a house's CA. It may sign leaves of
// participants and auditors, and nothing else: the policies leave out the other
// roles, the key usage leaves out time stamping, and no CA may stand below it.
func (i *Issuer) NewIntermediate(pub *ecdsa.PublicKey, house string, notBefore, notAfter time.Time) ([]byte, error) {
	if err := CheckName(house); err != nil {
		return nil, err
	}
	template, err := caTemplate("Sigilo CA", house, notBefore, notAfter)
	if err != nil {
		return nil, err
	}
	template.MaxPathLenZero = true
	template.Policies = []x509.OID{RoleParticipant.OID(), RoleAuditor.OID()}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	template.ExtraExtensions = []pkix.Extension{{Id: oidPolicyConstraints, Critical: true, Value: requireExplicitPolicy}}
	return i.sign(template, pub)
}

// Issue signs a leaf and returns its chain: the leaf, then what stands between
// it and the root. Participants' certificates differ in key, serial number and
// dates alone, so a certificate names nobody.
func (i *Issuer) Issue(pub *ecdsa.PublicKey, p Profile) ([][]byte, error) {
	chain, _, err := i.IssueNumbered(pub, p)
	return chain, err
}

// IssueNumbered is Issue, and also tells the serial number, as [Certificate] has it.
func (i *Issuer) IssueNumbered(pub *ecdsa.PublicKey, p Profile) (chain [][]byte, serial string, err error) {
	template, err := leafTemplate(p)
	if err != nil {
		return nil, "", err
	}
	der, err := i.sign(template, pub)
	if err != nil {
		return nil, "", err
	}
	return append([][]byte{der}, i.chain...), serialText(template.SerialNumber), nil
}

func (i *Issuer) sign(template *x509.Certificate, pub *ecdsa.PublicKey) ([]byte, error) {
	if pub == nil || pub.Curve != elliptic.P256() {
		return nil, errors.New("issue certificate: not a P-256 key")
	}
	if template.NotAfter.After(i.cert.NotAfter) {
		return nil, errors.New("issue certificate: it would outlive its issuer")
	}
	// It checks its own signature, so that a fault of the machine gives nothing away.
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, pub, i.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return der, nil
}

func caTemplate(name, house string, notBefore, notAfter time.Time) (*x509.Certificate, error) {
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name, Organization: []string{house}},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		SignatureAlgorithm:    x509.ECDSAWithSHA256,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}, nil
}

func leafTemplate(p Profile) (*x509.Certificate, error) {
	if !p.Role.valid() {
		return nil, errors.New("issue certificate: unknown role")
	}
	if err := CheckName(p.House); err != nil {
		return nil, err
	}
	if p.Role == RoleTSA {
		if err := CheckName(p.Authority); err != nil {
			return nil, err
		}
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	uri, err := url.Parse(RoleURI(p.Role, p.House, p.Authority))
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Sigilo " + string(p.Role)},
		NotBefore:             p.NotBefore,
		NotAfter:              p.NotAfter,
		SignatureAlgorithm:    x509.ECDSAWithSHA256,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		Policies:              []x509.OID{p.Role.OID()},
		URIs:                  []*url.URL{uri},
	}
	if p.Role == RoleTSA {
		template.ExtraExtensions = []pkix.Extension{{Id: oidExtKeyUsage, Critical: true, Value: timeStampingOnly}}
		kind := oidRealTime
		if p.Simulated {
			kind = oidSimulatedTime
		}
		template.Policies = append(template.Policies, kind)
	} else {
		// A certificate without this extension is good for every purpose, time
		// stamping and serving TLS included. This is the purpose that fits best.
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	return template, nil
}

// newSerial returns a positive number with 127 random bits: 16 bytes in DER,
// never 0, and never guessable, so that nobody prepares a collision.
func newSerial() (*big.Int, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:]), nil
}
