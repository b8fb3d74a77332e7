package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestEveryRoleVerifiesAsItselfAlone(t *testing.T) {
	h := newHouse(t, "demo")
	issuers := map[Role]*Issuer{
		RoleParticipant: h.ca, RoleAuditor: h.ca,
		RoleDMS: h.root, RoleTSA: h.root, RoleWitness: h.root,
	}
	for _, role := range Roles() {
		key := newTestKey(t)
		chain := must[[][]byte](t)(issuers[role].Issue(&key.PublicKey, h.profile(role)))
		for _, as := range Roles() {
			cert, err := h.verifier.Verify(chain, as, epoch)
			if as != role {
				wantCode(t, err, auction.CodeBadCertificate)
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", role, err)
			}
			if !cert.Key.Equal(&key.PublicKey) || cert.Participant != ParticipantOf(&key.PublicKey) ||
				cert.Thumbprint != sha256.Sum256(chain[0]) || cert.Role != role {
				t.Errorf("%s: the certificate is not what was issued", role)
			}
			if want := map[bool]string{true: "clock-1"}[role == RoleTSA]; cert.Authority != want {
				t.Errorf("%s: authority %q", role, cert.Authority)
			}
		}
	}
}

// A CA that has been broken into must not be able to make a DMS or a TSA.
func TestIntermediateCannotMintOtherRoles(t *testing.T) {
	h := newHouse(t, "demo")
	for _, role := range []Role{RoleDMS, RoleTSA, RoleWitness} {
		chain := must[[][]byte](t)(h.ca.Issue(&newTestKey(t).PublicKey, h.profile(role)))
		_, err := h.verifier.Verify(chain, role, epoch)
		wantCode(t, err, auction.CodeBadCertificate)
	}
}

func TestCertificatesDifferInKeySerialAndDatesAlone(t *testing.T) {
	h := newHouse(t, "demo")
	first := must[*x509.Certificate](t)(x509.ParseCertificate(h.participantChain[0]))
	other, _ := h.enrol(t, newTestKey(t))
	second := must[*x509.Certificate](t)(x509.ParseCertificate(other[0]))
	if !bytes.Equal(first.RawSubject, second.RawSubject) || first.URIs[0].String() != second.URIs[0].String() {
		t.Error("two participants have different names")
	}
	if first.SerialNumber.Cmp(second.SerialNumber) == 0 || first.SerialNumber.BitLen() < 120 {
		t.Error("serial numbers are not long and random")
	}
	if n := len(h.participantChain[0]); n > 800 {
		t.Errorf("a leaf has %d bytes", n)
	}
}

// leaf is the form of a good participant's certificate, for tests to spoil.
func leaf(role Role, uris ...string) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1 << 40), Subject: pkix.Name{CommonName: "Sigilo participant"},
		NotBefore: epoch.Add(-time.Minute), NotAfter: epoch.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true, Policies: []x509.OID{role.OID()},
	}
	for _, uri := range uris {
		u, err := url.Parse(uri)
		if err != nil {
			panic(err)
		}
		template.URIs = append(template.URIs, u)
	}
	return template
}

