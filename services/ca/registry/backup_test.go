package registry

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestBackup(t *testing.T) {
	r, path := open(t)
	enrol(t, r, 1, "ada.lovelace")
	if err := r.Invite(t.Context(), code(9), person("grace.hopper"), epoch, epoch.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	var copied bytes.Buffer
	later := epoch.Add(time.Minute)
	if err := Backup(t.Context(), path, &copied, later); err != nil { // while it is in use
		t.Fatal(err)
	}
	enrol(t, r, 2, "alan.turing") // after the backup

	restored := filepath.Join(t.TempDir(), "registry.db")
	if err := os.WriteFile(restored, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := Open(t.Context(), restored, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	people, err := second.People(t.Context(), auction.Participant{}, 10, epoch)
	if err != nil || len(people) != 1 || people[0].Person.Username != "ada.lovelace" {
		t.Errorf("the copy knows %v, %v", people, err)
	}
	for whose, of := range map[string]*Registry{"the registry": r, "the copy": second} {
		entries, err := of.Audit(t.Context(), 0, 100, epoch)
		told := func(e AuditEntry) bool { return e == AuditEntry{ID: e.ID, At: later, Action: ActionCopied} }
		if err != nil || !slices.ContainsFunc(entries, told) {
			t.Errorf("%s does not tell of the copy: %v, %v", whose, entries, err)
		}
	}
	if _, err := second.EnrolInvited(t.Context(), key(3), code(9), epoch, serials("3")); err != nil {
		t.Errorf("an open invite: %v", err)
	}
	if _, err := second.EnrolInvited(t.Context(), key(4), code(1), epoch, serials("4")); err == nil {
		t.Error("an invite that was used is open again")
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 3 { // with -wal and -shm
		t.Errorf("left behind: %v %v", files, err)
	}
}

func TestBackupOfNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	if err := Backup(t.Context(), path, io.Discard, epoch); err == nil {
		t.Error("a file that is not there is copied")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the backup made a registry")
	}
}
