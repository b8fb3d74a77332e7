package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// A Person is what the registry knows of somebody. Username and attributes must
// have passed identity.CheckPerson.
type Person struct {
	Username   string
	Attributes map[string]string
	Role       identity.Role // of their key: participant or auditor
}

// An Issue makes the certificate that is then recorded. It is called once all
// else is known to be good, and its error ends the change.
type Issue func(identity.Role) (Certificate, error)

// A Certificate is what is recorded of one.
type Certificate struct {
	Serial string
	Ends   auction.Time
}

// RenewalGrace is how long after the end of its last certificate a key may be
// renewed: somebody who was away for a summer is still who they are.
const RenewalGrace = 90 * 24 * time.Hour

// Invite records that whoever shows the code with this hash may enrol as the
// person, once and before expires. It refuses with bad_request a username that
// is in use.
func (r *Registry) Invite(ctx context.Context, code auction.Hash, p Person, now, expires auction.Time) error {
	return r.change(ctx, func(tx *sql.Tx) error {
		live, err := hasLiveKey(ctx, tx, p.Username)
		if err != nil {
			return err
		}
		if live {
			return auction.Refuse(auction.CodeBadRequest, "this username has a key in use; revoke it first")
		}
		attributes, err := json.Marshal(p.Attributes)
		if err != nil {
			return fmt.Errorf("encode attributes: %w", err)
		}
		if _, err := tx.ExecContext(ctx,
			"INSERT INTO invites (code_hash, username, attributes, role, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
			code[:], p.Username, string(attributes), string(p.Role), now, expires); err != nil {
			return fmt.Errorf("record invite: %w", err)
		}
		return audit(ctx, tx, now, "invited", nil, p.Username, "")
	})
}

func hasLiveKey(ctx context.Context, tx *sql.Tx, username string) (bool, error) {
	var live bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM people JOIN keys ON keys.person = people.id
		WHERE people.username = ? AND keys.revoked_at IS NULL)`, username).Scan(&live)
	if err != nil {
		return false, fmt.Errorf("look for username: %w", err)
	}
	return live, nil
}

// EnrolInvited uses up an invite for a key and returns the person who it was
// for. Somebody whose earlier key is revoked comes back under their name in this
// way. It refuses with bad_enrolment.
func (r *Registry) EnrolInvited(ctx context.Context, key auction.Participant, code auction.Hash, now auction.Time, issue Issue) (Person, error) {
	var person Person
	err := r.change(ctx, func(tx *sql.Tx) error {
		var err error
		if person, err = takeInvite(ctx, tx, code, now); err != nil {
			return err
		}
		id, err := addPerson(ctx, tx, person, now)
		if err != nil {
			return err
		}
		return addKey(ctx, tx, key, id, person, now, issue)
	})
	return person, err
}

// EnrolOpen enrols somebody under a name that nobody has had yet. It refuses
// with bad_enrolment.
func (r *Registry) EnrolOpen(ctx context.Context, key auction.Participant, p Person, now auction.Time, issue Issue) error {
	return r.change(ctx, func(tx *sql.Tx) error {
		var known bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM people WHERE username = ?)", p.Username).Scan(&known); err != nil {
			return fmt.Errorf("look for username: %w", err)
		}
		if known {
			return auction.Refuse(auction.CodeBadEnrolment, "this username is taken: choose another")
		}
		id, err := addPerson(ctx, tx, p, now)
		if err != nil {
			return err
		}
		return addKey(ctx, tx, key, id, p, now, issue)
	})
}

func takeInvite(ctx context.Context, tx *sql.Tx, code auction.Hash, now auction.Time) (Person, error) {
	var person Person
	var attributes string
	// One answer for unknown, used and ended: a guess learns nothing.
	err := tx.QueryRowContext(ctx, `UPDATE invites SET used_at = ? WHERE code_hash = ? AND used_at IS NULL AND expires_at > ?
		RETURNING username, attributes, role`, now, code[:], now).Scan(&person.Username, &attributes, &person.Role)
	if errors.Is(err, sql.ErrNoRows) {
		return Person{}, auction.Refuse(auction.CodeBadEnrolment, "the invite is unknown, used or ended: ask for a new one")
	}
	if err != nil {
		return Person{}, fmt.Errorf("take invite: %w", err)
	}
	if err := json.Unmarshal([]byte(attributes), &person.Attributes); err != nil {
		return Person{}, fmt.Errorf("decode attributes: %w", err)
	}
	return person, nil
}

// addPerson adds somebody, or brings the attributes of somebody who comes back
// up to date, and returns their id.
func addPerson(ctx context.Context, tx *sql.Tx, p Person, now auction.Time) (int64, error) {
	attributes, err := json.Marshal(p.Attributes)
	if err != nil {
		return 0, fmt.Errorf("encode attributes: %w", err)
	}
	var id int64
	err = tx.QueryRowContext(ctx, `INSERT INTO people (username, attributes, created_at) VALUES (?, ?, ?)
		ON CONFLICT (username) DO UPDATE SET attributes = excluded.attributes RETURNING id`,
		p.Username, string(attributes), now).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("record person: %w", err)
	}
	return id, nil
}

func addKey(ctx context.Context, tx *sql.Tx, key auction.Participant, id int64, p Person, now auction.Time, issue Issue) error {
	var known, live bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM keys WHERE participant = ?),
		EXISTS (SELECT 1 FROM keys WHERE person = ? AND revoked_at IS NULL)`, key[:], id).Scan(&known, &live); err != nil {
		return fmt.Errorf("look for key: %w", err)
	}
	if known {
		return auction.Refuse(auction.CodeBadEnrolment, "this key is enrolled already: renew it, or make a new one")
	}
	if live {
		return auction.Refuse(auction.CodeBadEnrolment, "this username is taken")
	}
	cert, err := issue(p.Role)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO keys (participant, person, role, enrolled_at, ends_at) VALUES (?, ?, ?, ?, ?)",
		key[:], id, string(p.Role), now, cert.Ends); err != nil {
		return fmt.Errorf("record key: %w", err)
	}
	return addCertificate(ctx, tx, key, cert, now, "enrolled", p.Username)
}

