package tsp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/sigilo/sigilo/pkg/auction"
)

// maxAccuracy bounds the accuracy that a token states. A worse clock is of no
// use to an auction.
const maxAccuracy = time.Minute

// IssuerConfig is what an authority is made of. All fields but the last two are
// required.
type IssuerConfig struct {
	Key      crypto.Signer         // P-256, of the first certificate
	Chain    [][]byte              // DER, the authority's own certificate first
	Policy   asn1.ObjectIdentifier // RealTime or SimulatedTime, as the certificate states
	Accuracy time.Duration         // 1 µs to 1 min, in whole microseconds
	Now      func() time.Time      // the authority's clock
	Rand     io.Reader             // for serial numbers and signatures; safe for concurrent use

	// Trusted, if set, reports why Now is not to be trusted at the moment: nothing
	// is stamped then (timeNotAvailable). It is called for each token, concurrently.
	Trusted func() error

	// Observe, if set, is told the outcome of each request: nil for a token,
	// else a *Failure. It is called concurrently.
	Observe func(error)
}

// Issuer is a time authority. It is safe for concurrent use.
//
// Its tokens claim ordering: each genTime is later than that of every token
// before it, by at least a microsecond. The claim reaches as far as one Issuer,
// so an authority is one process; for more of them, there are more authorities.
type Issuer struct {
	cfg    IssuerConfig
	signer *signer
	policy []byte // DER element

	mu   sync.Mutex
	last auction.Time // the latest genTime given; under mu
}

// NewIssuer checks that key, certificate, policy and accuracy fit each other.
func NewIssuer(cfg IssuerConfig) (*Issuer, error) {
	if len(cfg.Chain) == 0 {
		return nil, errors.New("time authority: no certificate")
	}
	certs, err := parseCertificates(cfg.Chain)
	if err != nil {
		return nil, fmt.Errorf("time authority: %w", err)
	}
	if !cfg.Policy.Equal(RealTime) && !cfg.Policy.Equal(SimulatedTime) {
		return nil, errors.New("time authority: the policy is neither real nor simulated time")
	}
	s, err := newSigner(certs[0], cfg.Policy)
	if err != nil {
		return nil, fmt.Errorf("time authority: %w", err)
	}
	if key, ok := cfg.Key.Public().(*ecdsa.PublicKey); !ok || !key.Equal(s.key) {
		return nil, errors.New("time authority: the key is not the certificate's")
	}
	if cfg.Accuracy < time.Microsecond || cfg.Accuracy > maxAccuracy || cfg.Accuracy%time.Microsecond != 0 {
		return nil, errors.New("time authority: accuracy out of range")
	}
	policy := element(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(cfg.Policy) })
	return &Issuer{cfg: cfg, signer: s, policy: policy}, nil
}

// Respond answers a TimeStampReq with a TimeStampResp: a token, or a refusal
// with its reason. It always answers, whatever the request.
func (i *Issuer) Respond(request []byte) (response []byte) {
	token, failure := i.stamp(request)
	if failure != nil {
		i.observe(failure)
		return marshalFailure(failure)
	}
	i.observe(nil)
	return marshalGranted(token)
}

func (i *Issuer) observe(err error) {
	if i.cfg.Observe != nil {
		i.cfg.Observe(err)
	}
}

func (i *Issuer) stamp(request []byte) ([]byte, *Failure) {
	r, err := ParseRequest(request)
	if err != nil {
		var failure *Failure
		if errors.As(err, &failure) {
			return nil, failure
		}
		return nil, fail(SystemFailure, "the request was not understood")
	}
	if r.Policy != nil && !r.Policy.Equal(i.cfg.Policy) {
		return nil, fail(UnacceptedPolicy, "this authority stamps under another policy")
	}
	serial := make([]byte, 16)
	if _, err := io.ReadFull(i.cfg.Rand, serial); err != nil {
		return nil, fail(SystemFailure, "no serial number")
	}
	// 126 random bits: unique across restarts with no state, and of one length.
	serial[0] = serial[0]&0x3f | 0x40
	now, failure := i.genTime()
	if failure != nil {
		return nil, failure
	}
	info := tstInfo{
		policy: i.policy, messageImprint: r.messageImprint, serial: serial,
		time: now, accuracy: i.cfg.Accuracy, nonce: r.Nonce,
	}
	return i.sign(info.marshal(), r.CertReq)
}

// Ready reports why a request would get no token now, whatever it says.
func (i *Issuer) Ready() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, failure := i.next(); failure != nil {
		return failure
	}
	return nil
}

// genTime returns the time of the next token.
func (i *Issuer) genTime() (auction.Time, *Failure) {
	i.mu.Lock()
	defer i.mu.Unlock()
	next, failure := i.next()
	if failure == nil {
		i.last = next
	}
	return next, failure
}

// next is the earliest time that the next token may have. The caller holds mu.
func (i *Issuer) next() (auction.Time, *Failure) {
	if i.cfg.Trusted != nil {
		if err := i.cfg.Trusted(); err != nil {
			return 0, fail(TimeNotAvailable, err.Error())
		}
	}
	now := auction.TimeOf(i.cfg.Now())
	next := max(now, i.last+1)
	switch {
	case next.Sub(now) > i.cfg.Accuracy:
		// The clock was set back. Going on from the last token would state a
		// time that is wrong by more than the token admits.
		return 0, fail(TimeNotAvailable, "the clock went backwards")
	case next < i.signer.from || next > i.signer.until:
		return 0, fail(TimeNotAvailable, "the certificate is not valid at this time")
	}
	return next, nil
}

func (i *Issuer) sign(info []byte, withCertificates bool) ([]byte, *Failure) {
	attrs := marshalSignedAttrs(sha256.Sum256(info), i.signer.ess)
	digest := sha256.Sum256(attrs)
	signature, err := i.cfg.Key.Sign(i.cfg.Rand, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fail(SystemFailure, "the token could not be signed")
	}
	var certificates [][]byte
	if withCertificates {
		certificates = i.cfg.Chain
	}
	return marshalToken(info, i.signer.sid, attrs, signature, certificates), nil
}
