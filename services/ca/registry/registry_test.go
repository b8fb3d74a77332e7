package registry

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

const epoch = auction.Time(1_772_366_400_000_000)

func open(t *testing.T) (*Registry, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registry.db")
	r, err := Open(t.Context(), path, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, path
}

func person(name string) Person {
	return Person{Username: name, Attributes: map[string]string{"city": "Bern"}, Role: identity.RoleParticipant}
}

func key(n byte) auction.Participant { return auction.Participant{n} }

func code(n byte) auction.Hash { return auction.Hash{n} }

// serials gives certificates that end an hour after the epoch.
func serials(serial string) Issue {
	return func(identity.Role) (Certificate, error) {
		return Certificate{Serial: serial, Ends: epoch.Add(time.Hour)}, nil
	}
}

func wantCode(t *testing.T, err error, want auction.Code) {
	t.Helper()
	if got := auction.CodeOf(err); got != want {
		t.Fatalf("code %q, want %q (%v)", got, want, err)
	}
}

// enrol enrols a person by an invite.
func enrol(t *testing.T, r *Registry, n byte, name string) {
	t.Helper()
	if err := r.Invite(t.Context(), code(n), person(name), epoch, epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.EnrolInvited(t.Context(), key(n), code(n), epoch, serials(fmt.Sprintf("%x", n))); err != nil {
		t.Fatal(err)
	}
}

// auditTrail reads the audit, which adds one entry that is left out here.
func (r *Registry) auditTrail(t *testing.T) []string {
	t.Helper()
	entries, err := r.Audit(t.Context(), 0, 1000, epoch)
	if err != nil || len(entries) == 0 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	var trail []string
	for _, e := range entries {
		if e.Action != ActionExported {
			trail = append(trail, strings.TrimSpace(fmt.Sprintf("%s %d %s", e.Action, e.Person, e.Serial)))
		}
	}
	return trail
}

func TestLifeOfAPerson(t *testing.T) {
	r, path := open(t)
	ctx := t.Context()
	enrol(t, r, 1, "alice")
	wantCode(t, r.Usable(ctx, key(1), "1"), "")
	wantCode(t, r.Usable(ctx, key(1), "2"), auction.CodeBadCertificate)
	wantCode(t, r.Usable(ctx, key(2), "1"), auction.CodeBadEnrolment)
	got, err := r.Renew(ctx, key(1), epoch.Add(time.Hour), serials("f1"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(person("alice"), got); diff != "" {
		t.Error(diff)
	}
	wantCode(t, r.Usable(ctx, key(1), "1"), auction.CodeBadCertificate) // superseded
	wantCode(t, r.Usable(ctx, key(1), "f1"), "")
	if got, err := r.KeyOfSerial(ctx, "f1"); err != nil || got != key(1) {
		t.Errorf("key %v, %v", got, err)
	}
	_, err = r.KeyOfSerial(ctx, "f2")
	wantCode(t, err, auction.CodeBadRequest)
	wantCode(t, r.Revoke(ctx, key(2), identity.ReasonWithdrawn, epoch), auction.CodeBadRequest)
	for range 2 {
		wantCode(t, r.Revoke(ctx, key(1), identity.ReasonWithdrawn, epoch), "")
	}
	wantCode(t, r.Usable(ctx, key(1), "f1"), auction.CodeCertificateRevoked)
	_, err = r.Renew(ctx, key(1), epoch, serials("f3"))
	wantCode(t, err, auction.CodeCertificateRevoked)

	want := Revocation{Number: 1, Entries: []identity.Revoked{
		{Serial: "1", At: epoch.Std(), Reason: identity.ReasonWithdrawn},
		{Serial: "f1", At: epoch.Std(), Reason: identity.ReasonWithdrawn},
	}}
	next, err := r.NextRevocation(ctx, epoch.Add(24*time.Hour))
	if diff := cmp.Diff(want, next); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	next, err = r.NextRevocation(ctx, epoch.Add(26*time.Hour))
	if diff := cmp.Diff(Revocation{Number: 2}, next); err != nil || diff != "" {
		t.Errorf("a day after their end: %v %s", err, diff)
	}

	enrol(t, r, 3, "alice") // under a new key
	if diff := cmp.Diff([]string{
		"invited 1", "enrolled 1 1", "renewed 1 f1", "revoked 1", "invited 1", "enrolled 1 3",
	}, r.auditTrail(t)); diff != "" {
		t.Error(diff)
	}
	again, err := Open(ctx, path, 2) // while the first is open
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, again.Usable(ctx, key(3), "3"), "")
	if err := errors.Join(again.Ready(ctx), again.Close()); err != nil {
		t.Error(err)
	}
}

func TestInvites(t *testing.T) {
	r, _ := open(t)
	ctx := t.Context()
	if err := r.Invite(ctx, code(1), person("alice"), epoch, epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		code auction.Hash
		at   auction.Time
	}{
		"unknown": {code(2), epoch}, "ended": {code(1), epoch.Add(time.Hour)},
	} {
		_, err := r.EnrolInvited(ctx, key(1), c.code, c.at, serials("1"))
		if auction.CodeOf(err) != auction.CodeBadEnrolment {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.EnrolInvited(ctx, key(1), code(1), epoch, serials("1")); err != nil {
		t.Fatal(err)
	}
	_, err := r.EnrolInvited(ctx, key(2), code(1), epoch, serials("2"))
	wantCode(t, err, auction.CodeBadEnrolment)
	// A key that is somebody's already.
	if err := r.Invite(ctx, code(6), person("carol"), epoch, epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	_, err = r.EnrolInvited(ctx, key(1), code(6), epoch, serials("6"))
	wantCode(t, err, auction.CodeBadEnrolment)
}

func TestAPersonHasFewKeys(t *testing.T) {
	r, _ := open(t) // two
	ctx := t.Context()
	for n := byte(1); n <= 3; n++ {
		if err := r.Invite(ctx, code(n), person([]string{"bob", "Bob"}[n%2]), epoch, epoch.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	for n := byte(1); n <= 2; n++ {
		if _, err := r.EnrolInvited(ctx, key(n), code(n), epoch, serials(fmt.Sprintf("%x", n))); err != nil {
			t.Fatal(err)
		}
	}
	// The invite of the third comes too late, and is not used up.
	_, err := r.EnrolInvited(ctx, key(3), code(3), epoch, serials("3"))
	wantCode(t, err, auction.CodeBadEnrolment)
	wantCode(t, r.Invite(ctx, code(4), person("bob"), epoch, epoch.Add(time.Hour)), auction.CodeBadRequest)
	wantCode(t, r.Revoke(ctx, key(1), identity.ReasonSuperseded, epoch), "")
	if _, err := r.EnrolInvited(ctx, key(3), code(3), epoch, serials("3")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, r.EnrolOpen(ctx, key(5), person("bob"), epoch, serials("5")), auction.CodeBadEnrolment)
}

// What fails on the way leaves nothing behind: the invite is good, the key unknown.
func TestAFailedEnrolmentChangesNothing(t *testing.T) {
	r, _ := open(t)
	ctx := t.Context()
	if err := r.Invite(ctx, code(1), person("alice"), epoch, epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	before := r.auditTrail(t)
	broken := errors.New("no certificate")
	_, err := r.EnrolInvited(ctx, key(1), code(1), epoch, func(identity.Role) (Certificate, error) { return Certificate{}, broken })
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, r.auditTrail(t)); diff != "" {
		t.Error(diff)
	}
	wantCode(t, r.Usable(ctx, key(1), "1"), auction.CodeBadEnrolment)
	if _, err := r.EnrolInvited(ctx, key(1), code(1), epoch, serials("1")); err != nil {
		t.Fatal(err)
	}
}

func TestPeopleComeInPages(t *testing.T) {
	r, _ := open(t)
	for n := byte(1); n <= 5; n++ {
		if err := r.EnrolOpen(t.Context(), key(n), person(fmt.Sprintf("p%d", n)), epoch, serials(fmt.Sprintf("%x", n))); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for after := (auction.Participant{}); ; {
		page, err := r.People(t.Context(), after, 2, epoch)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			names = append(names, e.Person.Username)
			after = e.Participant
		}
	}
	if diff := cmp.Diff([]string{"p1", "p2", "p3", "p4", "p5"}, names); diff != "" {
		t.Error(diff)
	}
	wantCode(t, r.EnrolOpen(t.Context(), key(9), person("P1"), epoch, serials("9")), auction.CodeBadEnrolment)
}

// The database itself refuses to forget.
func TestTheAuditOnlyGrows(t *testing.T) {
	r, path := open(t)
	enrol(t, r, 1, "alice")
	before := r.auditTrail(t)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		"UPDATE audit SET person = 2", "DELETE FROM audit", "DELETE FROM audit WHERE id = 1",
		"INSERT INTO audit (at, action, person) VALUES (1, 'forgotten', 1)",
	} {
		if _, err := db.ExecContext(t.Context(), statement); err == nil {
			t.Errorf("%s: done", statement)
		}
	}
	if diff := cmp.Diff(before, r.auditTrail(t)); diff != "" {
		t.Error(diff)
	}
}

func TestFile(t *testing.T) {
	r, path := open(t)
	enrol(t, r, 1, "alice")
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	newer, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer newer.Close()
	if _, err := newer.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, 2); err == nil {
		t.Error("a registry of a newer program is opened")
	}
	if _, err := Open(t.Context(), filepath.Join(path, "no"), 2); err == nil {
		t.Error("a registry below a file is opened")
	}
}
