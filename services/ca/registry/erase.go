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

// Erase forgets who somebody is: name, attributes and invites go, in every page of
// the file and of its log. Their keys are revoked, and stay without a name as the
// audit table has them. Only copies of the file made before know more. It refuses
// with bad_request a name that nobody has. After any other error, call it again.
func (r *Registry) Erase(ctx context.Context, username string, now auction.Time) error {
	err := r.change(ctx, func(tx *tx) error {
		var id int64
		err := tx.row("SELECT id FROM people WHERE username = ?", username).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return errUnknownName
		}
		if err != nil {
			return fmt.Errorf("look for person: %w", err)
		}
		return erase(tx, id, now)
	})
	if err != nil && !errors.Is(err, errUnknownName) {
		return err
	}
	// Also for an unknown name: it may be one of which only this failed.
	if scrubErr := r.scrub(ctx); scrubErr != nil {
		return scrubErr
	}
	return err
}

var errUnknownName = auction.Refuse(auction.CodeBadRequest, "nobody is registered under this username")

// EraseIdle erases everybody whose last certificate and last unused invite ended longer
// than retention ago, and returns how many they were.
func (r *Registry) EraseIdle(ctx context.Context, retention time.Duration, now auction.Time) (int, error) {
	erased := 0
	err := r.change(ctx, func(tx *tx) error {
		people, err := idle(tx, now.Add(-retention))
		if err != nil {
			return err
		}
		for _, id := range people {
			if err := erase(tx, id, now); err != nil {
				return err
			}
		}
		erased = len(people)
		return nil
	})
	if err != nil || erased == 0 {
		return 0, err
	}
	return erased, r.scrub(ctx)
}

// idle returns those of whom nothing is or was good after a time.
func idle(tx *tx, since auction.Time) ([]int64, error) {
	return collect[int64](tx.query(`SELECT id FROM people WHERE erased_at IS NULL AND created_at <= ?1
		AND NOT EXISTS (SELECT 1 FROM keys WHERE person = people.id AND ends_at > ?1)
		AND NOT EXISTS (SELECT 1 FROM invites WHERE person = people.id AND used_at IS NULL AND expires_at > ?1)`, since))
}

func erase(tx *tx, id int64, now auction.Time) error {
	keys, err := collect[[]byte](tx.query("SELECT participant FROM keys WHERE person = ? AND revoked_at IS NULL", id))
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := revoke(tx, auction.Participant(key), id, identity.ReasonCessation, now); err != nil {
			return err
		}
	}
	if err := tx.exec("DELETE FROM invites WHERE person = ?", id); err != nil {
		return fmt.Errorf("erase invites: %w", err)
	}
	if err := tx.exec("UPDATE people SET username = NULL, attributes = NULL, subject = NULL, erased_at = ? WHERE id = ?", now, id); err != nil {
		return fmt.Errorf("erase person: %w", err)
	}
	return record(tx, AuditEntry{At: now, Action: ActionErased, Person: id})
}

// scrub writes the file anew, since a page may hold remains of what has moved
// out of it, and then empties the write-ahead log, which has the pages of before.
// It is done whoever loses patience.
func (r *Registry) scrub(ctx context.Context) error {
	return r.writer.put(context.WithoutCancel(ctx), r.writer.chores, func(tx *tx) error {
		if err := tx.exec("VACUUM"); err != nil {
			return fmt.Errorf("rewrite registry: %w", err)
		}
		var busy, logged, moved int
		if err := tx.row("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &logged, &moved); err != nil {
			return fmt.Errorf("empty the registry's log: %w", err)
		}
		if busy != 0 {
			return errors.New("empty the registry's log: another process reads the registry")
		}
		return nil
	})
}

// collect reads the one column of all rows.
func collect[T any](rows *sql.Rows, err error) ([]T, error) {
	if err != nil {
		return nil, fmt.Errorf("query registry: %w", err)
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, fmt.Errorf("query registry: %w", err)
		}
		all = append(all, v)
	}
	return all, rows.Err()
}
