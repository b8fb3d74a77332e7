package tsp

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/url"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestVerify(t *testing.T) {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	imprint := digestOf("bid")
	stamp, err := a.verifier(t).Verify(a.stamp(t, imprint, start), imprint)
	if err != nil {
		t.Fatal(err)
	}
	if stamp.Authority != "one" || stamp.Time != auction.TimeOf(start) || stamp.Accuracy != 250*time.Millisecond || len(stamp.Serial) != 16 {
		t.Fatalf("got %+v", stamp)
	}
}

func TestNewAuthorityRefuses(t *testing.T) {
	h, other := newTestHouse(t, 1), newTestHouse(t, 7)
	// The leaf of an intermediate: a root must issue to an authority itself.
	middle := h.authority(t, "ca", 4, func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.ExtraExtensions = true, x509.KeyUsageCertSign, nil
	})
	below := testHouse{middle.key, middle.leaf}.authority(t, "one", 2, nil)

	for name, edit := range map[string]func(*x509.Certificate){
		"CA":                        func(c *x509.Certificate) { c.IsCA = true },
		"EKU not critical":          func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{testEKU(false, 8)} },
		"EKU not alone":             func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{testEKU(true, 8, 2)} },
		"EKU with an unknown one":   func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{testEKU(true, 8, 99)} },
		"EKU for TLS":               func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{testEKU(true, 1)} },
		"no EKU":                    func(c *x509.Certificate) { c.ExtraExtensions = nil },
		"no key usage":              func(c *x509.Certificate) { c.KeyUsage = 0 },
		"key usage beyond signing":  func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyAgreement },
		"no role":                   func(c *x509.Certificate) { c.Policies = nil },
		"another role":              func(c *x509.Certificate) { c.Policies[0] = testOID(t, append(roleTSA[:9:9], 2)) },
		"no kind of time":           func(c *x509.Certificate) { c.Policies = c.Policies[:1] },
		"simulated time":            func(c *x509.Certificate) { c.Policies[1] = testOID(t, SimulatedTime) },
		"both kinds of time":        func(c *x509.Certificate) { c.Policies = append(c.Policies, testOID(t, SimulatedTime)) },
		"another name":              func(c *x509.Certificate) { c.URIs[0].Opaque = "tsa:demo:two" },
		"another house":             func(c *x509.Certificate) { c.URIs[0].Opaque = "tsa:other:one" },
		"another role's name":       func(c *x509.Certificate) { c.URIs[0].Opaque = "dms:demo:one" },
		"no name":                   func(c *x509.Certificate) { c.URIs = nil },
		"two names":                 func(c *x509.Certificate) { c.URIs = append(c.URIs, &url.URL{Scheme: "sigilo", Opaque: "dms:demo"}) },
		"a DNS name too":            func(c *x509.Certificate) { c.DNSNames = []string{"example.org"} },
		"ended before it began":     func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(-time.Hour) },
		"ended before its root was": func(c *x509.Certificate) { c.NotBefore, c.NotAfter = start.Add(-9*time.Hour), start.Add(-8*time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewAuthority(h.authority(t, "one", 2, edit).config())
			wantCode(t, err, auction.CodeBadCertificate)
		})
	}
	for name, edit := range map[string]func(*AuthorityConfig){
		"another root":            func(c *AuthorityConfig) { c.Roots = [][]byte{other.root.Raw} },
		"no root":                 func(c *AuthorityConfig) { c.Roots = nil },
		"malformed root":          func(c *AuthorityConfig) { c.Roots[0] = c.Roots[0][:99] },
		"no certificate":          func(c *AuthorityConfig) { c.Certificates = nil },
		"too many certificates":   func(c *AuthorityConfig) { c.Certificates = slices.Repeat(c.Certificates, 5) },
		"malformed certificate":   func(c *AuthorityConfig) { c.Certificates[0] = append(bytes.Clone(c.Certificates[0]), 0) },
		"another house":           func(c *AuthorityConfig) { c.House = "other" },
		"another name":            func(c *AuthorityConfig) { c.Name = "on" },
		"below an intermediate":   func(c *AuthorityConfig) { c.Certificates = [][]byte{below.leaf.Raw} },
		"a second that is no TSA": func(c *AuthorityConfig) { c.Certificates = append(c.Certificates, h.root.Raw) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := h.authority(t, "one", 2, nil).config()
			edit(&cfg)
			_, err := NewAuthority(cfg)
			wantCode(t, err, auction.CodeBadCertificate)
		})
	}
}