func TestVerifyRefuses(t *testing.T) {
	h, other := newHouse(t, "demo"), newHouse(t, "demo")
	key := newTestKey(t)
	const uri = "sigilo:participant:demo"
	spoil := func(change func(*x509.Certificate)) [][]byte {
		template := leaf(RoleParticipant, uri)
		change(template)
		return [][]byte{must[[]byte](t)(h.ca.sign(template, &key.PublicKey)), h.intermediateDER}
	}
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	foreignKey := func(pub any) [][]byte {
		return [][]byte{must[[]byte](t)(x509.CreateCertificate(rand.Reader, leaf(RoleParticipant, uri), h.ca.cert, pub, h.caKey)), h.intermediateDER}
	}
	sha384 := leaf(RoleParticipant, uri)
	sha384.SignatureAlgorithm = x509.ECDSAWithSHA384

	cases := map[string][][]byte{
		"no certificate":        {},
		"too many":              slices.Repeat(h.participantChain[:1], 4),
		"not DER":               {[]byte("-----BEGIN"), h.intermediateDER},
		"empty":                 {{}, h.intermediateDER},
		"too large":             {make([]byte, maxCertificate+1)},
		"trailing byte":         {append(slices.Clone(h.participantChain[0]), 0), h.intermediateDER},
		"another root":          other.participantChain,
		"another intermediate":  {h.participantChain[0], other.intermediateDER},
		"no intermediate":       {h.participantChain[0]},
		"wrong order":           {h.intermediateDER, h.participantChain[0]},
		"root in the chain":     {h.participantChain[0], h.intermediateDER, h.rootDER},
		"one too many":          {h.participantChain[0], h.intermediateDER, other.intermediateDER},
		"intermediate as leaf":  {h.intermediateDER},
		"root as leaf":          {h.rootDER},
		"self-signed":           {must[[]byte](t)(x509.CreateCertificate(rand.Reader, leaf(RoleParticipant, uri), leaf(RoleParticipant, uri), &key.PublicKey, key))},
		"P-384 key":             foreignKey(&p384.PublicKey),
		"Ed25519 key":           foreignKey(edPublic),
		"SHA-384":               {must[[]byte](t)(x509.CreateCertificate(rand.Reader, sha384, h.ca.cert, &key.PublicKey, h.caKey)), h.intermediateDER},
		"no policy":             spoil(func(c *x509.Certificate) { c.Policies = nil }),
		"another policy":        spoil(func(c *x509.Certificate) { c.Policies = []x509.OID{RoleAuditor.OID()} }),
		"any policy":            spoil(func(c *x509.Certificate) { c.Policies = []x509.OID{mustOID([]uint64{2, 5, 29, 32, 0})} }),
		"two policies":          spoil(func(c *x509.Certificate) { c.Policies = append(c.Policies, RoleAuditor.OID()) }),
		"no name":               spoil(func(c *x509.Certificate) { c.URIs = nil }),
		"two names":             spoil(func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) }),
		"a DNS name too":        spoil(func(c *x509.Certificate) { c.DNSNames = []string{"demo.example"} }),
		"an e-mail address too": spoil(func(c *x509.Certificate) { c.EmailAddresses = []string{"a@demo.example"} }),
		"another house":         spoil(func(c *x509.Certificate) { c.URIs = leaf(RoleParticipant, "sigilo:participant:demo2").URIs }),
		"another role's name":   spoil(func(c *x509.Certificate) { c.URIs = leaf(RoleParticipant, "sigilo:dms:demo").URIs }),
		"a longer name":         spoil(func(c *x509.Certificate) { c.URIs = leaf(RoleParticipant, uri+":x").URIs }),
		"another key usage":     spoil(func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyAgreement }),
		"no extended usage":     spoil(func(c *x509.Certificate) { c.ExtKeyUsage = nil }),
		"two extended usages":   spoil(func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) }),
		"a CA as leaf":          spoil(func(c *x509.Certificate) { c.IsCA = true }),
		"unknown critical extension": spoil(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 32473, 99}, Critical: true, Value: []byte{5, 0}}}
		}),
		"ended":         spoil(func(c *x509.Certificate) { c.NotAfter = epoch.Add(-time.Second) }),
		"not begun":     spoil(func(c *x509.Certificate) { c.NotBefore = epoch.Add(time.Second) }),
		"CA below a CA": caBelowCA(t, h),
	}
	for name, chain := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := h.verifier.Verify(chain, RoleParticipant, epoch)
			wantCode(t, err, auction.CodeBadCertificate)
		})
	}
	if _, err := h.verifier.Verify(spoil(func(*x509.Certificate) {}), RoleParticipant, epoch); err != nil {
		t.Fatalf("the unspoilt form is refused: %v", err)
	}
}

// caBelowCA has the participants' CA make a CA of its own.
func caBelowCA(t *testing.T, h *house) [][]byte {
	key, leafKey := newTestKey(t), newTestKey(t)
	template := must[*x509.Certificate](t)(caTemplate("Sigilo CA", "demo", epoch.Add(-time.Minute), epoch.Add(time.Hour)))
	template.Policies = []x509.OID{RoleParticipant.OID()}
	der := must[[]byte](t)(h.ca.sign(template, &key.PublicKey))
	sub := must[*Issuer](t)(NewIssuer([][]byte{der, h.intermediateDER}, key))
	return must[[][]byte](t)(sub.Issue(&leafKey.PublicKey, Profile{
		Role: RoleParticipant, House: "demo", NotBefore: epoch.Add(-time.Minute), NotAfter: epoch.Add(time.Hour),
	}))
}

