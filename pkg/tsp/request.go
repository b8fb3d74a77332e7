package tsp

import (
	"crypto"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxRequest bounds a request: the largest in the profile has about 160 bytes.
const maxRequest = 512

// maxNonce is the longest nonce, in bytes: RFC 3161 leaves it open, 160 bits
// are what RFC 5280 allows a serial number.
const maxNonce = 20

// nonceSize is the length of the nonces that this package makes, in bytes.
const nonceSize = 16

// Request is a TimeStampReq (RFC 3161 2.4.1) without extensions.
type Request struct {
	Hash    crypto.Hash           // of the imprint: SHA256, SHA384 or SHA512
	Imprint []byte                // the digest to stamp; as long as Hash says
	Policy  asn1.ObjectIdentifier // nil: whichever the authority has
	Nonce   []byte                // none, or 1 to 20 bytes, big-endian, no leading zero byte
	CertReq bool                  // the token shall carry the authority's certificates

	// messageImprint is the element as it came: the token repeats it bit for
	// bit, also where the algorithm has the NULL parameter that some write.
	messageImprint []byte
}

// NewRequest returns a request for a stamp over a SHA-256 digest with a fresh
// nonce from rand. It asks for no certificates: verifiers of this package know
// them beforehand.
func NewRequest(imprint [32]byte, policy asn1.ObjectIdentifier, rand io.Reader) (Request, error) {
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(rand, nonce); err != nil {
		return Request{}, fmt.Errorf("read nonce: %w", err)
	}
	nonce[0] = nonce[0]&0x7f | 0x40 // positive and of one length
	return Request{Hash: crypto.SHA256, Imprint: imprint[:], Policy: policy, Nonce: nonce}, nil
}

// Marshal returns the DER encoding. It fails if a field is out of range.
func (r Request) Marshal() ([]byte, error) {
	if len(r.Nonce) > maxNonce || len(r.Nonce) > 0 && r.Nonce[0] == 0 {
		return nil, errors.New("marshal time-stamp request: nonce out of range")
	}
	imprint := r.messageImprint
	if imprint == nil {
		var err error
		if imprint, err = marshalImprint(r.Hash, r.Imprint); err != nil {
			return nil, err
		}
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddBytes(imprint)
		if r.Policy != nil {
			b.AddASN1ObjectIdentifier(r.Policy)
		}
		if len(r.Nonce) > 0 {
			addUnsigned(b, r.Nonce)
		}
		if r.CertReq {
			b.AddASN1Boolean(true)
		}
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("marshal time-stamp request: %w", err)
	}
	return der, nil
}

func marshalImprint(hash crypto.Hash, digest []byte) ([]byte, error) {
	for _, h := range imprintHashes {
		if h.hash == hash && len(digest) == hash.Size() {
			return element(func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					addAlgorithm(b, h.oid)
					b.AddASN1OctetString(digest)
				})
			}), nil
		}
	}
	return nil, errors.New("marshal time-stamp request: imprint out of range")
}

// ParseRequest reads a TimeStampReq. It is strict: DER only, nothing after the
// end, no extensions. Its error is a *[Failure] that says what a TimeStampResp
// tells the requester. The result aliases der.
func ParseRequest(der []byte) (Request, error) {
	if len(der) > maxRequest {
		return Request{}, fail(BadDataFormat, "the request is too large")
	}
	var seq cryptobyte.String
	input := cryptobyte.String(der)
	if !input.ReadASN1(&seq, cbasn1.SEQUENCE) || !input.Empty() {
		return Request{}, fail(BadDataFormat, "the request is not one DER sequence")
	}
	var version int64
	if !seq.ReadASN1Integer(&version) {
		return Request{}, fail(BadDataFormat, "the version is not an integer")
	}
	if version != 1 {
		return Request{}, fail(BadRequest, "only version 1 is known")
	}
	r, err := readImprint(&seq)
	if err != nil {
		return Request{}, err
	}
	if err := r.readOptions(&seq); err != nil {
		return Request{}, err
	}
	return r, nil
}

func readImprint(seq *cryptobyte.String) (Request, error) {
	var element, imprint, algorithm cryptobyte.String
	var oid asn1.ObjectIdentifier
	var digest []byte
	if !seq.ReadASN1Element(&element, cbasn1.SEQUENCE) {
		return Request{}, fail(BadDataFormat, "there is no message imprint")
	}
	rest := element
	if !rest.ReadASN1(&imprint, cbasn1.SEQUENCE) ||
		!imprint.ReadASN1(&algorithm, cbasn1.SEQUENCE) ||
		!algorithm.ReadASN1ObjectIdentifier(&oid) ||
		!imprint.ReadASN1Bytes(&digest, cbasn1.OCTET_STRING) || !imprint.Empty() {
		return Request{}, fail(BadDataFormat, "the message imprint is malformed")
	}
	// Parameters are absent or NULL: RFC 5754 section 2 demands to accept both.
	if !algorithm.Empty() && string(algorithm) != "\x05\x00" {
		return Request{}, fail(BadAlg, "the hash algorithm takes no parameters")
	}
	for _, h := range imprintHashes {
		if !h.oid.Equal(oid) {
			continue
		}
		if len(digest) != h.hash.Size() {
			return Request{}, fail(BadDataFormat, "the digest has the wrong length")
		}
		return Request{Hash: h.hash, Imprint: digest, messageImprint: element}, nil
	}
	return Request{}, fail(BadAlg, "the imprint must be made with SHA-256, SHA-384 or SHA-512")
}

// readOptions reads what follows the imprint.
func (r *Request) readOptions(seq *cryptobyte.String) error {
	if seq.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER) && !seq.ReadASN1ObjectIdentifier(&r.Policy) {
		return fail(BadDataFormat, "the policy is malformed")
	}
	if seq.PeekASN1Tag(cbasn1.INTEGER) {
		if !seq.ReadASN1Integer(&r.Nonce) {
			return fail(BadDataFormat, "the nonce is negative or malformed")
		}
		if len(r.Nonce) > maxNonce || r.Nonce[0] == 0 {
			return fail(BadRequest, "the nonce is zero or has more than 20 bytes")
		}
	}
	if seq.PeekASN1Tag(cbasn1.BOOLEAN) {
		// FALSE is the default, which DER leaves out.
		if !seq.ReadASN1Boolean(&r.CertReq) || !r.CertReq {
			return fail(BadDataFormat, "certReq is malformed")
		}
	}
	if seq.PeekASN1Tag(cbasn1.Tag(0).ContextSpecific().Constructed()) {
		return fail(UnacceptedExtension, "no extension is supported")
	}
	if !seq.Empty() {
		return fail(BadDataFormat, "there is more than the request defines")
	}
	return nil
}
