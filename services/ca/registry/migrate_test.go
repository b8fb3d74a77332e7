package registry

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// A registry of the first version keeps its audit, and gets the reasons that it
// lacked. No number of an entry is given again.
func TestMigrateAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	old, err := connect(path, 1, "immediate")
	if err != nil {
		t.Fatal(err)
	}
	revoked := key(1)
	for _, statement := range []struct {
		text string
		args []any
	}{
		{schema1, nil},
		{"PRAGMA user_version = 1", nil},
		{"INSERT INTO people (username, attributes, created_at) VALUES ('alice', '{}', 1)", nil},
		{"INSERT INTO keys VALUES (?, 1, 'participant', 1, 2, 3, 1)", []any{revoked[:]}},
		{"INSERT INTO audit VALUES (4, 1, 'enrolled', 1, ?, 'f1')", []any{revoked[:]}},
		{"INSERT INTO audit VALUES (7, 3, 'revoked', 1, ?, NULL)", []any{revoked[:]}},
	} {
		if _, err := old.ExecContext(t.Context(), statement.text, statement.args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}

	r, err := Open(t.Context(), path, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := r.Audit(t.Context(), 0, 100, epoch)
	if err != nil {
		t.Fatal(err)
	}
	reason, participant := identity.ReasonKeyCompromise, auction.Participant(revoked)
	want := []AuditEntry{
		{ID: 4, At: 1, Action: ActionEnrolled, Person: 1, Participant: &participant, Serial: "f1"},
		{ID: 7, At: 3, Action: ActionRevoked, Person: 1, Participant: &participant, Reason: &reason},
		{ID: 8, At: epoch, Action: ActionExported},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
