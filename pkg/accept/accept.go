// Package accept decides whether a command is what it claims to be: certificate,
// then token, then the command's signature, then its time stamps, each cheaper
// than what follows. What passes becomes an [auction.Accepted], and nothing else
// makes one, so the store and the rules cannot be handed unchecked input.
//
// It judges form and origin alone. Whether a bid is high enough or on time is
// for the rules, which decide in the order of the log.
package accept

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"sync"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Observe is told how long a step took, by the values of op in
// sigilo_crypto_seconds. It may be nil, and is called concurrently.
type Observe func(op string, step func())

// A Checker checks parties and commands of one house. It is safe for concurrent use.
type Checker struct {
	house    string
	roots    [][]byte
	verifier *identity.Verifier
	observe  Observe
	onStamps OnStamps

	mu      sync.Mutex
	quorums map[auction.Hash]*tsp.Quorum // by policy
}

// New makes a checker that trusts the pinned roots (DER) of a house.
func New(house string, roots [][]byte, observe Observe) (*Checker, error) {
	verifier, err := identity.NewVerifier(house, roots...)
	if err != nil {
		return nil, err
	}
	if observe == nil {
		observe = func(_ string, step func()) { step() }
	}
	return &Checker{
		house: house, roots: roots, verifier: verifier, observe: observe,
		quorums: make(map[auction.Hash]*tsp.Quorum),
	}, nil
}

// OnStamps is told of stamps that hold over a command, whatever the rules then say
// of it: tokens and what they say, in their order. It may keep none of the bytes.
type OnStamps func(cmd wire.Signed, p auction.Policy, tokens [][]byte, stamps []tsp.Stamp)

// WatchStamps has f told of all stamps, concurrently. It comes before any command.
func (c *Checker) WatchStamps(f OnStamps) { c.onStamps = f }

// Verifier returns the verifier of the pinned roots.
func (c *Checker) Verifier() *identity.Verifier { return c.verifier }

// A Party is somebody whose certificate and session token hold.
type Party struct {
	Certificate *identity.Certificate
	Chain       []auction.Blob
	Role        identity.Role // participant or auditor
	CRL         uint64        // number of the revocation list that does not hold the certificate
	Expires     auction.Time  // end of the token
}

// Key returns the party's public key.
func (p *Party) Key() *ecdsa.PublicKey { return p.Certificate.Key }

// Party checks the certificate of a participant or an auditor against the
// roots and the revocation list, and the token against the certificate.
func (c *Checker) Party(token string, chain [][]byte, keys *identity.KeySet, list *identity.RevocationList, now auction.Time) (*Party, error) {
	var cert *identity.Certificate
	var err error
	role := identity.RoleParticipant
	c.observe("certificate", func() {
		if cert, err = c.verifier.Verify(chain, role, now.Std()); err == nil {
			return
		}
		var other error
		if cert, other = c.verifier.Verify(chain, identity.RoleAuditor, now.Std()); other == nil {
			role, err = identity.RoleAuditor, nil
		}
	})
	if err != nil {
		return nil, err
	}
	if err := list.Check(cert, now.Std()); err != nil {
		return nil, err
	}
	var t identity.Token
	c.observe("token", func() { t, err = identity.VerifyToken(token, keys, c.house, cert, now.Std()) })
	if err != nil {
		return nil, err
	}
	p := &Party{Certificate: cert, Role: role, CRL: uint64(list.Number), Expires: auction.TimeOf(t.Expires)}
	for _, der := range chain {
		p.Chain = append(p.Chain, bytes.Clone(der))
	}
	return p, nil
}

// Command checks a parsed command: made for this house, by this party, with the
// stamps that the policy demands, and none for a kind without. sealed is what
// goes along with a disclose command.
//
// A command that was signed under an earlier certificate of the same key passes
// without its head: the rules then give it the answer that it got before, if it
// was committed, and refuse it otherwise.
func (c *Checker) Command(by *Party, cmd wire.Signed, stamps [][]byte, sealed []byte, policy auction.Hash, p auction.Policy) (auction.Accepted, error) {
	if cmd.House != c.house {
		return auction.Accepted{}, auction.Refuse(auction.CodeWrongAudience, "this command was made for another house")
	}
	if changes := cmd.Kind.Stamped() || cmd.Kind == auction.KindDisclose; changes && by.Role != identity.RoleParticipant {
		return auction.Accepted{}, auction.Refuse(auction.CodeNotAllowed, "only a participant lists, bids, withdraws and discloses")
	}
	if err := checkForm(cmd, stamps, sealed, p); err != nil {
		return auction.Accepted{}, err
	}
	out := auction.Command{
		Kind: cmd.Kind, Auction: cmd.Auction, Pseudonym: cmd.Pseudonym,
		Participant: by.Certificate.Participant, Digest: cmd.Digest, Head: cmd.Head,
		Terms: cmd.Terms, Listing: cmd.Listing, Reserve: cmd.Reserve, Amount: cmd.Amount, Currency: cmd.Currency, TermsHash: cmd.TermsHash,
		JWS: cmd.JWS, Tokens: stamps, Certificate: by.Certificate.Thumbprint, Chain: by.Chain,
		CRL: by.CRL, Sealed: sealed,
	}
	var err error
	c.observe("command_signature", func() { err = cmd.Verify(by.Key()) })
	if cmd.Thumbprint != by.Certificate.Thumbprint {
		if err != nil {
			return auction.Accepted{}, auction.Refuse(auction.CodeNotYourCommand, "a command is signed with the key of the session")
		}
		out.Head = auction.Head{}
	}
	if err != nil {
		return auction.Accepted{}, err
	}
	if cmd.Kind.Stamped() {
		if out.TS, err = c.stamped(by, cmd, stamps, policy, p); err != nil {
			return auction.Accepted{}, err
		}
	}
	return auction.NewAccepted(out), nil
}