func TestNewAuthorityWithoutPolicy(t *testing.T) {
	cfg := newTestHouse(t, 1).authority(t, "one", 2, nil).config()
	cfg.Policy = nil
	if _, err := NewAuthority(cfg); err == nil {
		t.Fatal("accepted")
	}
}

func TestAuthorityWithTwoCertificatesAndTwoRoots(t *testing.T) {
	h, next := newTestHouse(t, 1), newTestHouse(t, 7)
	a, b := h.authority(t, "one", 2, nil), next.authority(t, "one", 3, nil)
	cfg := a.config()
	cfg.Certificates = append(cfg.Certificates, b.leaf.Raw)
	cfg.Roots = append(cfg.Roots, next.root.Raw)
	v, err := NewAuthority(cfg)
	if err != nil {
		t.Fatal(err)
	}
	imprint := digestOf("bid")
	for _, by := range []*testAuthority{a, b} {
		if _, err := v.Verify(by.stamp(t, imprint, start), imprint); err != nil {
			t.Error(err)
		}
	}
}

// A certificate that is older than its root counts from the root's beginning.
func TestCertificateOlderThanItsRoot(t *testing.T) {
	h := newTestHouse(t, 1)
	a := h.authority(t, "one", 2, func(c *x509.Certificate) { c.NotBefore = h.root.NotBefore.Add(-time.Hour) })
	v, imprint := a.verifier(t), digestOf("bid")
	if _, err := v.Verify(a.stamp(t, imprint, h.root.NotBefore), imprint); err != nil {
		t.Fatal(err)
	}
	_, err := v.Verify(a.stamp(t, imprint, h.root.NotBefore.Add(-time.Microsecond)), imprint)
	wantCode(t, err, auction.CodeBadStamp)
}

