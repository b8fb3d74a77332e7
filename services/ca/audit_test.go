package ca

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/services/ca/registry"
)

// entries reads the whole audit.
func (c *testCA) entries() []auditEntry {
	c.t.Helper()
	var all []auditEntry
	for path := "/api/audit"; ; {
		var page auditAnswer
		c.mustCall("GET", path, nil, &page, c.token)
		all = append(all, page.Entries...)
		if page.Next == 0 {
			return all
		}
		path = fmt.Sprintf("/api/audit?after=%d", page.Next)
	}
}

func TestAudit(t *testing.T) {
	ca := newCA(t)
	alice := ca.enrolled("alice", nil)
	cert := alice.certificate()
	ca.pass(time.Second)
	wantCode(t, "renew", alice.renew(), "")
	var people peopleAnswer
	ca.mustCall("GET", "/api/people", nil, &people, ca.token)
	ca.mustCall("POST", "/api/revoke", map[string]string{"serial": cert.Serial, "reason": "withdrawn"}, nil, ca.token)

	at, later, key := auction.TimeOf(epoch), auction.TimeOf(epoch).Add(time.Second), cert.Participant.String()
	want := []auditEntry{
		{ID: 1, At: at, Action: "invited", Person: people.People[0].Person},
		{ID: 2, At: at, Action: "enrolled", Person: 1, Participant: key, Serial: cert.Serial},
		{ID: 3, At: later, Action: "renewed", Person: 1, Participant: key, Serial: alice.certificate().Serial},
		{ID: 4, At: later, Action: "listed"},
		{ID: 5, At: later, Action: "revoked", Person: 1, Participant: key, Reason: "withdrawn"},
		{ID: 6, At: later, Action: "exported"},
	}
	if diff := cmp.Diff(want, ca.entries()); diff != "" {
		t.Error(diff)
	}
}

func TestAuditComesInPages(t *testing.T) {
	ca := newCA(t)
	for range auditPage {
		ca.mustCall("GET", "/api/audit?after=1000000", nil, nil, ca.token)
	}
	all := ca.entries()
	if len(all) != auditPage+2 { // each page that is read is an entry too
		t.Errorf("%d entries", len(all))
	}
	for i, e := range all {
		if e.ID != int64(i+1) {
			t.Fatalf("entry %d has the id %d", i, e.ID)
		}
	}
}

func TestErase(t *testing.T) {
	ca := newCA(t)
	alice := ca.enrolled("alice", map[string]string{"city": "Bern"})
	ca.revocations()
	ca.mustCall("POST", "/api/erase", map[string]string{"username": "Alice"}, nil, ca.token)
	if err := ca.revocations().Check(alice.certificate(), ca.time().Std()); auction.CodeOf(err) != auction.CodeCertificateRevoked {
		t.Errorf("her certificate: %v", err)
	}
	_, code := alice.issue()
	wantCode(t, "a token", code, auction.CodeCertificateRevoked)
	var people peopleAnswer
	ca.mustCall("GET", "/api/people", nil, &people, ca.token)
	if len(people.People) != 0 {
		t.Errorf("people %+v", people)
	}
}

func TestRetentionEnds(t *testing.T) {
	dir := newFolder(t)
	ca := startCA(t, dir, nil)
	ca.enrolled("alice", nil)
	if err := ca.stop(); err != nil {
		t.Fatal(err)
	}
	const retention = registry.RenewalGrace
	ca = startCA(t, dir, func(c *Config) {
		c.Retention = retention
		c.Clock = func() (auction.Time, error) { return auction.TimeOf(epoch.Add(8*time.Hour + retention)), nil }
	})
	deadline := time.Now().Add(time.Minute)
	for erased := false; !erased; {
		if time.Now().After(deadline) {
			t.Fatal("nobody is erased")
		}
		for _, e := range ca.entries() {
			erased = erased || e.Action == registry.ActionErased && e.Person == 1
		}
	}
	if err := ca.stop(); err != nil {
		t.Fatal(err)
	}
	if log := ca.log.String(); !strings.Contains(log, "erased after retention") || strings.Contains(log, "alice") {
		t.Errorf("log: %s", log)
	}
}

func TestOnlyTheLatestCertificateGetsTokens(t *testing.T) {
	ca := newCA(t)
	alice := ca.enrolled("alice", nil)
	first := alice.chain
	wantCode(t, "renew", alice.renew(), "")
	latest := alice.chain
	alice.chain = first
	_, code := alice.issue()
	wantCode(t, "a token for the first", code, auction.CodeBadCertificate)
	alice.chain = latest
	_, code = alice.issue()
	wantCode(t, "a token for the latest", code, "")
}

func TestKeysOfAPerson(t *testing.T) {
	ca := startCA(t, newFolder(t), func(c *Config) { c.MaxKeys = 2 })
	spare := ca.invite("alice", nil)
	phone, laptop := ca.enrolled("alice", nil), ca.enrolled("alice", nil)
	third := ca.newClient()
	wantCode(t, "a third key", third.sign(map[string]any{"invite": spare}), auction.CodeBadEnrolment)
	for _, p := range []*client{phone, laptop} {
		_, code := p.issue()
		wantCode(t, "a token", code, "")
	}
	ca.mustCall("POST", "/api/revoke", map[string]string{"participant": phone.certificate().Participant.String(), "reason": "key_compromise"}, nil, ca.token)
	wantCode(t, "in place of the first", third.sign(map[string]any{"invite": spare}), "")
	_, code := laptop.issue()
	wantCode(t, "the other key", code, "")
}
