package registry

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// traces counts a text in the registry's files, in any case of letters.
func traces(t *testing.T, path, text string) int {
	t.Helper()
	n := 0
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		data, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		n += bytes.Count(bytes.ToLower(data), []byte(text))
	}
	return n
}

// Whatever the pages were through, nothing of somebody who is erased is on them.
func TestErasedFromEveryPage(t *testing.T) {
	r, path := open(t)
	ctx := t.Context()
	const rounds = 40 // several pages a table
	someone := func(n int) Person {
		name := fmt.Sprintf("somebody-%03d", n)
		return Person{Username: name, Attributes: map[string]string{"place": "place-of-" + name}, Role: identity.RoleParticipant}
	}
	for n := range rounds {
		if err := r.Invite(ctx, code(byte(n)), someone(n), epoch, epoch.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if n%5 != 0 { // the others never come
			if _, err := r.EnrolInvited(ctx, key(byte(n)), code(byte(n)), epoch, serials(fmt.Sprintf("%x", n))); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := r.auditTrail(t)
	for n := 0; n < rounds; n += 10 {
		name := someone(n).Username
		if traces(t, path, name) == 0 {
			t.Fatalf("%s was nowhere", name)
		}
		if err := r.Erase(ctx, []string{name, "SOMEBODY" + name[8:]}[n%2], epoch); err != nil {
			t.Fatal(err)
		}
		if found := traces(t, path, name); found != 0 {
			t.Errorf("%s is still there %d times", name, found)
		}
	}
	if traces(t, path, someone(1).Username) == 0 {
		t.Error("somebody else is gone")
	}
	if diff := cmp.Diff(before, r.auditTrail(t)[:len(before)]); diff != "" {
		t.Errorf("the audit changed: %s", diff)
	}
}

func TestEraseRevokesAndFreesTheName(t *testing.T) {
	r, _ := open(t)
	ctx := t.Context()
	enrol(t, r, 1, "alice")
	enrol(t, r, 2, "alice")
	if err := r.Invite(ctx, code(3), person("bob"), epoch, epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, r.Erase(ctx, "carol", epoch), auction.CodeBadRequest)
	for _, name := range []string{"alice", "bob"} {
		wantCode(t, r.Erase(ctx, name, epoch), "")
		wantCode(t, r.Erase(ctx, name, epoch), auction.CodeBadRequest)
	}
	wantCode(t, r.Usable(ctx, key(1), "1"), auction.CodeCertificateRevoked)
	_, err := r.Renew(ctx, key(2), epoch, serials("f2"))
	wantCode(t, err, auction.CodeCertificateRevoked)
	_, err = r.EnrolInvited(ctx, key(3), code(3), epoch, serials("3"))
	wantCode(t, err, auction.CodeBadEnrolment)
	next, err := r.NextRevocation(ctx, epoch)
	if err != nil || len(next.Entries) != 2 || next.Entries[0].Reason != identity.ReasonCessation {
		t.Errorf("revocations %+v, %v", next, err)
	}

	enrol(t, r, 4, "alice") // another of that name, or the same: nobody knows
	if err := r.Invite(ctx, code(5), person("dora"), epoch, epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	_, err = r.EnrolInvited(ctx, key(1), code(5), epoch, serials("5"))
	wantCode(t, err, auction.CodeBadEnrolment) // the key was somebody's
	page, err := r.People(ctx, auction.Participant{}, 10, epoch)
	if err != nil || len(page) != 1 || page[0].Participant != key(4) || page[0].ID == 1 {
		t.Errorf("people %+v, %v", page, err)
	}
	if diff := cmp.Diff([]string{
		"invited 1", "enrolled 1 1", "invited 1", "enrolled 1 2", "invited 3",
		"revoked 1", "revoked 1", "erased 1", "erased 3",
		"invited 4", "enrolled 4 4", "invited 5", "listed 0",
	}, r.auditTrail(t)); diff != "" {
		t.Error(diff)
	}
}

func TestRetention(t *testing.T) {
	r, path := open(t)
	ctx := t.Context()
	enrol(t, r, 1, "alice")
	enrol(t, r, 2, "renewer")
	const retention = 100 * 24 * time.Hour
	if _, err := r.Renew(ctx, key(2), epoch.Add(time.Hour), func(identity.Role) (Certificate, error) {
		return Certificate{Serial: "f2", Ends: epoch.Add(2 * time.Hour)}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.Invite(ctx, code(3), person("latecomer"), epoch, epoch.Add(3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after time.Duration
		gone  []string
	}{
		{retention + time.Hour - time.Microsecond, nil},
		{retention + time.Hour, []string{"alice"}},
		{retention + 2*time.Hour, []string{"renewer"}},
		{retention + 2*time.Hour, nil},
		{retention + 3*time.Hour, []string{"latecomer"}},
	} {
		n, err := r.EraseIdle(ctx, retention, epoch.Add(step.after))
		if err != nil || n != len(step.gone) {
			t.Errorf("after %v: %d erased, %v", step.after, n, err)
		}
		for _, name := range step.gone {
			if traces(t, path, name) > 0 {
				t.Errorf("%s is still there", name)
			}
		}
	}
}