func addCertificate(ctx context.Context, tx *sql.Tx, key auction.Participant, cert Certificate, now auction.Time, action, username string) error {
	if _, err := tx.ExecContext(ctx, "INSERT INTO certificates (serial, participant, issued_at, ends_at) VALUES (?, ?, ?, ?)",
		cert.Serial, key[:], now, cert.Ends); err != nil {
		return fmt.Errorf("record certificate: %w", err)
	}
	return audit(ctx, tx, now, action, key[:], username, cert.Serial)
}

// Renew records a new certificate for a key that is enrolled, not revoked, and
// had a certificate within [RenewalGrace]. It refuses with bad_enrolment or
// certificate_revoked.
func (r *Registry) Renew(ctx context.Context, key auction.Participant, now auction.Time, issue Issue) (Person, error) {
	var person Person
	err := r.change(ctx, func(tx *sql.Tx) error {
		entry, err := findKey(ctx, tx, key)
		if err != nil {
			return err
		}
		if now > entry.ends.Add(RenewalGrace) {
			return auction.Refuse(auction.CodeBadEnrolment, "this key was away for too long: enrol with a new one")
		}
		person = entry.person
		cert, err := issue(person.Role)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE keys SET ends_at = max(ends_at, ?) WHERE participant = ?", cert.Ends, key[:]); err != nil {
			return fmt.Errorf("record renewal: %w", err)
		}
		return addCertificate(ctx, tx, key, cert, now, "renewed", person.Username)
	})
	return person, err
}

type keyEntry struct {
	person Person
	ends   auction.Time
}

// querier is a transaction or a connection for reading.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// findKey returns a key that may be used, or refuses.
func findKey(ctx context.Context, q querier, key auction.Participant) (keyEntry, error) {
	var entry keyEntry
	var attributes string
	var revoked sql.NullInt64
	err := q.QueryRowContext(ctx, `SELECT username, attributes, role, ends_at, revoked_at FROM keys
		JOIN people ON people.id = keys.person WHERE participant = ?`, key[:]).
		Scan(&entry.person.Username, &attributes, &entry.person.Role, &entry.ends, &revoked)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return keyEntry{}, auction.Refuse(auction.CodeBadEnrolment, "this key is not enrolled")
	case err != nil:
		return keyEntry{}, fmt.Errorf("look for key: %w", err)
	case revoked.Valid:
		return keyEntry{}, auction.Refuse(auction.CodeCertificateRevoked, "the house has revoked this key")
	}
	if err := json.Unmarshal([]byte(attributes), &entry.person.Attributes); err != nil {
		return keyEntry{}, fmt.Errorf("decode attributes: %w", err)
	}
	return entry, nil
}

// Usable refuses a key that is not enrolled (bad_enrolment) or is revoked
// (certificate_revoked).
func (r *Registry) Usable(ctx context.Context, key auction.Participant) error {
	_, err := findKey(ctx, r.read, key)
	return err
}

func audit(ctx context.Context, tx *sql.Tx, at auction.Time, action string, participant []byte, username, serial string) error {
	var serialOrNull any
	if serial != "" {
		serialOrNull = serial
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO audit (at, action, participant, username, serial) VALUES (?, ?, ?, ?, ?)",
		at, action, participant, username, serialOrNull); err != nil {
		return fmt.Errorf("record in audit: %w", err)
	}
	return nil
}
