package ca

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// Whatever a request asks for, it gets what everybody gets: to be a CA, another role,
// another house, a host's name are all left where they are.
func TestARequestHasItsKeyCertifiedAlone(t *testing.T) {
	ca := newCA(t)
	plain, greedy := ca.enrolled("alice", nil), ca.newClient()
	extension := func(id asn1.ObjectIdentifier, der ...byte) pkix.Extension {
		return pkix.Extension{Id: id, Critical: true, Value: der}
	}
	policies := must[[]byte](t)(asn1.Marshal([]struct{ OID asn1.ObjectIdentifier }{{asn1.ObjectIdentifier{2, 5, 29, 32, 0}}}))
	greedy.csr = encodeChain([][]byte{must[[]byte](t)(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:        pkix.Name{CommonName: "Sigilo CA", Organization: []string{testHouse}},
		DNSNames:       []string{"dms.example"},
		EmailAddresses: []string{"mallory@example.org"},
		IPAddresses:    []net.IP{net.IPv4(127, 0, 0, 1)},
		URIs:           []*url.URL{must[*url.URL](t)(url.Parse(identity.RoleURI(identity.RoleDMS, testHouse, "")))},
		ExtraExtensions: []pkix.Extension{
			extension(asn1.ObjectIdentifier{2, 5, 29, 19}, 0x30, 0x03, 0x01, 0x01, 0xff), // basicConstraints: a CA
			extension(asn1.ObjectIdentifier{2, 5, 29, 15}, 0x03, 0x02, 0x01, 0x06),       // keyUsage: certificates, CRLs
			extension(asn1.ObjectIdentifier{2, 5, 29, 32}, policies...),                  // certificatePolicies: any
		},
	}, greedy.key))})[0]
	wantCode(t, "enrol", greedy.sign(map[string]any{"invite": ca.invite("mallory", nil)}), "")

	leaf := func(p *client) *x509.Certificate {
		return must[*x509.Certificate](t)(x509.ParseCertificate(must[[][]byte](t)(decodeChain(p.chain))[0]))
	}
	want, got := leaf(plain), leaf(greedy)
	if !greedy.key.PublicKey.Equal(got.PublicKey) {
		t.Error("the certificate is of another key")
	}
	if got.Subject.String() != want.Subject.String() || !slices.EqualFunc(got.Extensions, want.Extensions, func(a, b pkix.Extension) bool {
		return a.Id.Equal(b.Id) && a.Critical == b.Critical && string(a.Value) == string(b.Value)
	}) {
		t.Errorf("got %v with %v, everybody's is %v with %v", got.Subject, got.Extensions, want.Subject, want.Extensions)
	}
}

// While the CA's own certificate is not valid, nobody gets one that nobody would take,
// and no invite is used up.
func TestTheCAsOwnCertificateMustBeValid(t *testing.T) {
	ca := newCA(t)
	alice, bob := ca.enrolled("alice", nil), ca.newClient()
	invite := ca.invite("bob", nil)
	chain := must[[][]byte](t)(identity.ParseChain(ca.get("/ca.pem")))
	own := must[*x509.Certificate](t)(x509.ParseCertificate(chain[0]))
	for what, at := range map[string]time.Time{
		"before it": own.NotBefore.Add(-time.Second), "after it": own.NotAfter.Add(time.Second),
	} {
		ca.now.Store(at.UnixMicro())
		wantCode(t, "an invite "+what, bob.sign(map[string]any{"invite": ca.invite("bob", nil)}), auction.CodeUnavailable)
	}
	ca.now.Store(epoch.UnixMicro())
	wantCode(t, "the invite", bob.sign(map[string]any{"invite": invite}), "")
	wantCode(t, "a renewal", alice.renew(), "")
}

// Who is erased comes back as somebody new, with a new key, or not at all.
func TestTheErasedComeBackAsOthers(t *testing.T) {
	ca := newCA(t)
	alice := ca.enrolled("alice", nil)
	ca.mustCall("POST", "/api/erase", map[string]string{"username": "alice"}, nil, ca.token)
	wantCode(t, "a renewal", alice.renew(), auction.CodeCertificateRevoked)
	wantCode(t, "the old key with a new invite", alice.sign(map[string]any{"invite": ca.invite("alice", nil)}), auction.CodeBadEnrolment)
	again := ca.enrolled("alice", nil)
	if again.certificate().Participant == alice.certificate().Participant {
		t.Error("two people are one participant")
	}
}

// Two CAs on one registry are a mistake, which costs nothing: an invite is good once
// among them, and no two of their revocation lists have one number.
func TestTwoCAsOnOneRegistry(t *testing.T) {
	dir := newFolder(t)
	cas := []*testCA{startCA(t, dir, nil), startCA(t, dir, nil)}
	numbers := make(map[int64]bool)
	const rounds = 4
	for _, name := range []string{"alice", "bob", "carol", "dave"}[:rounds] {
		invite := cas[0].invite(name, nil)
		var codes [2]auction.Code
		var lists [2]int64
		var group sync.WaitGroup
		for i, ca := range cas {
			newcomer := ca.newClient()
			group.Go(func() {
				codes[i] = newcomer.sign(map[string]any{"invite": invite})
				lists[i] = ca.revocations().Number
			})
		}
		group.Wait()
		slices.Sort(codes[:])
		if codes != [2]auction.Code{"", auction.CodeBadEnrolment} {
			t.Errorf("%s: one invite got %q", name, codes)
		}
		for i, ca := range cas {
			numbers[lists[i]] = true
			ca.pass(listFresh)
		}
	}
	if len(numbers) != 2*rounds {
		t.Errorf("%d lists have %d numbers", 2*rounds, len(numbers))
	}
}
