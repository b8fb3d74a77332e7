package tsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// start is the time at which the tests play.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

// leafEnd is when certificates end: far off, since one of the judges that these
// tests call uses the machine's clock.
var leafEnd = time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)

// testKey signs the same bytes always in the same way (RFC 6979), so that
// golden vectors can be made anew.
type testKey struct{ *ecdsa.PrivateKey }

func (k testKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.PrivateKey.Sign(nil, digest, opts)
}

// newTestKey derives a P-256 key from a number.
func newTestKey(t testing.TB, n byte) testKey {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{n}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return testKey{key}
}

// testHouse is a root and what it issues.
type testHouse struct {
	rootKey testKey
	root    *x509.Certificate
}

func newTestHouse(t testing.TB, keyNumber byte) testHouse {
	t.Helper()
	key := newTestKey(t, keyNumber)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(int64(keyNumber)),
		Subject:               pkix.Name{CommonName: "Sigilo root", Organization: []string{"demo"}},
		NotBefore:             start.Add(-time.Hour).Truncate(time.Second),
		NotAfter:              time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return testHouse{key, newTestCertificate(t, template, template, key.Public(), key)}
}

func newTestCertificate(t testing.TB, template, parent *x509.Certificate, pub crypto.PublicKey, key testKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// testAuthority is a time authority with all that it keeps to itself.
type testAuthority struct {
	house  testHouse
	key    testKey
	leaf   *x509.Certificate
	name   string
	policy asn1.ObjectIdentifier
}

// authority issues to a new authority. edit may be nil, or spoil the
// certificate before it is signed.
func (h testHouse) authority(t testing.TB, name string, keyNumber byte, edit func(*x509.Certificate)) *testAuthority {
	t.Helper()
	key := newTestKey(t, keyNumber)
	uri := &url.URL{Scheme: "sigilo", Opaque: "tsa:demo:" + name}
	template := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(bytes.Repeat([]byte{0x40 | keyNumber}, 16)),
		Subject:               pkix.Name{CommonName: "Sigilo tsa"},
		NotBefore:             start.Add(-time.Hour).Truncate(time.Second),
		NotAfter:              leafEnd,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtraExtensions:       []pkix.Extension{testEKU(true, 8)},
		Policies:              []x509.OID{testOID(t, roleTSA), testOID(t, RealTime)},
		URIs:                  []*url.URL{uri},
	}
	if edit != nil {
		edit(template)
	}
	leaf := newTestCertificate(t, template, h.root, key.Public(), h.rootKey)
	return &testAuthority{house: h, key: key, leaf: leaf, name: name, policy: RealTime}
}

// testEKU makes an extended key usage extension of purposes under id-kp: 8 is
// timeStamping.
func testEKU(critical bool, purposes ...int) pkix.Extension {
	var oids []asn1.ObjectIdentifier
	for _, p := range purposes {
		oids = append(oids, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, p})
	}
	value, err := asn1.Marshal(oids)
	if err != nil {
		panic(err)
	}
	return pkix.Extension{Id: oidExtKeyUsage, Critical: critical, Value: value}
}

func testOID(t testing.TB, oid asn1.ObjectIdentifier) x509.OID {
	t.Helper()
	o, err := x509.OIDFromASN1OID(oid)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (a *testAuthority) config() AuthorityConfig {
	return AuthorityConfig{
		House: "demo", Name: a.name, Policy: a.policy,
		Certificates: [][]byte{a.leaf.Raw}, Roots: [][]byte{a.house.root.Raw},
	}
}

func (a *testAuthority) verifier(t testing.TB) *Authority {
	t.Helper()
	v, err := NewAuthority(a.config())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (a *testAuthority) issuerConfig(now func() time.Time) IssuerConfig {
	return IssuerConfig{
		Key: a.key, Chain: [][]byte{a.leaf.Raw, a.house.root.Raw}, Policy: a.policy,
		Accuracy: 250 * time.Millisecond, Now: now, Rand: rand.Reader,
	}
}

func (a *testAuthority) issuer(t testing.TB, now func() time.Time) *Issuer {
	t.Helper()
	i, err := NewIssuer(a.issuerConfig(now))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// at is a clock that stands still.
func at(now time.Time) func() time.Time { return func() time.Time { return now } }

// stamp makes a token over imprint at a time.
func (a *testAuthority) stamp(t testing.TB, imprint [32]byte, now time.Time) []byte {
	t.Helper()
	request := mustRequest(t, imprint, a.policy)
	token, err := ParseResponse(a.issuer(t, at(now)).Respond(mustMarshal(t, request)))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func mustRequest(t testing.TB, imprint [32]byte, policy asn1.ObjectIdentifier) Request {
	t.Helper()
	r, err := NewRequest(imprint, policy, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustMarshal(t testing.TB, r Request) []byte {
	t.Helper()
	der, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func digestOf(s string) [32]byte { return sha256.Sum256([]byte(s)) }

// wantCode fails unless err is a refusal with the code.
func wantCode(t testing.TB, err error, code auction.Code) {
	t.Helper()
	if auction.CodeOf(err) != code {
		t.Fatalf("got %v, want a refusal with %s", err, code)
	}
}
