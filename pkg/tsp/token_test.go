package tsp

import (
	"bytes"
	"crypto"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestGenTime(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Time
	}{
		{"19700101000000Z", time.Unix(0, 0)},
		{"20260301120000Z", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)},
		{"20260301120000.5Z", time.Date(2026, 3, 1, 12, 0, 0, 5e8, time.UTC)},
		{"20260301120000.123456Z", time.Date(2026, 3, 1, 12, 0, 0, 123456e3, time.UTC)},
		{"20240229235959.000001Z", time.Date(2024, 2, 29, 23, 59, 59, 1000, time.UTC)},
	} {
		got, ok := parseGenTime([]byte(c.text))
		if !ok || got != auction.TimeOf(c.want) {
			t.Errorf("%s: got %d, %v, want %d", c.text, got, ok, auction.TimeOf(c.want))
		}
	}
	for _, text := range []string{
		"", "Z", "2026030112000Z", "20260301120000", "20260301120000z",
		"20260301120000.Z", "20260301120000.0Z", "20260301120000.10Z", "20260301120000.1234567Z",
		"20260301120000,5Z", "20260301120000.5", "20260301120000+0000", "20260301120000.12a4Z",
		"20260229120000Z", "20261301120000Z", "20260001120000Z", "20260300120000Z", "20260432120000Z",
		"20260301240000Z", "20260301126000Z", "20260301120060Z", // a leap second too: no clock of ours has one
		"19691231235959Z", "22550606000000Z", "99991231235959Z",
		"2026 301120000Z", "-0260301120000Z", "20260301120000..5Z", "202603011200 0Z", "2026030112000\x00Z",
	} {
		if got, ok := parseGenTime([]byte(text)); ok {
			t.Errorf("%q: accepted as %d", text, got)
		}
	}
}

func TestTSTInfoRoundTrip(t *testing.T) {
	number := func(name string, t *rapid.T) []byte {
		return rapid.SliceOfN(rapid.Byte(), 1, maxNonce).Filter(func(b []byte) bool { return b[0] != 0 }).Draw(t, name)
	}
	rapid.Check(t, func(t *rapid.T) {
		want := tstInfo{
			policy:         element(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(RealTime) }),
			messageImprint: append(bytes.Clone(derImprintStart), make([]byte, 32)...),
			serial:         number("serial", t),
			time:           auction.Time(rapid.Int64Range(0, int64(maxTime)-1).Draw(t, "time")),
			accuracy:       time.Duration(rapid.Int64Range(1, 60e6).Draw(t, "accuracy")) * time.Microsecond,
		}
		if rapid.Bool().Draw(t, "with nonce") {
			want.nonce = number("nonce", t)
		}
		der := want.marshal()
		var got tstInfo
		if !got.read(der) {
			t.Fatalf("refused %x", der)
		}
		if got.time != want.time || got.accuracy != want.accuracy || !bytes.Equal(got.serial, want.serial) ||
			!bytes.Equal(got.nonce, want.nonce) || !bytes.Equal(got.marshal(), der) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestAccuracyHasOneForm(t *testing.T) {
	for _, c := range []struct {
		name    string
		content []byte
	}{
		{"empty", nil},
		{"zero seconds", []byte{2, 1, 0}},
		{"zero millis", []byte{0x80, 1, 0}},
		{"zero micros", []byte{2, 1, 1, 0x81, 1, 0}},
		{"1000 millis", []byte{0x80, 2, 3, 0xe8}},
		{"1000 micros", []byte{0x81, 2, 3, 0xe8}},
		{"negative", []byte{2, 1, 0xff}},
		{"over a minute", []byte{2, 1, 60, 0x81, 1, 1}},
		{"out of order", []byte{0x81, 1, 1, 0x80, 1, 1}},
		{"not minimal", []byte{0x80, 2, 0, 1}},
		{"more", []byte{2, 1, 1, 5, 0}},
	} {
		if d, ok := parseAccuracy(c.content); ok {
			t.Errorf("%s: accepted as %v", c.name, d)
		}
	}
}

// craft is a token taken into its parts, so that a test can spoil one of them
// and sign the rest as the authority would.
type craft struct {
	authority *testAuthority
	key       testKey

	outerType, signedStart, contentType []byte
	info                                []byte
	between                             []byte // after the content: certificates, CRLs
	signerStart, sid, digestAlg         []byte
	attrs                               [][]byte
	signatureAlg, afterSignature        []byte
	signers                             int
}

func newCraft(a *testAuthority, info []byte) *craft {
	s := &craft{
		authority: a, key: a.key,
		outerType: derOIDSignedData, signedStart: derSignedDataStart, contentType: derOIDTSTInfo,
		info: info, signerStart: derSignerInfoStart, digestAlg: derAlgSHA256, signatureAlg: derAlgECDSA, signers: 1,
	}
	own, err := newSigner(a.leaf, a.policy)
	if err != nil {
		panic(err)
	}
	s.sid = own.sid
	s.attrs = [][]byte{derAttrContentType, attrDigest(info), own.ess}
	return s
}

// token signs and assembles the parts.
func (c *craft) token(t testing.TB) []byte {
	t.Helper()
	attrs := element(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
			for _, a := range c.attrs {
				b.AddBytes(a)
			}
		})
	})
	digest := digestOf(string(attrs))
	signature, err := c.key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	attrs[0] = byte(tag0.Constructed())
	signer := element(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, part := range [][]byte{c.signerStart, c.sid, c.digestAlg, attrs, c.signatureAlg} {
				b.AddBytes(part)
			}
			b.AddASN1OctetString(signature)
			b.AddBytes(c.afterSignature)
		})
	})
	return element(func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(c.outerType)
			b.AddASN1(tag0.Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddBytes(c.signedStart)
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddBytes(c.contentType)
						b.AddASN1(tag0.Constructed(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(c.info) })
					})
					b.AddBytes(c.between)
					b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
						for range c.signers {
							b.AddBytes(signer)
						}
					})
				})
			})
		})
	})
}

func attrDigest(info []byte) []byte {
	digest := digestOf(string(info))
	return element(func(b *cryptobyte.Builder) {
		addAttribute(b, oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest[:]) })
	})
}
