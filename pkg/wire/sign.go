package wire

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/sigilo/sigilo/pkg/auction"
)

// The protected header has one form, in which only the thumbprint of the
// certificate varies (RFC 7515 section 4.1.8, in base64url).
const (
	headerStart = `{"alg":"ES256","typ":"sigilo-command+jwt","x5t#S256":"`
	headerEnd   = `"}`
	headerSize  = len(headerStart) + 43 + len(headerEnd)
)

// signatureSize is the size of an ES256 signature: r and s, 32 bytes each, big
// endian (RFC 7518 section 3.4).
const signatureSize = 64

var base64url = base64.RawURLEncoding.Strict()

// Signed is a command that has the right form, with a signature that has not
// been verified: see [Signed.Verify].
type Signed struct {
	Command
	Thumbprint auction.Hash // SHA-256 of the certificate whose key verifies it
	Digest     auction.Hash // SHA-256 of JWS: what the stamps are over
	JWS        []byte       // the bytes as they were sent; not to be changed

	input     []byte // what the signature is over
	signature [signatureSize]byte
}

// ParseCommand reads a compact JWS (RFC 7515 section 7.1) of at most
// [MaxCommand] bytes and checks all of its form, at no cost of cryptography. It
// refuses with bad_request, too_large, bad_version, bad_amount, wrong_currency
// or bad_terms. The result shares memory with jws.
func ParseCommand(jws []byte) (Signed, error) {
	if len(jws) > MaxCommand {
		return Signed{}, auction.Refuse(auction.CodeTooLarge, "a signed command has at most %d bytes", MaxCommand)
	}
	first, last := bytes.IndexByte(jws, '.'), bytes.LastIndexByte(jws, '.')
	if first < 0 || first == last {
		return Signed{}, errJWS()
	}
	s := Signed{JWS: jws, input: jws[:last:last]}
	if !parseHeader(jws[:first], &s.Thumbprint) || !decode(s.signature[:], jws[last+1:]) {
		return Signed{}, errJWS()
	}
	encoded := jws[first+1 : last] // a dot in it is no base64url
	content := make([]byte, base64url.DecodedLen(len(encoded)))
	if !decode(content, encoded) {
		return Signed{}, errJWS()
	}
	var err error
	if s.Command, err = parsePayload(content); err != nil {
		return Signed{}, err
	}
	s.Digest = sha256.Sum256(jws)
	return s, nil
}

// Verify checks that pub's owner signed the command, and refuses with
// bad_signature.
func (s Signed) Verify(pub *ecdsa.PublicKey) error {
	hash := sha256.Sum256(s.input)
	r, t := new(big.Int).SetBytes(s.signature[:32]), new(big.Int).SetBytes(s.signature[32:])
	// ecdsa.Verify refuses r and s outside 1 .. n-1.
	if pub == nil || pub.Curve != elliptic.P256() || !ecdsa.Verify(pub, hash[:], r, t) {
		return auction.Refuse(auction.CodeBadSignature, "the command's signature does not hold")
	}
	return nil
}

// Sign returns the compact JWS of c under a P-256 key whose certificate has the
// given thumbprint. It refuses a command that [ParseCommand] would refuse. rand
// is what key.Sign wants; where key is an *ecdsa.PrivateKey, nil makes the
// signature deterministic (RFC 6979).
func Sign(key crypto.Signer, thumbprint auction.Hash, c Command, rand io.Reader) ([]byte, error) {
	pub, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, errors.New("sign command: the key is not of P-256")
	}
	content, err := c.payload()
	if err != nil {
		return nil, fmt.Errorf("sign command: %w", err)
	}
	if _, err := parsePayload(content); err != nil {
		return nil, err
	}
	header := headerStart + base64url.EncodeToString(thumbprint[:]) + headerEnd
	jws := base64url.AppendEncode(nil, []byte(header))
	jws = base64url.AppendEncode(append(jws, '.'), content)
	hash := sha256.Sum256(jws)
	der, err := key.Sign(rand, hash[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign command: %w", err)
	}
	var sig struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &sig); err != nil || len(rest) > 0 ||
		sig.R.Sign() <= 0 || sig.S.Sign() <= 0 || sig.R.BitLen() > 256 || sig.S.BitLen() > 256 {
		return nil, errors.New("sign command: the key made no ECDSA signature")
	}
	var raw [signatureSize]byte
	sig.R.FillBytes(raw[:32])
	sig.S.FillBytes(raw[32:])
	jws = base64url.AppendEncode(append(jws, '.'), raw[:])
	if len(jws) > MaxCommand {
		return nil, auction.Refuse(auction.CodeTooLarge, "a signed command has at most %d bytes", MaxCommand)
	}
	return jws, nil
}

// parseHeader compares the encoded header with its one form.
func parseHeader(encoded []byte, thumbprint *auction.Hash) bool {
	var h [headerSize]byte
	return decode(h[:], encoded) &&
		string(h[:len(headerStart)]) == headerStart &&
		string(h[headerSize-len(headerEnd):]) == headerEnd &&
		decode(thumbprint[:], h[len(headerStart):headerSize-len(headerEnd)])
}

// decode reads unpadded base64url in its one form into exactly dst.
func decode(dst, src []byte) bool {
	// encoding/base64 skips line breaks, which would make a second form. Here
	// src is as long as the encoding of dst, so a skipped one leaves dst short.
	if base64url.EncodedLen(len(dst)) != len(src) {
		return false
	}
	n, err := base64url.Decode(dst, src)
	return err == nil && n == len(dst)
}

func errJWS() error {
	return auction.Refuse(auction.CodeBadRequest,
		"a command is a compact JWS with the protected header that the protocol fixes")
}
