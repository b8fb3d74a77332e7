package ca

import (
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/services/ca/registry"
)

func TestWholeFlow(t *testing.T) {
	ca := newCA(t)
	code := ca.invite("alice", map[string]string{"city": "Genève"})
	alice := ca.newClient()
	wantCode(t, "enrol", alice.sign(map[string]any{"invite": code}), "")
	cert := alice.certificate()
	if !cert.Key.Equal(&alice.key.PublicKey) || cert.NotAfter.Sub(epoch) != 8*time.Hour || !cert.NotBefore.Equal(epoch.Add(-time.Minute)) {
		t.Errorf("the certificate is not of this key or time: %+v", cert)
	}
	claims := must[map[string]string](t)(identity.ClaimsOf(alice.credential))
	if diff := cmp.Diff(map[string]string{"username": "alice", "city": "Genève"}, claims); diff != "" {
		t.Error(diff)
	}
	presentation := must[string](t)(identity.Present(alice.credential, alice.key, []string{"city"}, "a", "n", epoch))
	if _, err := identity.VerifyPresentation(presentation, ca.keys(), identity.Expectation{
		House: testHouse, Holder: cert.Participant, Audience: "a", Nonce: "n", At: epoch,
	}); err != nil {
		t.Errorf("the credential does not verify: %v", err)
	}

	token, refused := alice.issue()
	wantCode(t, "issue", refused, "")
	if _, err := identity.VerifyToken(token, ca.keys(), testHouse, cert, epoch); err != nil {
		t.Errorf("the token does not verify: %v", err)
	}
	ca.pass(time.Hour)
	wantCode(t, "renew", alice.renew(), "")
	renewed := alice.certificate()
	if renewed.Serial == cert.Serial || renewed.Participant != cert.Participant {
		t.Error("the renewed certificate is not a new one of the same key")
	}

	before := ca.revocations()
	for _, c := range []*identity.Certificate{cert, renewed} {
		if err := before.Check(c, ca.time().Std()); err != nil {
			t.Errorf("revoked before it was: %v", err)
		}
	}
	ca.mustCall("POST", "/api/revoke", map[string]string{"serial": cert.Serial, "reason": "key_compromise"}, nil, ca.token)
	after := ca.revocations()
	if after.Number <= before.Number {
		t.Errorf("list %d after list %d", after.Number, before.Number)
	}
	for _, c := range []*identity.Certificate{cert, renewed} {
		if got := auction.CodeOf(after.Check(c, ca.time().Std())); got != auction.CodeCertificateRevoked {
			t.Errorf("check of a revoked certificate: %q", got)
		}
	}
	_, refused = alice.issue()
	wantCode(t, "issue when revoked", refused, auction.CodeCertificateRevoked)
	wantCode(t, "renew when revoked", alice.renew(), auction.CodeCertificateRevoked)

	// Under a new key she comes back, as the same person.
	again := ca.enrolled("alice", map[string]string{"city": "Lausanne"})
	var page peopleAnswer
	ca.mustCall("GET", "/api/people", nil, &page, ca.token)
	if len(page.People) != 2 || page.People[0].Username != "alice" || page.People[1].Username != "alice" ||
		page.People[0].Revoked == page.People[1].Revoked || page.People[0].Attributes["city"] != "Lausanne" {
		t.Errorf("people: %+v", page)
	}

	secrets := []string{"alice", "Gen", "Lausanne", code, token, ca.token, alice.csr, again.credential, cert.Participant.String(), cert.Serial}
	if err := ca.stop(); err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if strings.Contains(ca.log.String(), secret) {
			t.Errorf("the log has %.12q", secret)
		}
	}
}

func TestAnInviteIsForOne(t *testing.T) {
	ca := newCA(t)
	code := ca.invite("alice", nil)
	const n = 8
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = ca.newClient()
	}
	codes := make([]auction.Code, n)
	var wg sync.WaitGroup
	for i, p := range clients {
		wg.Go(func() { codes[i] = p.sign(map[string]any{"invite": code}) })
	}
	wg.Wait()
	won := 0
	for _, code := range codes {
		if code == "" {
			won++
		} else {
			wantCode(t, "enrol", code, auction.CodeBadEnrolment)
		}
	}
	if won != 1 {
		t.Errorf("%d got in by one invite", won)
	}
}

