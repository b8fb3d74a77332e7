package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Limits of a revocation list. An entry has about 40 bytes.
const (
	maxRevocationList = 4 << 20
	maxCRLNumber      = 1<<53 - 1
)

// A RevocationList is a CRL (RFC 5280 5) that a [Verifier] accepted.
type RevocationList struct {
	Number     int64 // grows by every list that the CA makes
	ThisUpdate time.Time
	NextUpdate time.Time // past it the list says nothing any more
	issuer     auction.Hash
	revoked    map[string]struct{} // by Certificate.Serial
}

// A Revoked is an entry of a revocation list.
type Revoked struct {
	Serial string // as in Certificate.Serial
	At     time.Time
	Reason RevocationReason
}

// A RevocationReason is a CRLReason of RFC 5280 5.3.1.
type RevocationReason int

const (
	ReasonUnspecified   RevocationReason = 0
	ReasonKeyCompromise RevocationReason = 1
	ReasonSuperseded    RevocationReason = 4
	ReasonCessation     RevocationReason = 5
	ReasonWithdrawn     RevocationReason = 9 // privilegeWithdrawn
)

// NewRevocationList signs a CRL in DER over the certificates of this issuer.
func (i *Issuer) NewRevocationList(number int64, thisUpdate, nextUpdate time.Time, entries []Revoked) ([]byte, error) {
	list := &x509.RevocationList{
		SignatureAlgorithm: x509.ECDSAWithSHA256,
		Number:             big.NewInt(number),
		ThisUpdate:         thisUpdate,
		NextUpdate:         nextUpdate,
	}
	for _, entry := range entries {
		serial, ok := new(big.Int).SetString(entry.Serial, 16)
		if !ok || serial.Sign() <= 0 {
			return nil, fmt.Errorf("make revocation list: a serial number is not hexadecimal")
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: serial, RevocationTime: entry.At, ReasonCode: int(entry.Reason),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, i.cert, i.key)
	if err != nil {
		return nil, fmt.Errorf("make revocation list: %w", err)
	}
	return der, nil
}

// RevocationList verifies a CRL in DER against the certificate of the CA that
// made it, and that CA against the roots. It refuses with bad_certificate what
// does not verify and what is not made for a time before or at at; that a list has
// ended is Check's to say, so that it can be kept and shown.
func (v *Verifier) RevocationList(der, issuer []byte, at time.Time) (*RevocationList, error) {
	if len(der) > maxRevocationList {
		return nil, refuseCertificate("a revocation list has at most %d bytes", maxRevocationList)
	}
	ca, err := parseCertificate(issuer)
	if err != nil {
		return nil, err
	}
	if _, err := v.path([]*x509.Certificate{ca}, RoleParticipant, at); err != nil {
		return nil, err
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil || len(list.Raw) != len(der) { // it lets trailing bytes pass
		return nil, refuseCertificate("the revocation list is not a CRL in DER")
	}
	if list.SignatureAlgorithm != x509.ECDSAWithSHA256 || list.CheckSignatureFrom(ca) != nil {
		return nil, refuseCertificate("the revocation list is not its issuer's")
	}
	return newRevocationList(list, ca, at)
}

func newRevocationList(list *x509.RevocationList, ca *x509.Certificate, at time.Time) (*RevocationList, error) {
	// A critical extension that is not understood (RFC 5280 5.2) may say that
	// the list is partial: of some certificates, or of changes alone.
	for _, extension := range list.Extensions {
		if extension.Critical {
			return nil, refuseCertificate("the revocation list is not a complete one")
		}
	}
	if list.Number == nil || list.Number.Sign() < 0 || !list.Number.IsInt64() || list.Number.Int64() > maxCRLNumber {
		return nil, refuseCertificate("the revocation list has no number")
	}
	if list.ThisUpdate.After(at) || !list.NextUpdate.After(list.ThisUpdate) {
		return nil, refuseCertificate("the revocation list is not of this time")
	}
	out := &RevocationList{
		Number:     list.Number.Int64(),
		ThisUpdate: list.ThisUpdate,
		NextUpdate: list.NextUpdate,
		issuer:     sha256.Sum256(ca.RawSubjectPublicKeyInfo),
		revoked:    make(map[string]struct{}, len(list.RevokedCertificateEntries)),
	}
	for _, entry := range list.RevokedCertificateEntries {
		out.revoked[serialText(entry.SerialNumber)] = struct{}{}
	}
	return out, nil
}

// Check refuses a certificate that the list revokes (certificate_revoked), and
// every certificate once the list has ended or if it is another issuer's
// (unavailable: a newer list is needed before anybody can be let in).
func (l *RevocationList) Check(cert *Certificate, at time.Time) error {
	if cert.issuer != l.issuer {
		return auction.Refuse(auction.CodeUnavailable, "the house has no revocation list for the issuer of this certificate")
	}
	if _, revoked := l.revoked[cert.Serial]; revoked {
		return auction.Refuse(auction.CodeCertificateRevoked, "the house has revoked this certificate")
	}
	if at.After(l.NextUpdate) {
		return auction.Refuse(auction.CodeUnavailable, "the house's revocation list has ended; a new one is being fetched")
	}
	return nil
}