// stamped checks a command's stamps, and that the signer's certificate was good
// when it was stamped: whoever verifies the log later asks for that.
func (c *Checker) stamped(by *Party, cmd wire.Signed, stamps [][]byte, policy auction.Hash, p auction.Policy) (ts auction.Time, err error) {
	quorum, err := c.QuorumOf(policy, p)
	if err != nil {
		return 0, err
	}
	var said []tsp.Stamp
	digest := cmd.Digest
	c.observe("timestamp_token", func() { ts, said, err = quorum.Verify(stamps, digest) })
	if err != nil {
		return 0, err
	}
	if c.onStamps != nil {
		c.onStamps(cmd, p, stamps, said)
	}
	if at := ts.Std(); at.Before(by.Certificate.NotBefore) || at.After(by.Certificate.NotAfter) {
		return 0, auction.Refuse(auction.CodeBadCertificate, "the certificate was not good when the command was stamped: renew it")
	}
	return ts, nil
}

// checkForm holds what costs nothing to check, before any signature.
func checkForm(cmd wire.Signed, stamps [][]byte, sealed []byte, p auction.Policy) error {
	want := 0
	if cmd.Kind.Stamped() {
		want = p.Quorum
	}
	switch {
	case len(stamps) != want:
		return auction.Refuse(auction.CodeWrongStamps, "this command bears %d time stamps, one of each of so many authorities", want)
	case (len(sealed) > 0) != (cmd.Kind == auction.KindDisclose):
		return auction.Refuse(auction.CodeBadRequest, "a sealed presentation goes with a disclose command and with no other")
	case cmd.Kind == auction.KindDisclose && sha256.Sum256(sealed) != cmd.Sealed:
		return auction.Refuse(auction.CodeBadRequest, "the sealed presentation is not the one that was signed")
	case cmd.DisclosureKey != nil && !wire.FitsDisclosure(cmd.DisclosureKey, p):
		return auction.Refuse(auction.CodeBadRequest, "the disclosure key is not of the kind that the policy asks for")
	}
	return nil
}

// QuorumOf returns the verifier of the stamps of a policy with this hash, made once.
func (c *Checker) QuorumOf(hash auction.Hash, p auction.Policy) (*tsp.Quorum, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if q, ok := c.quorums[hash]; ok {
		return q, nil
	}
	q, err := Quorum(p, c.roots)
	if err != nil {
		return nil, err
	}
	c.quorums[hash] = q // policies are few: operators make them
	return q, nil
}

// Quorum makes the verifier of a policy's stamps.
func Quorum(p auction.Policy, roots [][]byte) (*tsp.Quorum, error) {
	authorities, err := Authorities(p, roots)
	if err != nil {
		return nil, err
	}
	return tsp.NewQuorum(authorities, p.Quorum)
}

// Authorities makes the verifiers of a policy's time authorities, in its order.
// Of the given roots (DER) only those that the policy pins count. A policy that
// counts simulated time is the only one whose authorities may sign under the
// policy OID for it.
func Authorities(p auction.Policy, roots [][]byte) ([]*tsp.Authority, error) {
	var pinned [][]byte
	for _, root := range roots {
		for _, hash := range p.Roots {
			if sha256.Sum256(root) == hash {
				pinned = append(pinned, root)
			}
		}
	}
	if len(pinned) == 0 {
		return nil, auction.Refuse(auction.CodeUnknownPolicy, "the policy pins another root")
	}
	var out []*tsp.Authority
	for _, a := range p.Authorities {
		oid, err := tsp.ParsePolicy(a.Policy)
		if err != nil {
			return nil, err
		}
		if oid.Equal(tsp.SimulatedTime) != p.Simulated {
			return nil, auction.Refuse(auction.CodeUnknownPolicy, "simulated time counts only under a policy that says so")
		}
		cfg := tsp.AuthorityConfig{House: p.House, Name: a.Name, Roots: pinned, Policy: oid}
		for _, der := range a.Certificates {
			cfg.Certificates = append(cfg.Certificates, der)
		}
		authority, err := tsp.NewAuthority(cfg)
		if err != nil {
			return nil, err
		}
		out = append(out, authority)
	}
	return out, nil
}