func TestTimeAuthority(t *testing.T) {
	h := newHouse(t, "demo")
	pub := &newTestKey(t).PublicKey
	for _, simulated := range []bool{false, true} {
		p := h.profile(RoleTSA)
		p.Simulated = simulated
		cert := must[*Certificate](t)(h.verifier.Verify(must[[][]byte](t)(h.root.Issue(pub, p)), RoleTSA, epoch))
		if cert.Simulated != simulated {
			t.Errorf("simulated: %v", cert.Simulated)
		}
	}
	const uri = "sigilo:tsa:demo:clock-1"
	critical := []pkix.Extension{{Id: oidExtKeyUsage, Critical: true, Value: timeStampingOnly}}
	form := func(uri string, extensions []pkix.Extension, policies ...x509.OID) *x509.Certificate {
		template := leaf(RoleTSA, uri)
		template.Policies = append(template.Policies, policies...)
		template.ExtKeyUsage, template.ExtraExtensions = []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}, extensions
		return template
	}
	for name, c := range map[string]struct {
		template *x509.Certificate
		want     auction.Code
	}{
		"good":                    {form(uri, critical, oidRealTime), ""},
		"usage not critical":      {form(uri, nil, oidRealTime), auction.CodeBadCertificate},
		"no kind of time":         {form(uri, critical), auction.CodeBadCertificate},
		"both kinds of time":      {form(uri, critical, oidRealTime, oidSimulatedTime), auction.CodeBadCertificate},
		"another role too":        {form(uri, critical, oidRealTime, RoleDMS.OID()), auction.CodeBadCertificate},
		"another role for a kind": {form(uri, critical, RoleDMS.OID()), auction.CodeBadCertificate},
		"no authority":            {form("sigilo:tsa:demo", critical, oidRealTime), auction.CodeBadCertificate},
		"empty authority":         {form("sigilo:tsa:demo:", critical, oidRealTime), auction.CodeBadCertificate},
		"bad authority":           {form("sigilo:tsa:demo:Clock", critical, oidRealTime), auction.CodeBadCertificate},
		"another house":           {form("sigilo:tsa:other:clock-1", critical, oidRealTime), auction.CodeBadCertificate},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.verifier.Verify([][]byte{must[[]byte](t)(h.root.sign(c.template, pub))}, RoleTSA, epoch)
			wantCode(t, err, c.want)
		})
	}
}

func TestEndedCertificateWithinGrace(t *testing.T) {
	h := newHouse(t, "demo")
	const grace = 90 * 24 * time.Hour
	end := h.participant.NotAfter
	for _, c := range []struct {
		at   time.Time
		want auction.Code
	}{
		{end, ""},
		{end.Add(time.Second), ""},
		{end.Add(grace), ""},
		{end.Add(grace + time.Second), auction.CodeBadCertificate},
		{h.participant.NotBefore.Add(-time.Second), auction.CodeBadCertificate},
	} {
		_, err := h.verifier.VerifyEnded(h.participantChain, RoleParticipant, c.at, grace)
		wantCode(t, err, c.want)
	}
	_, err := h.verifier.Verify(h.participantChain, RoleParticipant, end.Add(time.Second))
	wantCode(t, err, auction.CodeBadCertificate)
}

func TestEveryChangedByteOfAChainIsRefused(t *testing.T) {
	h := newHouse(t, "demo")
	for i, der := range h.participantChain {
		for at := range der {
			chain := slices.Clone(h.participantChain)
			chain[i] = slices.Clone(der)
			chain[i][at] ^= 1 << (at % 8)
			if _, err := h.verifier.Verify(chain, RoleParticipant, epoch); auction.CodeOf(err) != auction.CodeBadCertificate {
				t.Fatalf("certificate %d, byte %d: %v", i, at, err)
			}
		}
	}
}

func TestIssuerRefuses(t *testing.T) {
	h := newHouse(t, "demo")
	pub := &newTestKey(t).PublicKey
	p384 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	good := h.profile(RoleParticipant)
	for name, issue := range map[string]func() error{
		"unknown role":     func() error { p := good; p.Role = "king"; _, err := h.ca.Issue(pub, p); return err },
		"bad house":        func() error { p := good; p.House = "Demo"; _, err := h.ca.Issue(pub, p); return err },
		"no authority":     func() error { p := good; p.Role = RoleTSA; _, err := h.root.Issue(pub, p); return err },
		"outlives the CA":  func() error { p := good; p.NotAfter = epoch.Add(6 * year); _, err := h.ca.Issue(pub, p); return err },
		"P-384":            func() error { _, err := h.ca.Issue(&p384.PublicKey, good); return err },
		"another's key":    func() error { _, err := NewIssuer([][]byte{h.rootDER}, h.caKey); return err },
		"a leaf as issuer": func() error { _, err := NewIssuer(h.participantChain, h.participantKey); return err },
		"root of a leaf":   func() error { _, err := NewVerifier("demo", h.participantChain[0]); return err },
		"another's root":   func() error { _, err := NewVerifier("demo2", h.rootDER); return err },
		"no root":          func() error { _, err := NewVerifier("demo"); return err },
		"an intermediate":  func() error { _, err := NewVerifier("demo", h.intermediateDER); return err },
	} {
		if issue() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
