package accept_test

import (
	"bytes"
	"crypto/hpke"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

const auctionID = auction.ID("0b9f3c52-8e1d-4f7a-a6b0-2d4c6e8f1a35")

func TestParty(t *testing.T) {
	h, other := newHouse(t, "demo"), newHouse(t, "demo")
	bruno, olga := h.person(identity.RoleParticipant), h.person(identity.RoleParticipant)
	foreign := other.person(identity.RoleParticipant)
	dms := h.certify(h.rootKey, bruno.key, identity.Profile{Role: identity.RoleDMS})
	tests := []struct {
		name  string
		token string
		chain [][]byte
		at    auction.Time
		want  auction.Code
	}{
		{"good", bruno.token, bruno.chain, now, ""},
		{"no certificate", bruno.token, nil, now, auction.CodeBadCertificate},
		{"certificate of another root", foreign.token, foreign.chain, now, auction.CodeBadCertificate},
		{"certificate in another role", bruno.token, dms, now, auction.CodeBadCertificate},
		{"certificate ended", bruno.token, bruno.chain, now.Add(2 * time.Minute), auction.CodeBadCertificate},
		{"no token", "", bruno.chain, now, auction.CodeBadToken},
		{"token of another", olga.token, bruno.chain, now, auction.CodeBadToken},
		{"token of another CA", foreign.token, bruno.chain, now, auction.CodeBadToken},
	}
	for _, tt := range tests {
		party, err := h.checker.Party(tt.token, tt.chain, h.keys, h.list, tt.at)
		if auction.CodeOf(err) != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if (party == nil) != (tt.want != "") {
			t.Errorf("%s: a party and a refusal, or neither", tt.name)
		}
	}
	party := h.party(bruno)
	// The token would last 15 minutes, its certificate ends before.
	end := auction.TimeOf(party.Certificate.NotAfter)
	if party.Role != identity.RoleParticipant || party.CRL != 7 || party.Expires != end || !party.Key().Equal(&bruno.key.PublicKey) {
		t.Errorf("got %+v", party)
	}
	if auditor := h.party(h.person(identity.RoleAuditor)); auditor.Role != identity.RoleAuditor {
		t.Errorf("an auditor is taken for a %s", auditor.Role)
	}
}

func TestPartyRevoked(t *testing.T) {
	h := newHouse(t, "demo")
	bruno := h.person(identity.RoleParticipant)
	crl := must[[]byte](t)(h.ca.NewRevocationList(8, now.Std().Add(-time.Minute), now.Std().Add(time.Hour), []identity.Revoked{
		{Serial: h.party(bruno).Certificate.Serial, At: now.Std()},
	}))
	list := must[*identity.RevocationList](t)(h.checker.Verifier().RevocationList(crl, bruno.chain[1], now.Std()))
	if _, err := h.checker.Party(bruno.token, bruno.chain, h.keys, list, now); auction.CodeOf(err) != auction.CodeCertificateRevoked {
		t.Errorf("got %v", err)
	}
}

// sent is a command with what goes along.
type sent struct {
	by     *accept.Party
	cmd    wire.Signed
	stamps [][]byte
	sealed []byte
}

func TestCommand(t *testing.T) {
	h := newHouse(t, "demo")
	bruno, olga := h.person(identity.RoleParticipant), h.person(identity.RoleParticipant)
	sealed := []byte("sealed")
	bid := wire.Command{House: "demo", Kind: auction.KindBid, Auction: auctionID, Amount: 1500, Currency: "EUR", TermsHash: auction.Hash{1}}
	disclose := wire.Command{House: "demo", Kind: auction.KindDisclose, Auction: auctionID, Sealed: sha256.Sum256(sealed)}
	query := wire.Command{House: "demo", Kind: auction.KindInbox}
	tests := []struct {
		name   string
		cmd    wire.Command
		change func(*sent)
		want   auction.Code
	}{
		{"bid", bid, func(*sent) {}, ""},
		{"disclosure", disclose, func(s *sent) { s.sealed = sealed }, ""},
		{"query", query, func(*sent) {}, ""},
		{"another house", bid, func(s *sent) {
			s.cmd = bruno.signed(t, wire.Command{House: "domo", Kind: auction.KindInbox})
		}, auction.CodeWrongAudience},
		{"another's command", bid, func(s *sent) { s.cmd = olga.signed(t, bid) }, auction.CodeNotYourCommand},
		{"another's party", bid, func(s *sent) { s.by = h.party(olga) }, auction.CodeNotYourCommand},
		{"another key under the own name", bid, func(s *sent) {
			forger := &person{key: olga.key, chain: bruno.chain}
			s.cmd = forger.signed(t, bid)
			s.stamps = h.stamps(s.cmd.Digest, 1, 2, 3)
		}, auction.CodeBadSignature},
		{"too few stamps", bid, func(s *sent) { s.stamps = s.stamps[:2] }, auction.CodeWrongStamps},
		{"stamps out of order", bid, func(s *sent) { s.stamps = h.stamps(s.cmd.Digest, 2, 1, 3) }, auction.CodeWrongStamps},
		{"stamps over something else", bid, func(s *sent) { s.stamps = h.stamps(auction.Hash{1}, 1, 2, 3) }, auction.CodeBadStamp},
		{"stamps with a query", query, func(s *sent) {
			s.stamps = h.stamps(s.cmd.Digest, 1, 2, 3)
		}, auction.CodeWrongStamps},
		{"nothing sealed", disclose, func(*sent) {}, auction.CodeBadRequest},
		{"something else sealed", disclose, func(s *sent) { s.sealed = []byte("other") }, auction.CodeBadRequest},
		{"something sealed with a bid", bid, func(s *sent) { s.sealed = sealed }, auction.CodeBadRequest},
		{"a disclosure key of another KEM", bid, func(s *sent) {
			other := bid
			other.DisclosureKey = must[hpke.PrivateKey](t)(hpke.MLKEM768P256().GenerateKey()).PublicKey().Bytes()
			s.cmd = bruno.signed(t, other)
			s.stamps = h.stamps(s.cmd.Digest, 1, 2, 3)
		}, auction.CodeBadRequest},
		{"an auditor's bid", bid, func(s *sent) { s.by.Role = identity.RoleAuditor }, auction.CodeNotAllowed},
		{"an auditor's disclosure", disclose, func(s *sent) { s.by.Role, s.sealed = identity.RoleAuditor, sealed }, auction.CodeNotAllowed},
		{"an auditor's query", query, func(s *sent) { s.by.Role = identity.RoleAuditor }, ""},
		{"stamped after the certificate's end", bid, func(s *sent) {
			s.by.Certificate.NotAfter = now.Std().Add(-time.Second)
		}, auction.CodeBadCertificate},
		{"stamped before the certificate's begin", bid, func(s *sent) {
			s.by.Certificate.NotBefore = now.Std().Add(2 * time.Second)
		}, auction.CodeBadCertificate},
	}
	for _, tt := range tests {
		s := sent{by: h.party(bruno), cmd: bruno.signed(t, tt.cmd)}
		if tt.cmd.Kind.Stamped() {
			s.stamps = h.stamps(s.cmd.Digest, 1, 2, 3)
		}
		tt.change(&s)
		accepted, err := h.checker.Command(s.by, s.cmd, s.stamps, s.sealed, auction.Hash{9}, h.policy)
		if auction.CodeOf(err) != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
			continue
		}
		checkMade(t, tt.name, s, accepted.Command(), tt.want == "")
	}
}

