package registry

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// An Entry is a key and who is behind it, as an operator sees it.
type Entry struct {
	ID          int64 // of the person, as the audit table names them
	Participant auction.Participant
	Person      Person
	Enrolled    auction.Time
	Ends        auction.Time // of the latest certificate
	Revoked     bool
}

// People returns up to limit entries whose participant comes after the given
// one, in the order of participants, and records that they were looked at. Nobody
// who is erased is among them.
func (r *Registry) People(ctx context.Context, after auction.Participant, limit int, now auction.Time) ([]Entry, error) {
	if err := r.noteOperator(ctx, ActionListed, now); err != nil {
		return nil, err
	}
	rows, err := r.read.QueryContext(ctx, `SELECT people.id, participant, username, attributes, role, enrolled_at, ends_at, revoked_at IS NOT NULL
		FROM keys JOIN people ON people.id = keys.person WHERE participant > ? AND erased_at IS NULL ORDER BY participant LIMIT ?`, after[:], limit)
	if err != nil {
		return nil, fmt.Errorf("list people: %w", err)
	}
	defer rows.Close()
	var entries []Entry
	for rows.Next() {
		var e Entry
		var participant []byte
		var attributes string
		if err := rows.Scan(&e.ID, &participant, &e.Person.Username, &attributes, &e.Person.Role, &e.Enrolled, &e.Ends, &e.Revoked); err != nil {
			return nil, fmt.Errorf("list people: %w", err)
		}
		e.Participant = auction.Participant(participant) // the schema holds its length
		if err := json.Unmarshal([]byte(attributes), &e.Person.Attributes); err != nil {
			return nil, fmt.Errorf("decode attributes: %w", err)
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// An Action is what an audit entry tells of.
type Action string

// The actions. The last four are an operator's, as are invited and revoked.
const (
	ActionInvited  Action = "invited"
	ActionEnrolled Action = "enrolled"
	ActionRenewed  Action = "renewed"
	ActionRevoked  Action = "revoked"
	ActionErased   Action = "erased"
	ActionListed   Action = "listed"   // a page of people, with their names
	ActionExported Action = "exported" // a page of this table
	ActionCopied   Action = "copied"   // the whole registry, with all names: see Backup
)

// An AuditEntry is a line of the audit table. It names no person.
type AuditEntry struct {
	ID          int64 // rises
	At          auction.Time
	Action      Action
	Person      int64                      // 0: none
	Participant *auction.Participant       // nil: none
	Serial      string                     // "": none
	Reason      *identity.RevocationReason // of what is revoked, else nil
}

// Audit returns up to limit entries after the one with the given id, in their
// order, and records that they were looked at.
func (r *Registry) Audit(ctx context.Context, after int64, limit int, now auction.Time) ([]AuditEntry, error) {
	if err := r.noteOperator(ctx, ActionExported, now); err != nil {
		return nil, err
	}
	rows, err := r.read.QueryContext(ctx, `SELECT id, at, action, coalesce(person, 0), participant, coalesce(serial, ''), reason
		FROM audit WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read audit: %w", err)
	}
	defer rows.Close()
	var entries []AuditEntry
	for rows.Next() {
		var e AuditEntry
		var participant []byte
		if err := rows.Scan(&e.ID, &e.At, &e.Action, &e.Person, &participant, &e.Serial, &e.Reason); err != nil {
			return nil, fmt.Errorf("read audit: %w", err)
		}
		if participant != nil {
			p := auction.Participant(participant)
			e.Participant = &p
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

func (r *Registry) noteOperator(ctx context.Context, action Action, now auction.Time) error {
	return r.change(ctx, func(tx *tx) error { return record(tx, AuditEntry{At: now, Action: action}) })
}

// record adds an entry, whose id it chooses.
func record(tx *tx, e AuditEntry) error {
	var participant []byte
	if e.Participant != nil {
		participant = e.Participant[:]
	}
	var reason any
	if e.Reason != nil {
		reason = int(*e.Reason)
	}
	if err := tx.exec("INSERT INTO audit (at, action, person, participant, serial, reason) VALUES (?, ?, nullif(?, 0), ?, nullif(?, ''), ?)",
		e.At, string(e.Action), e.Person, participant, e.Serial, reason); err != nil {
		return fmt.Errorf("record in audit: %w", err)
	}
	return nil
}
