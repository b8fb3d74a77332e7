package tsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/sigilo/sigilo/pkg/auction"
)

// maxCertificates bounds the certificates of one authority: the present one,
// and its neighbours while a key is replaced.
const maxCertificates = 4

// AuthorityConfig says whom to believe. All fields are required.
type AuthorityConfig struct {
	House        string                // the house's id
	Name         string                // the authority's name in the house
	Certificates [][]byte              // DER, 1 to 4, each issued by a pinned root
	Roots        [][]byte              // DER, the pinned roots of the house
	Policy       asn1.ObjectIdentifier // that its tokens must be made under
}

// Authority verifies the tokens of one named time authority. It is immutable
// and safe for concurrent use.
type Authority struct {
	name     string
	policyID asn1.ObjectIdentifier
	policy   []byte // DER element
	signers  []*signer
}

// NewAuthority checks the certificates, once for all tokens: a pinned root
// issued each, for time stamping and nothing else, in the role of the house's
// authority of that name. It refuses with [auction.CodeBadCertificate].
func NewAuthority(cfg AuthorityConfig) (*Authority, error) {
	if n := len(cfg.Certificates); n == 0 || n > maxCertificates {
		return nil, badCertificate("a time authority has 1 to %d certificates", maxCertificates)
	}
	leaves, err := parseCertificates(cfg.Certificates)
	if err != nil {
		return nil, err
	}
	roots, err := parseCertificates(cfg.Roots)
	if err != nil {
		return nil, err
	}
	policy := cryptobyte.NewBuilder(nil)
	policy.AddASN1ObjectIdentifier(cfg.Policy)
	a := &Authority{name: cfg.Name, policyID: cfg.Policy}
	if a.policy, err = policy.Bytes(); err != nil {
		return nil, fmt.Errorf("policy of a time authority: %w", err)
	}
	uri := "sigilo:tsa:" + cfg.House + ":" + cfg.Name
	for _, leaf := range leaves {
		s, err := newSigner(leaf, cfg.Policy)
		if err != nil {
			return nil, err
		}
		if err := s.trust(leaf, roots, uri); err != nil {
			return nil, err
		}
		a.signers = append(a.signers, s)
	}
	return a, nil
}

// Name is the authority's name in the house.
func (a *Authority) Name() string { return a.name }

// A Stamp is what a verified token says.
type Stamp struct {
	Authority string        // the name of who made it
	Time      auction.Time  // genTime
	Accuracy  time.Duration // that Time may be off, to either side
	Serial    []byte        // unique for the authority: big-endian, aliases the token
}

// Verify checks a token over a SHA-256 digest. Its error is a refusal with
// [auction.CodeBadStamp]. A nonce is for who asked, and is not looked at.
func (a *Authority) Verify(token []byte, imprint [32]byte) (Stamp, error) {
	t, err := parseToken(token)
	if err != nil {
		return Stamp{}, err
	}
	return a.check(&t, imprint)
}

// VerifyResponse checks a TimeStampResp against the request that it answers,
// which must be over SHA-256 and not ask for certificates, and returns its
// token too. A refusal to stamp is a *[Failure].
func (a *Authority) VerifyResponse(response []byte, request Request) ([]byte, Stamp, error) {
	if request.Hash != crypto.SHA256 || len(request.Imprint) != sha256.Size || request.CertReq {
		return nil, Stamp{}, errors.New("verify time-stamp response: the request is outside the profile")
	}
	token, err := ParseResponse(response)
	if err != nil {
		return nil, Stamp{}, err
	}
	t, err := parseToken(token)
	if err != nil {
		return nil, Stamp{}, err
	}
	if !bytes.Equal(t.tst.nonce, request.Nonce) {
		return nil, Stamp{}, badStamp("a time stamp does not answer this request")
	}
	stamp, err := a.check(&t, [32]byte(request.Imprint))
	return token, stamp, err
}

func (a *Authority) check(t *parsedToken, imprint [32]byte) (Stamp, error) {
	s := a.signer(t)
	if s == nil {
		return Stamp{}, badStamp("a time stamp is from another authority")
	}
	return a.verify(t, s, imprint)
}

// signer returns the certificate that t says it is signed with, nil if it is
// none of this authority.
func (a *Authority) signer(t *parsedToken) *signer {
	for _, s := range a.signers {
		if bytes.Equal(s.sid, t.sid) {
			return s
		}
	}
	return nil
}

func (a *Authority) verify(t *parsedToken, s *signer, imprint [32]byte) (Stamp, error) {
	digest := sha256.Sum256(t.info)
	switch {
	case !bytes.Equal(t.ess, s.ess):
		return Stamp{}, badStamp("a time stamp is bound to another certificate")
	case !bytes.Equal(t.tst.policy, a.policy):
		return Stamp{}, badStamp("a time stamp is made under another policy")
	case !matches(t.tst.messageImprint, imprint):
		return Stamp{}, badStamp("a time stamp is over something else")
	case t.tst.time < s.from || t.tst.time > s.until:
		return Stamp{}, badStamp("a time stamp's certificate was not valid at its time")
	case !bytes.Equal(t.digest, digest[:]):
		return Stamp{}, badStamp("a time stamp's content was changed")
	}
	if !s.verify(t) {
		return Stamp{}, badStamp("a time stamp's signature does not verify")
	}
	return stampOf(a.name, t), nil
}

func stampOf(authority string, t *parsedToken) Stamp {
	return Stamp{Authority: authority, Time: t.tst.time, Accuracy: t.tst.accuracy, Serial: t.tst.serial}
}

// Earliest is the earliest moment at which an authority whose clock is as good
// as it says can have made the stamp, and Latest the latest.
func (s Stamp) Earliest() auction.Time { return s.Time.Add(-s.Accuracy) }

// Latest is described at [Stamp.Earliest].
func (s Stamp) Latest() auction.Time { return s.Time.Add(s.Accuracy) }

// matches compares a MessageImprint element with a SHA-256 digest.
func matches(element []byte, imprint [32]byte) bool {
	rest, ok := bytes.CutPrefix(element, derImprintStart)
	return ok && bytes.Equal(rest, imprint[:])
}

// verify checks the signature over the attributes, which are signed with the
// tag of a SET and carried with another.
func (s *signer) verify(t *parsedToken) bool {
	var buf [256]byte
	signed := append(buf[:0], t.attrs...)
	signed[0] = tagSet
	digest := sha256.Sum256(signed)
	return ecdsa.VerifyASN1(s.key, digest[:], t.signature)
}