// A CA that is killed after it has recorded a certificate, and before it has
// answered, has used up the invite; the client gets in by its key.
func TestKilledBetweenRecordAndAnswer(t *testing.T) {
	dir := newFolder(t)
	ca := startCA(t, dir, nil)
	code := ca.invite("alice", nil)
	alice := ca.newClient()

	people := must[*registry.Registry](t)(registry.Open(t.Context(), filepath.Join(dir, "registry.db"), 1))
	participant := identity.ParticipantOf(&alice.key.PublicKey)
	if _, err := people.EnrolInvited(t.Context(), participant, sha256.Sum256([]byte(code)), ca.time(), func(identity.Role) (registry.Certificate, error) {
		return registry.Certificate{Serial: "abc", Ends: ca.time().Add(time.Hour)}, nil
	}); err != nil {
		t.Fatal(err)
	}
	// What is on the disk while all processes still have it open is what a kill leaves.
	copied := t.TempDir()
	entries := must[[]os.DirEntry](t)(os.ReadDir(dir))
	for _, entry := range entries {
		data := must[[]byte](t)(os.ReadFile(filepath.Join(dir, entry.Name())))
		if err := os.WriteFile(filepath.Join(copied, entry.Name()), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := people.Close(); err != nil {
		t.Fatal(err)
	}

	restarted := startCA(t, copied, nil)
	alice.ca = restarted
	wantCode(t, "the invite again", alice.sign(map[string]any{"invite": code}), auction.CodeBadEnrolment)
	wantCode(t, "renewal", alice.renew(), "")
	if claims := must[map[string]string](t)(identity.ClaimsOf(alice.credential)); claims["username"] != "alice" {
		t.Errorf("claims %v", claims)
	}
	if _, code := alice.issue(); code != "" {
		t.Errorf("issue: %s", code)
	}
}

func TestRenewalAfterTheEnd(t *testing.T) {
	ca := newCA(t)
	alice, bob := ca.enrolled("alice", nil), ca.enrolled("bob", nil)
	ca.pass(8*time.Hour + registry.RenewalGrace)
	_, code := alice.issue()
	wantCode(t, "a token for an ended certificate", code, auction.CodeBadCertificate)
	wantCode(t, "within the grace", alice.renew(), "")
	ca.pass(time.Second)
	wantCode(t, "past the grace", bob.renew(), auction.CodeBadEnrolment)
	wantCode(t, "renewed", alice.renew(), "")
}

func TestProofsAreFresh(t *testing.T) {
	ca := newCA(t)
	alice := ca.enrolled("alice", nil)
	proof := alice.proof(identity.ProofForRenewal)
	ca.pass(nonceLife)
	wantCode(t, "a minute old", alice.sign(map[string]any{"proof": proof}), "")
	ca.pass(time.Microsecond)
	wantCode(t, "older", alice.sign(map[string]any{"proof": proof}), auction.CodeBadEnrolment)
	forToken := alice.proof(identity.ProofForToken)
	wantCode(t, "for another purpose", alice.sign(map[string]any{"proof": forToken}), auction.CodeBadEnrolment)
	own := must[string](t)(identity.NewProof(alice.key, identity.ProofForRenewal, testHouse, newNonces().make(ca.time())))
	wantCode(t, "over another's nonce", alice.sign(map[string]any{"proof": own}), auction.CodeBadEnrolment)
	other := ca.newClient()
	wantCode(t, "by a key that nobody knows", other.renew(), auction.CodeBadEnrolment)
	// Somebody else's request with one's own proof gives nothing.
	thief := ca.newClient()
	thief.csr = alice.csr
	wantCode(t, "another's request", thief.renew(), auction.CodeBadEnrolment)
}

func TestAuditor(t *testing.T) {
	ca := newCA(t)
	var answer struct{ Invite string }
	ca.mustCall("POST", "/api/invites", map[string]string{"username": "eve", "role": "auditor"}, &answer, ca.token)
	eve := ca.newClient()
	wantCode(t, "enrol", eve.sign(map[string]any{"invite": answer.Invite}), "")
	for range 2 {
		chain := must[[][]byte](t)(decodeChain(eve.chain))
		cert := must[*identity.Certificate](t)(ca.verifier().Verify(chain, identity.RoleAuditor, epoch))
		token, code := eve.issue()
		wantCode(t, "issue", code, "")
		if _, err := identity.VerifyToken(token, ca.keys(), testHouse, cert, epoch); err != nil {
			t.Error(err)
		}
		wantCode(t, "renew", eve.renew(), "")
	}
}

func TestOpenMode(t *testing.T) {
	ca := startCA(t, newFolder(t), func(c *Config) { c.Mode = ModeOpen })
	alice := ca.newClient()
	wantCode(t, "enrol", alice.sign(map[string]any{"username": "alice", "attributes": map[string]string{"city": "Bern"}}), "")
	wantCode(t, "the key again", alice.sign(map[string]any{"username": "alice2"}), auction.CodeBadEnrolment)
	wantCode(t, "the name again", ca.newClient().sign(map[string]any{"username": "ALICE"}), auction.CodeBadEnrolment)
	ca.mustCall("POST", "/api/revoke", map[string]string{"participant": alice.certificate().Participant.String(), "reason": "withdrawn"}, nil, ca.token)
	wantCode(t, "the name of somebody revoked", ca.newClient().sign(map[string]any{"username": "alice"}), auction.CodeBadEnrolment)
	wantCode(t, "a bad name", ca.newClient().sign(map[string]any{"username": " "}), auction.CodeBadRequest)
	wantCode(t, "an invite all the same", ca.newClient().sign(map[string]any{"invite": ca.invite("bob", nil)}), "")
}

func TestDescription(t *testing.T) {
	ca := newCA(t)
	var d description
	if err := json.Unmarshal(ca.get("/.well-known/sigilo"), &d); err != nil {
		t.Fatal(err)
	}
	root := must[[][]byte](t)(identity.LoadChain(filepath.Join(ca.dir, FileRoot)))[0]
	want := description{House: testHouse, Mode: ModeInvite, Root: encodeChain([][]byte{root})[0], RootSHA256: auction.Hash(sha256.Sum256(root)).String()}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
}

func TestRevocationListIsKeptFresh(t *testing.T) {
	ca := newCA(t)
	first := ca.revocations()
	if !first.NextUpdate.Equal(epoch.Add(listLife)) {
		t.Errorf("ends %v", first.NextUpdate)
	}
	ca.pass(listFresh - time.Second)
	if again := ca.revocations(); again.Number != first.Number {
		t.Error("a new list without need")
	}
	ca.pass(time.Second)
	if again := ca.revocations(); again.Number != first.Number+1 || !again.NextUpdate.Equal(epoch.Add(listFresh+listLife)) {
		t.Errorf("list %d ends %v", again.Number, again.NextUpdate)
	}
	// The numbers go on after a restart.
	if err := ca.stop(); err != nil {
		t.Fatal(err)
	}
	if again := startCA(t, ca.dir, nil).revocations(); again.Number != first.Number+2 {
		t.Errorf("number %d after a restart", again.Number)
	}
}