// TestVerifyRefuses spoils one part of a token at a time. What the authority
// signs is signed after the change, so that the signature is never the reason.
func TestVerifyRefuses(t *testing.T) {
	h := newTestHouse(t, 1)
	a := h.authority(t, "one", 2, nil)
	twin := newTestHouse(t, 1).authority(t, "one", 3, func(c *x509.Certificate) { c.SerialNumber = a.leaf.SerialNumber })
	twinSigner, err := newSigner(twin.leaf, RealTime)
	if err != nil {
		t.Fatal(err)
	}
	imprint := digestOf("bid")
	good := func() *tstInfo {
		return &tstInfo{
			policy:         element(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(RealTime) }),
			messageImprint: append(bytes.Clone(derImprintStart), imprint[:]...),
			serial:         []byte{1}, time: auction.TimeOf(start), accuracy: time.Second, nonce: []byte{2},
		}
	}
	set := func(parts ...[]byte) []byte { return wrap(cbasn1.SET, parts...) }
	oid := func(oid asn1.ObjectIdentifier) []byte {
		return element(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
	}
	null := []byte{5, 0}
	sha256Null := wrap(cbasn1.SEQUENCE, oid(oidSHA256), null)
	v := a.verifier(t)
	if _, err := v.Verify(newCraft(a, good().marshal()).token(t), imprint); err != nil {
		t.Fatal(err)
	}

	for name, edit := range map[string]func(*craft){
		"another content type outside":  func(c *craft) { c.outerType = oid(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}) },
		"SignedData of version 1":       func(c *craft) { c.signedStart = append([]byte{2, 1, 1}, c.signedStart[3:]...) },
		"digest with parameters":        func(c *craft) { c.signedStart = append([]byte{2, 1, 3}, set(sha256Null)...) },
		"two digest algorithms":         func(c *craft) { c.signedStart = append([]byte{2, 1, 3}, set(derAlgSHA256, derAlgSHA256)...) },
		"content is data":               func(c *craft) { c.contentType = oid(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}) },
		"certificates":                  func(c *craft) { c.between = wrap(tag0.Constructed(), a.leaf.Raw) },
		"no certificates, but a place":  func(c *craft) { c.between = wrap(tag0.Constructed()) },
		"CRLs":                          func(c *craft) { c.between = wrap(tag1.Constructed()) },
		"no signer":                     func(c *craft) { c.signers = 0 },
		"two signers":                   func(c *craft) { c.signers = 2 },
		"SignerInfo of version 3":       func(c *craft) { c.signerStart = []byte{2, 1, 3} },
		"signer by key identifier":      func(c *craft) { c.sid = wrap(tag0, make([]byte, 20)) },
		"signer's serial not minimal":   func(c *craft) { c.sid = wrap(cbasn1.SEQUENCE, a.leaf.RawIssuer, []byte{2, 2, 0, 1}) },
		"signer's digest with NULL":     func(c *craft) { c.digestAlg = sha256Null },
		"signature algorithm with NULL": func(c *craft) { c.signatureAlg = wrap(cbasn1.SEQUENCE, oid(oidECDSAWithSHA256), null) },
		"ECDSA with SHA-512": func(c *craft) {
			c.signatureAlg = wrap(cbasn1.SEQUENCE, oid(asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}))
		},
		"unsigned attributes":       func(c *craft) { c.afterSignature = wrap(tag1.Constructed(), c.attrs[0]) },
		"no attributes":             func(c *craft) { c.attrs = nil },
		"no content type attribute": func(c *craft) { c.attrs = c.attrs[1:] },
		"no digest attribute":       func(c *craft) { c.attrs = slices.Delete(c.attrs, 1, 2) },
		"no ESSCertIDv2":            func(c *craft) { c.attrs = c.attrs[:2] },
		"an attribute more":         func(c *craft) { c.attrs = append(c.attrs, c.attrs[0]) },
		"attributes out of order":   func(c *craft) { slices.Reverse(c.attrs) },
		"content type of data": func(c *craft) {
			c.attrs[0] = wrap(cbasn1.SEQUENCE, oid(oidContentType), set(oid(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1})))
		},
		"digest of something else":   func(c *craft) { c.attrs[1] = attrDigest([]byte("other")) },
		"digest attribute with more": func(c *craft) { c.attrs[1] = graft(c.attrs[1], 0) },
		"digest value with more":     func(c *craft) { c.attrs[1] = graft(c.attrs[1], 1) },
		"two digests": func(c *craft) {
			c.attrs[1] = wrap(cbasn1.SEQUENCE, derOIDMessageDigest, set([]byte{4, 0}, []byte{4, 0}))
		},
		"ESSCertIDv2 of another":       func(c *craft) { c.attrs[2] = twinSigner.ess },
		"ESSCertIDv2 with a hash name": func(c *craft) { c.attrs[2] = essWithAlgorithm(a.leaf.Raw) },
		"signed by another":            func(c *craft) { c.key = newTestKey(t, 9) },
		"another authority's name":     func(c *craft) { c.sid = mustSigner(t, h.authority(t, "two", 3, nil)).sid },
		"a root's name":                func(c *craft) { c.sid = wrap(cbasn1.SEQUENCE, h.root.RawIssuer, []byte{2, 1, 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCraft(a, good().marshal())
			edit(c)
			_, err := v.Verify(c.token(t), imprint)
			wantCode(t, err, auction.CodeBadStamp)
		})
	}

	for name, edit := range map[string]func(*tstInfo){
		"simulated time":  func(i *tstInfo) { i.policy = oid(SimulatedTime) },
		"another imprint": func(i *tstInfo) { i.messageImprint[len(i.messageImprint)-1] ^= 1 },
		"imprint with NULL": func(i *tstInfo) {
			i.messageImprint = wrap(cbasn1.SEQUENCE, sha256Null, wrap(cbasn1.OCTET_STRING, imprint[:]))
		},
		"imprint with SHA-384": func(i *tstInfo) {
			i.messageImprint = wrap(cbasn1.SEQUENCE, wrap(cbasn1.SEQUENCE, oid(oidSHA384)), wrap(cbasn1.OCTET_STRING, imprint[:]))
		},
		"before the certificate":  func(i *tstInfo) { i.time = auction.TimeOf(a.leaf.NotBefore) - 1 },
		"after the certificate":   func(i *tstInfo) { i.time = auction.TimeOf(a.leaf.NotAfter) + 1 },
		"serial number too long":  func(i *tstInfo) { i.serial = bytes.Repeat([]byte{1}, 21) },
		"serial number is zero":   func(i *tstInfo) { i.serial = []byte{0} },
		"nonce too long":          func(i *tstInfo) { i.nonce = bytes.Repeat([]byte{1}, 21) },
		"accuracy of zero":        func(i *tstInfo) { i.accuracy = 0 },
		"accuracy of two minutes": func(i *tstInfo) { i.accuracy = 2 * time.Minute },
		"time after 2255":         func(i *tstInfo) { i.time = maxTime },
	} {
		t.Run(name, func(t *testing.T) {
			info := good()
			edit(info)
			_, err := v.Verify(newCraft(a, info.marshal()).token(t), imprint)
			wantCode(t, err, auction.CodeBadStamp)
		})
	}
	for name, info := range rawInfos(good()) {
		t.Run(name, func(t *testing.T) {
			_, err := v.Verify(newCraft(a, info).token(t), imprint)
			wantCode(t, err, auction.CodeBadStamp)
		})
	}
}

