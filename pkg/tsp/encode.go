package tsp

import (
	"bytes"
	"encoding/asn1"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sigilo/sigilo/pkg/auction"
)

var (
	tag0 = cbasn1.Tag(0).ContextSpecific()
	tag1 = cbasn1.Tag(1).ContextSpecific()
)

// genTimeLayout is DER's GeneralizedTime (X.690 11.7): no trailing zero in the
// fraction, and no point where there is no fraction.
const genTimeLayout = "20060102150405.999999Z"

// tstInfo is the content that an authority signs (RFC 3161 2.4.2), with
// ordering TRUE and without tsa and extensions.
type tstInfo struct {
	policy         []byte // DER element
	messageImprint []byte // DER element
	serial         []byte // big-endian, no leading zero byte
	time           auction.Time
	accuracy       time.Duration // 1 µs to maxAccuracy, whole microseconds
	nonce          []byte        // nil, or as serial
}

func (t *tstInfo) marshal() []byte {
	return element(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(1)
			b.AddBytes(t.policy)
			b.AddBytes(t.messageImprint)
			addUnsigned(b, t.serial)
			b.AddASN1(cbasn1.GeneralizedTime, func(b *cryptobyte.Builder) {
				b.AddBytes([]byte(t.time.Std().Format(genTimeLayout)))
			})
			addAccuracy(b, t.accuracy)
			b.AddASN1Boolean(true)
			if t.nonce != nil {
				addUnsigned(b, t.nonce)
			}
		})
	})
}

func addAccuracy(b *cryptobyte.Builder, d time.Duration) {
	us := d.Microseconds()
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if s := us / 1e6; s > 0 {
			b.AddASN1Int64(s)
		}
		if ms := us / 1e3 % 1e3; ms > 0 {
			b.AddASN1Int64WithTag(ms, tag0)
		}
		if us := us % 1e3; us > 0 {
			b.AddASN1Int64WithTag(us, tag1)
		}
	})
}

// marshalSignedAttrs returns the SET that is signed. Its elements are in the
// order of DER, which here is the order of their lengths.
func marshalSignedAttrs(digest [32]byte, ess []byte) []byte {
	return element(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			b.AddBytes(derAttrContentType)
			addAttribute(b, oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest[:]) })
			b.AddBytes(ess)
		})
	})
}

// marshalESS returns the attribute that binds a signature to a certificate
// (RFC 5816, RFC 5035): SHA-256 is the default that DER leaves out.
func marshalESS(certificateHash [32]byte) []byte {
	return element(func(b *cryptobyte.Builder) {
		addAttribute(b, oidSigningCertificateV2, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // SigningCertificateV2
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // certs
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { // ESSCertIDv2
						b.AddASN1OctetString(certificateHash[:])
					})
				})
			})
		})
	})
}

// marshalToken assembles the CMS ContentInfo (RFC 5652 sections 3 and 5).
// attrs is the SET of marshalSignedAttrs; certificates may be empty.
func marshalToken(info, sid, attrs, signature []byte, certificates [][]byte) []byte {
	return element(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(derOIDSignedData)
			b.AddASN1(tag0.Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddBytes(derSignedDataStart)
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddBytes(derOIDTSTInfo)
						b.AddASN1(tag0.Constructed(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(info) })
					})
					addCertificates(b, certificates)
					b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { addSignerInfo(b, sid, attrs, signature) })
				})
			})
		})
	})
}

func addSignerInfo(b *cryptobyte.Builder, sid, attrs, signature []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(derSignerInfoStart)
		b.AddBytes(sid)
		b.AddBytes(derAlgSHA256)
		implicit := bytes.Clone(attrs) // signed as a SET, carried as [0] IMPLICIT
		implicit[0] = byte(tag0.Constructed())
		b.AddBytes(implicit)
		b.AddBytes(derAlgECDSA)
		b.AddASN1OctetString(signature)
	})
}

func addCertificates(b *cryptobyte.Builder, certificates [][]byte) {
	if len(certificates) == 0 {
		return
	}
	b.AddASN1(tag0.Constructed(), func(b *cryptobyte.Builder) {
		for _, der := range slices.SortedFunc(slices.Values(certificates), bytes.Compare) {
			b.AddBytes(der)
		}
	})
}

func addAlgorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
}

func addAttribute(b *cryptobyte.Builder, oid asn1.ObjectIdentifier, value cryptobyte.BuilderContinuation) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1(cbasn1.SET, value)
	})
}

// addUnsigned adds a positive INTEGER whose first byte is not zero.
func addUnsigned(b *cryptobyte.Builder, n []byte) {
	b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) {
		if n[0]&0x80 != 0 {
			b.AddUint8(0)
		}
		b.AddBytes(n)
	})
}
