package accept_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

// now is when everything in these tests happens.
var now = auction.TimeOf(time.Date(2030, 1, 1, 12, 0, 0, 123_000, time.UTC))

// house has a CA and three time authorities, of which all must stamp.
type house struct {
	t       testing.TB
	root    []byte
	rootKey *identity.Issuer
	ca      *identity.Issuer
	tokens  *identity.TokenIssuer
	keys    *identity.KeySet
	list    *identity.RevocationList
	tsa     []*tsp.Issuer
	policy  auction.Policy
	checker *accept.Checker
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newHouse(t testing.TB, name string) *house {
	t.Helper()
	h := &house{t: t, policy: auction.DefaultPolicy(name)}
	from, until := now.Std().Add(-time.Hour).Truncate(time.Second), now.Std().Add(time.Hour).Truncate(time.Second)
	rootKey, caKey := must[*ecdsa.PrivateKey](t)(identity.NewKey()), must[*ecdsa.PrivateKey](t)(identity.NewKey())
	h.root = must[[]byte](t)(identity.NewRoot(rootKey, name, from, until))
	h.rootKey = must[*identity.Issuer](t)(identity.NewIssuer([][]byte{h.root}, rootKey))
	ca := must[[]byte](t)(h.rootKey.NewIntermediate(&caKey.PublicKey, name, from, until))
	h.ca = must[*identity.Issuer](t)(identity.NewIssuer([][]byte{ca}, caKey))
	h.tokens = must[*identity.TokenIssuer](t)(identity.NewTokenIssuer(name, must[*ecdsa.PrivateKey](t)(identity.NewKey())))
	h.keys = identity.NewKeySet([]*identity.TokenIssuer{h.tokens}, nil)
	h.checker = must[*accept.Checker](t)(accept.New(name, [][]byte{h.root}, nil))
	crl := must[[]byte](t)(h.ca.NewRevocationList(7, from, until, nil))
	h.list = must[*identity.RevocationList](t)(h.checker.Verifier().RevocationList(crl, ca, now.Std()))
	h.policy.Roots = []auction.Hash{sha256.Sum256(h.root)}
	h.policy.LogKey, h.policy.Quorum = name+"+00000000+key", 3
	for _, authority := range []string{"tsa1", "tsa2", "tsa3"} {
		issuer, leaf := h.authority(authority, false)
		h.tsa = append(h.tsa, issuer)
		h.policy.Authorities = append(h.policy.Authorities, auction.Authority{
			Name: authority, Policy: tsp.RealTime.String(), Certificates: []auction.Blob{leaf},
		})
	}
	return h
}

// authority makes a time authority of the house and its certificate.
func (h *house) authority(name string, simulated bool) (*tsp.Issuer, auction.Blob) {
	h.t.Helper()
	key := must[*ecdsa.PrivateKey](h.t)(identity.NewKey())
	chain := h.certify(h.rootKey, key, identity.Profile{Role: identity.RoleTSA, Authority: name, Simulated: simulated})
	oid := tsp.RealTime
	if simulated {
		oid = tsp.SimulatedTime
	}
	return must[*tsp.Issuer](h.t)(tsp.NewIssuer(tsp.IssuerConfig{
		Key: key, Chain: chain, Policy: oid, Accuracy: time.Millisecond, Now: now.Std, Rand: rand.Reader,
	})), chain[0]
}

func (h *house) certify(by *identity.Issuer, key *ecdsa.PrivateKey, p identity.Profile) [][]byte {
	h.t.Helper()
	if p.House == "" {
		p.House = h.policy.House
	}
	p.NotBefore, p.NotAfter = now.Std().Add(-time.Minute), now.Std().Add(time.Minute)
	return must[[][]byte](h.t)(by.Issue(&key.PublicKey, p))
}

// person is somebody with a certificate and a token.
type person struct {
	key   *ecdsa.PrivateKey
	chain [][]byte
	token string
}

func (h *house) person(role identity.Role) *person {
	h.t.Helper()
	p := &person{key: must[*ecdsa.PrivateKey](h.t)(identity.NewKey())}
	p.chain = h.certify(h.ca, p.key, identity.Profile{Role: role})
	cert := must[*identity.Certificate](h.t)(h.checker.Verifier().Verify(p.chain, role, now.Std()))
	token, _, err := h.tokens.Issue(cert, now.Std())
	if err != nil {
		h.t.Fatal(err)
	}
	p.token = token
	return p
}

func (h *house) party(p *person) *accept.Party {
	h.t.Helper()
	return must[*accept.Party](h.t)(h.checker.Party(p.token, p.chain, h.keys, h.list, now))
}

// stamps returns a stamp of each of the given authorities.
func (h *house) stamps(digest auction.Hash, order ...int) [][]byte {
	h.t.Helper()
	var out [][]byte
	for _, i := range order {
		request := must[tsp.Request](h.t)(tsp.NewRequest(digest, tsp.RealTime, rand.Reader))
		der := must[[]byte](h.t)(request.Marshal())
		out = append(out, must[[]byte](h.t)(tsp.ParseResponse(h.tsa[i-1].Respond(der))))
	}
	return out
}

// signed makes a command of somebody's and parses it.
func (p *person) signed(t testing.TB, c wire.Command) wire.Signed {
	t.Helper()
	if c.Pseudonym == "" {
		c.Pseudonym = "7c1a2f60-4a55-4a0b-9d1c-5f0e3a9b6d21"
	}
	if c.Kind.Stamped() && c.DisclosureKey == nil {
		c.DisclosureKey = must[hpke.PrivateKey](t)(hpke.DHKEM(ecdh.P256()).GenerateKey()).PublicKey().Bytes()
	}
	jws := must[[]byte](t)(wire.Sign(p.key, sha256.Sum256(p.chain[0]), c, nil))
	return must[wire.Signed](t)(wire.ParseCommand(jws))
}