// rawInfos are contents that tstInfo cannot hold.
func rawInfos(good *tstInfo) map[string][]byte {
	good.nonce = nil
	der := good.marshal()
	var content cryptobyte.String
	input := cryptobyte.String(der)
	input.ReadASN1(&content, cbasn1.SEQUENCE)
	seq := func(parts ...[]byte) []byte { return wrap(cbasn1.SEQUENCE, parts...) }
	return map[string][]byte{
		"content of version 2": seq([]byte{2, 1, 2}, content[3:]),
		"ordering left out":    seq(content[:len(content)-3]),
		"ordering FALSE":       seq(content[:len(content)-1], []byte{0}),
		"ordering BER true":    seq(content[:len(content)-1], []byte{1}),
		"names its authority":  seq(content, wrap(tag0.Constructed(), []byte{0x86, 1, 'x'})),
		"extensions":           seq(content, wrap(tag1.Constructed())),
		"more content":         seq(content, []byte{5, 0}),
		"content not alone":    append(bytes.Clone(der), 5, 0),
		"length not minimal":   append([]byte{0x30, 0x81, der[1]}, der[2:]...),
		"negative nonce":       seq(content, []byte{2, 1, 0xff}),
		"time with an offset":  bytes.Replace(der, []byte("20260301120000.123456Z"), []byte("20260301120000.12+0100"), 1),
		"time with a zero":     bytes.Replace(der, []byte("20260301120000.123456Z"), []byte("20260301120000.123450Z"), 1),
	}
}

func wrap(tag cbasn1.Tag, parts ...[]byte) []byte {
	return element(func(b *cryptobyte.Builder) {
		b.AddASN1(tag, func(b *cryptobyte.Builder) {
			for _, p := range parts {
				b.AddBytes(p)
			}
		})
	})
}

func mustSigner(t testing.TB, a *testAuthority) *signer {
	t.Helper()
	s, err := newSigner(a.leaf, a.policy)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// essWithAlgorithm names SHA-256, which is the default and so is not DER.
func essWithAlgorithm(certificate []byte) []byte {
	digest := digestOf(string(certificate))
	return element(func(b *cryptobyte.Builder) {
		addAttribute(b, oidSigningCertificateV2, func(b *cryptobyte.Builder) {
			b.AddBytes(wrap(cbasn1.SEQUENCE, wrap(cbasn1.SEQUENCE, wrap(cbasn1.SEQUENCE, derAlgSHA256, wrap(cbasn1.OCTET_STRING, digest[:])))))
		})
	})
}

func TestVerifyResponse(t *testing.T) {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	v, issuer := a.verifier(t), a.issuer(t, at(start))
	request := mustRequest(t, digestOf("bid"), RealTime)
	response := issuer.Respond(mustMarshal(t, request))
	token, stamp, err := v.VerifyResponse(response, request)
	if err != nil || stamp.Time != auction.TimeOf(start) {
		t.Fatalf("got %+v, %v", stamp, err)
	}
	if again, err := v.Verify(token, digestOf("bid")); err != nil || again.Time != stamp.Time {
		t.Fatalf("the token alone: %+v, %v", again, err)
	}
	other := mustRequest(t, digestOf("bid"), RealTime)
	_, _, err = v.VerifyResponse(response, other)
	wantCode(t, err, auction.CodeBadStamp)
	without := request
	without.Nonce = nil
	_, _, err = v.VerifyResponse(response, without)
	wantCode(t, err, auction.CodeBadStamp)
	swapped := request
	swapped.Imprint = make([]byte, 32)
	_, _, err = v.VerifyResponse(response, swapped)
	wantCode(t, err, auction.CodeBadStamp)
	for name, r := range map[string]Request{
		"asks for certificates": {Hash: crypto.SHA256, Imprint: make([]byte, 32), CertReq: true},
		"SHA-512":               {Hash: crypto.SHA512, Imprint: make([]byte, 64)},
		"short imprint":         {Hash: crypto.SHA256, Imprint: make([]byte, 31)},
	} {
		if _, _, err := v.VerifyResponse(response, r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
