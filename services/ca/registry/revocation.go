package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// KeyOfSerial returns the key that a certificate was issued for. It refuses with
// bad_request a serial number that is not the CA's.
func (r *Registry) KeyOfSerial(ctx context.Context, serial string) (auction.Participant, error) {
	var b []byte
	err := r.read.QueryRowContext(ctx, "SELECT participant FROM certificates WHERE serial = ?", serial).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return auction.Participant{}, auction.Refuse(auction.CodeBadRequest, "no certificate has this serial number")
	}
	if err != nil {
		return auction.Participant{}, fmt.Errorf("look for certificate: %w", err)
	}
	return auction.Participant(b), nil // the schema holds its length
}

// Revoke revokes a key and with it all of its certificates. Doing it again
// changes nothing. It refuses with bad_request a key that is not enrolled.
func (r *Registry) Revoke(ctx context.Context, key auction.Participant, reason identity.RevocationReason, now auction.Time) error {
	return r.change(ctx, func(tx *tx) error {
		var person int64
		var revoked sql.NullInt64
		err := tx.row("SELECT person, revoked_at FROM keys WHERE participant = ?", key[:]).Scan(&person, &revoked)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return auction.Refuse(auction.CodeBadRequest, "no such participant is enrolled")
		case err != nil:
			return fmt.Errorf("look for key: %w", err)
		case revoked.Valid:
			return nil
		}
		return revoke(tx, key, person, reason, now)
	})
}

func revoke(tx *tx, key auction.Participant, person int64, reason identity.RevocationReason, now auction.Time) error {
	if err := tx.exec("UPDATE keys SET revoked_at = ?, reason = ? WHERE participant = ?", now, int(reason), key[:]); err != nil {
		return fmt.Errorf("record revocation: %w", err)
	}
	return record(tx, AuditEntry{At: now, Action: ActionRevoked, Person: person, Participant: &key, Reason: &reason})
}

// A Revocation is the content of the next revocation list.
type Revocation struct {
	Number  int64 // one more than that of the list before
	Entries []identity.Revoked
}

// crlKeep is how long an ended certificate stays on the list: at least one list
// after its end has it (RFC 5280 3.3).
const crlKeep = 24 * time.Hour

// NextRevocation numbers a new list, and returns what is to be on it.
func (r *Registry) NextRevocation(ctx context.Context, now auction.Time) (Revocation, error) {
	var next Revocation
	err := r.change(ctx, func(tx *tx) error {
		if err := tx.row("UPDATE counters SET value = value + 1 WHERE name = 'crl' RETURNING value").Scan(&next.Number); err != nil {
			return fmt.Errorf("number revocation list: %w", err)
		}
		rows, err := tx.query(`SELECT serial, revoked_at, reason FROM certificates JOIN keys USING (participant)
			WHERE revoked_at IS NOT NULL AND certificates.ends_at > ? ORDER BY serial`, now.Add(-crlKeep))
		if err != nil {
			return fmt.Errorf("list revoked certificates: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var entry identity.Revoked
			var at auction.Time
			if err := rows.Scan(&entry.Serial, &at, &entry.Reason); err != nil {
				return fmt.Errorf("list revoked certificates: %w", err)
			}
			entry.At = at.Std()
			next.Entries = append(next.Entries, entry)
		}
		return rows.Err()
	})
	return next, err
}