// checkMade holds that what was made is what was sent, and nothing if it was refused.
func checkMade(t *testing.T, name string, s sent, c auction.Command, taken bool) {
	t.Helper()
	if !taken {
		if c.JWS != nil {
			t.Errorf("%s: refused, and made all the same", name)
		}
		return
	}
	if c.Participant != s.by.Certificate.Participant || !bytes.Equal(c.JWS, s.cmd.JWS) || c.CRL != 7 || len(c.Chain) != 2 ||
		c.Kind.Stamped() && (c.TS < now || c.TS > now.Add(time.Second)) || !c.Kind.Stamped() && c.TS != 0 {
		t.Errorf("%s: made %+v", name, c)
	}
}

// A command that was signed before the certificate was renewed may have been
// committed: it passes, so that the rules can answer it again, and names no head,
// so that they cannot commit it now.
func TestCommandOfAnEarlierCertificate(t *testing.T) {
	h := newHouse(t, "demo")
	bruno := h.person(identity.RoleParticipant)
	cmd := bruno.signed(t, wire.Command{
		House: "demo", Kind: auction.KindBid, Auction: auctionID, Amount: 1, Currency: "EUR",
		Head: auction.Head{Size: 3, Root: auction.Hash{4}}, TermsHash: auction.Hash{1},
	})
	renewed := h.party(bruno)
	certificate := *renewed.Certificate
	certificate.Thumbprint = auction.Hash{5}
	renewed.Certificate = &certificate
	accepted, err := h.checker.Command(renewed, cmd, h.stamps(cmd.Digest, 1, 2, 3), nil, auction.Hash{9}, h.policy)
	if err != nil {
		t.Fatal(err)
	}
	if c := accepted.Command(); c.Digest != cmd.Digest || c.Head != (auction.Head{}) {
		t.Errorf("made %+v", c)
	}
}

