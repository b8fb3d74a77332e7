package tsp

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sigilo/sigilo/pkg/auction"
)

// The policies under which tokens are made (the documentation arc of RFC 5612).
// The certificate of an authority states the one that it signs under, so that a
// key made for simulated time never vouches for real time.
var (
	RealTime      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 17, 2, 1}
	SimulatedTime = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 17, 2, 2}
)

// ParsePolicy reads a policy as a house policy writes it, in dotted decimals. It
// knows [RealTime] and [SimulatedTime], and refuses every other with
// [auction.CodeUnknownPolicy].
func ParsePolicy(dotted string) (asn1.ObjectIdentifier, error) {
	for _, policy := range []asn1.ObjectIdentifier{RealTime, SimulatedTime} {
		if policy.String() == dotted {
			return policy, nil
		}
	}
	return nil, auction.Refuse(auction.CodeUnknownPolicy, "a time authority stamps under the policy of real or of simulated time")
}

// roleTSA is the certificate policy of the role "time authority"; every
// certificate of one states it.
var roleTSA = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 17, 1, 3}

var (
	oidSignedData           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidECDSAWithSHA256      = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidSHA256               = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384               = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512               = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	oidExtKeyUsage          = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// The hash functions that an imprint may be made with.
var imprintHashes = []struct {
	oid  asn1.ObjectIdentifier
	hash crypto.Hash
}{
	{oidSHA256, crypto.SHA256},
	{oidSHA384, crypto.SHA384},
	{oidSHA512, crypto.SHA512},
}

// Constant parts of every token, encoded once: the parser compares bytes where
// it would otherwise decode object identifiers and versions.
var (
	derOIDSignedData    = element(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidSignedData) })
	derOIDTSTInfo       = element(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidTSTInfo) })
	derOIDMessageDigest = element(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidMessageDigest) })
	derAlgSHA256        = element(func(b *cryptobyte.Builder) { addAlgorithm(b, oidSHA256) })
	derAlgECDSA         = element(func(b *cryptobyte.Builder) { addAlgorithm(b, oidECDSAWithSHA256) })
	derAttrContentType  = element(func(b *cryptobyte.Builder) {
		addAttribute(b, oidContentType, func(b *cryptobyte.Builder) { b.AddBytes(derOIDTSTInfo) })
	})

	// The version is 3 by RFC 5652 section 5.1 (content other than data), that
	// of the signer 1 by section 5.3 (named by issuer and serial number).
	derSignedDataStart = element(func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(derAlgSHA256) })
	})
	derSignerInfoStart = element(func(b *cryptobyte.Builder) { b.AddASN1Int64(1) })

	// derImprintStart is a MessageImprint over SHA-256 up to the digest itself.
	derImprintStart = bytes.TrimSuffix(element(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(derAlgSHA256)
			b.AddASN1OctetString(make([]byte, sha256.Size))
		})
	}), make([]byte, sha256.Size))
)

// tagSet is the identifier octet of a SET.
const tagSet = byte(cbasn1.SET)

// element builds a constant or what cannot fail; it panics on a defect of this
// package only.
func element(build cryptobyte.BuilderContinuation) []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, elementSize))
	build(b)
	return b.BytesOrPanic()
}

// elementSize has room for a token without certificates, in bytes, so that it is built
// in one piece of memory.
const elementSize = 512