// A checker tells policies apart: stamps are judged by the one that is named.
func TestCommandUnderItsPolicy(t *testing.T) {
	h := newHouse(t, "demo")
	bruno := h.person(identity.RoleParticipant)
	cmd := bruno.signed(t, wire.Command{House: "demo", Kind: auction.KindBid, Auction: auctionID, Amount: 1, Currency: "EUR", TermsHash: auction.Hash{1}})
	lone := h.policy
	lone.Authorities, lone.Quorum = h.policy.Authorities[:1], 1
	for range 2 { // the second time from what the first one made
		if _, err := h.checker.Command(h.party(bruno), cmd, h.stamps(cmd.Digest, 1, 2, 3), nil, auction.Hash{3}, h.policy); err != nil {
			t.Error(err)
		}
		if _, err := h.checker.Command(h.party(bruno), cmd, h.stamps(cmd.Digest, 1), nil, auction.Hash{1}, lone); err != nil {
			t.Error(err)
		}
		if _, err := h.checker.Command(h.party(bruno), cmd, h.stamps(cmd.Digest, 2), nil, auction.Hash{1}, lone); auction.CodeOf(err) != auction.CodeBadStamp {
			t.Errorf("a stamp of an authority that this policy does not name: %v", err)
		}
	}
}

func TestAuthorities(t *testing.T) {
	h, other := newHouse(t, "demo"), newHouse(t, "demo")
	_, simulated := h.authority("tsa1", true)
	roots := [][]byte{h.root, other.root}
	tests := []struct {
		name   string
		change func(*auction.Policy)
		roots  [][]byte
		want   auction.Code
	}{
		{"good", func(*auction.Policy) {}, roots, ""},
		{"none of the roots is pinned", func(*auction.Policy) {}, [][]byte{other.root}, auction.CodeUnknownPolicy},
		// The other root is trusted, and not by this policy.
		{"another root is pinned", func(p *auction.Policy) { p.Roots = other.policy.Roots }, roots, auction.CodeBadCertificate},
		{"simulated time in a policy of real time", func(p *auction.Policy) {
			p.Authorities[0].Policy = tsp.SimulatedTime.String()
			p.Authorities[0].Certificates = []auction.Blob{simulated}
		}, roots, auction.CodeUnknownPolicy},
		{"real time in a policy of simulated time", func(p *auction.Policy) { p.Simulated = true }, roots, auction.CodeUnknownPolicy},
		{"a certificate for simulated time", func(p *auction.Policy) {
			p.Authorities[0].Certificates = []auction.Blob{simulated}
		}, roots, auction.CodeBadCertificate},
		{"unknown kind of time", func(p *auction.Policy) { p.Authorities[0].Policy = "1.2.3" }, roots, auction.CodeUnknownPolicy},
		{"another's certificate", func(p *auction.Policy) { p.Authorities[0].Name = "tsa9" }, roots, auction.CodeBadCertificate},
		{"another house", func(p *auction.Policy) { p.House = "domo" }, roots, auction.CodeBadCertificate},
	}
	for _, tt := range tests {
		p := h.policy
		p.Authorities = append([]auction.Authority(nil), p.Authorities...)
		tt.change(&p)
		authorities, err := accept.Authorities(p, tt.roots)
		if auction.CodeOf(err) != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if err == nil && (len(authorities) != 3 || authorities[2].Name() != "tsa3") {
			t.Errorf("%s: another order", tt.name)
		}
	}
}
