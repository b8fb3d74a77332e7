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

// Invite records that whoever shows the code with this hash may enrol a key as
// the person, once and before expires. It refuses with bad_request if the person
// has as many keys as one may have.
func (r *Registry) Invite(ctx context.Context, code auction.Hash, p Person, now, expires auction.Time) error {
	return r.change(ctx, func(tx *tx) error {
		attributes, err := json.Marshal(p.Attributes)
		if err != nil {
			return fmt.Errorf("encode attributes: %w", err)
		}
		// The attributes of somebody who is known change with the next key.
		id, err := addPerson(tx, p.Username, string(attributes), now)
		if err != nil {
			return err
		}
		keys, err := countKeys(tx, id)
		if err != nil {
			return err
		}
		if keys >= r.maxKeys {
			return auction.Refuse(auction.CodeBadRequest, "this person has %d keys in use, and may have no more: revoke one first", keys)
		}
		if err := tx.exec(
			"INSERT INTO invites (code_hash, person, attributes, role, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
			code[:], id, string(attributes), string(p.Role), now, expires); err != nil {
			return fmt.Errorf("record invite: %w", err)
		}
		return record(tx, AuditEntry{At: now, Action: ActionInvited, Person: id})
	})
}

// EnrolInvited uses up an invite for a key and returns the person who it was
// for: somebody new, or with one more key, or who comes back after theirs was
// revoked. It refuses with bad_enrolment.
func (r *Registry) EnrolInvited(ctx context.Context, key auction.Participant, code auction.Hash, now auction.Time, issue Issue) (Person, error) {
	var person Person
	err := r.change(ctx, func(tx *tx) error {
		var id int64
		var err error
		if id, person, err = takeInvite(tx, code, now); err != nil {
			return err
		}
		return r.addKey(tx, key, id, person.Role, now, issue)
	})
	return person, err
}

// EnrolOpen enrols somebody under a name that nobody has had yet. It refuses
// with bad_enrolment.
func (r *Registry) EnrolOpen(ctx context.Context, key auction.Participant, p Person, now auction.Time, issue Issue) error {
	attributes, err := json.Marshal(p.Attributes)
	if err != nil {
		return fmt.Errorf("encode attributes: %w", err)
	}
	return r.change(ctx, func(tx *tx) error {
		var id int64
		err := tx.row(`INSERT INTO people (username, attributes, created_at) VALUES (?, ?, ?)
			ON CONFLICT (username) DO NOTHING RETURNING id`, p.Username, string(attributes), now).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return auction.Refuse(auction.CodeBadEnrolment, "this username is taken: choose another")
		}
		if err != nil {
			return fmt.Errorf("record person: %w", err)
		}
		return r.addKey(tx, key, id, p.Role, now, issue)
	})
}

// EnrolSubject enrols a key of somebody whom a provider vouches for. The hash of
// the provider and its name for them says who it is: their username stays what it
// was at first, and one that somebody else has is refused, with bad_enrolment.
func (r *Registry) EnrolSubject(ctx context.Context, key auction.Participant, subject auction.Hash, p Person, now auction.Time, issue Issue) (Person, error) {
	attributes, err := json.Marshal(p.Attributes)
	if err != nil {
		return Person{}, fmt.Errorf("encode attributes: %w", err)
	}
	err = r.change(ctx, func(tx *tx) error {
		var id int64
		err := tx.row("UPDATE people SET attributes = ? WHERE subject = ? RETURNING id, username",
			string(attributes), subject[:]).Scan(&id, &p.Username)
		if errors.Is(err, sql.ErrNoRows) {
			err = tx.row(`INSERT INTO people (username, attributes, subject, created_at) VALUES (?, ?, ?, ?)
				ON CONFLICT (username) DO NOTHING RETURNING id`, p.Username, string(attributes), subject[:], now).Scan(&id)
		}
		if errors.Is(err, sql.ErrNoRows) {
			return auction.Refuse(auction.CodeBadEnrolment, "somebody else is registered under this username")
		}
		if err != nil {
			return fmt.Errorf("record person: %w", err)
		}
		return r.addKey(tx, key, id, p.Role, now, issue)
	})
	return p, err
}

// takeInvite uses up an invite, and has its attributes become the person's.
func takeInvite(tx *tx, code auction.Hash, now auction.Time) (int64, Person, error) {
	var id int64
	var person Person
	var attributes string
	// One answer for unknown, used and ended: a guess learns nothing.
	err := tx.row(`UPDATE invites SET used_at = ? WHERE code_hash = ? AND used_at IS NULL AND expires_at > ?
		RETURNING person, attributes, role`, now, code[:], now).Scan(&id, &attributes, &person.Role)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, Person{}, auction.Refuse(auction.CodeBadEnrolment, "the invite is unknown, used or ended: ask for a new one")
	}
	if err != nil {
		return 0, Person{}, fmt.Errorf("take invite: %w", err)
	}
	if err := json.Unmarshal([]byte(attributes), &person.Attributes); err != nil {
		return 0, Person{}, fmt.Errorf("decode attributes: %w", err)
	}
	err = tx.row("UPDATE people SET attributes = ? WHERE id = ? RETURNING username", attributes, id).Scan(&person.Username)
	if err != nil {
		return 0, Person{}, fmt.Errorf("record person: %w", err)
	}
	return id, person, nil
}

// addPerson returns the id of somebody, who is added if they are new.
func addPerson(tx *tx, username, attributes string, now auction.Time) (int64, error) {
	if err := tx.exec("INSERT INTO people (username, attributes, created_at) VALUES (?, ?, ?) ON CONFLICT (username) DO NOTHING",
		username, attributes, now); err != nil {
		return 0, fmt.Errorf("record person: %w", err)
	}
	var id int64
	if err := tx.row("SELECT id FROM people WHERE username = ?", username).Scan(&id); err != nil {
		return 0, fmt.Errorf("look for person: %w", err)
	}
	return id, nil
}

// countKeys returns how many keys of a person are not revoked.
func countKeys(tx *tx, person int64) (int, error) {
	var n int
	if err := tx.row("SELECT count(*) FROM keys WHERE person = ? AND revoked_at IS NULL", person).Scan(&n); err != nil {
		return 0, fmt.Errorf("count keys: %w", err)
	}
	return n, nil
}

func (r *Registry) addKey(tx *tx, key auction.Participant, person int64, role identity.Role, now auction.Time, issue Issue) error {
	var known bool
	if err := tx.row("SELECT EXISTS (SELECT 1 FROM keys WHERE participant = ?)", key[:]).Scan(&known); err != nil {
		return fmt.Errorf("look for key: %w", err)
	}
	if known {
		return auction.Refuse(auction.CodeBadEnrolment, "this key is enrolled already: renew it, or make a new one")
	}
	keys, err := countKeys(tx, person)
	if err != nil {
		return err
	}
	if keys >= r.maxKeys {
		return auction.Refuse(auction.CodeBadEnrolment, "this person has as many keys as one may have: have one revoked first")
	}
	cert, err := issue(role)
	if err != nil {
		return err
	}
	if err := tx.exec("INSERT INTO keys (participant, person, role, enrolled_at, ends_at) VALUES (?, ?, ?, ?, ?)",
		key[:], person, string(role), now, cert.Ends); err != nil {
		return fmt.Errorf("record key: %w", err)
	}
	return addCertificate(tx, key, person, cert, now, ActionEnrolled)
}

// addCertificate records a certificate of a key that has none which is active.
func addCertificate(tx *tx, key auction.Participant, person int64, cert Certificate, now auction.Time, action Action) error {
	if err := tx.exec("INSERT INTO certificates (serial, participant, issued_at, ends_at) VALUES (?, ?, ?, ?)",
		cert.Serial, key[:], now, cert.Ends); err != nil {
		return fmt.Errorf("record certificate: %w", err)
	}
	return record(tx, AuditEntry{At: now, Action: action, Person: person, Participant: &key, Serial: cert.Serial})
}

// Renew records a new certificate for a key that is enrolled, not revoked, and
// had a certificate within [RenewalGrace]. It refuses with bad_enrolment or
// certificate_revoked.
func (r *Registry) Renew(ctx context.Context, key auction.Participant, now auction.Time, issue Issue) (Person, error) {
	var person Person
	err := r.change(ctx, func(tx *tx) error {
		entry, err := findKey(tx, key)
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
		if err := tx.exec("UPDATE keys SET ends_at = max(ends_at, ?) WHERE participant = ?", cert.Ends, key[:]); err != nil {
			return fmt.Errorf("record renewal: %w", err)
		}
		if err := tx.exec("UPDATE certificates SET superseded_at = ? WHERE participant = ? AND superseded_at IS NULL", now, key[:]); err != nil {
			return fmt.Errorf("supersede certificate: %w", err)
		}
		return addCertificate(tx, key, entry.id, cert, now, ActionRenewed)
	})
	return person, err
}

type keyEntry struct {
	id     int64 // of the person
	person Person
	ends   auction.Time
}

// findKey returns a key that may be used, or refuses.
func findKey(tx *tx, key auction.Participant) (keyEntry, error) {
	var entry keyEntry
	var username, attributes sql.NullString // NULL of somebody who is erased, whose keys are revoked
	var revoked sql.NullInt64
	err := tx.row(`SELECT people.id, username, attributes, role, ends_at, revoked_at FROM keys
		JOIN people ON people.id = keys.person WHERE participant = ?`, key[:]).
		Scan(&entry.id, &username, &attributes, &entry.person.Role, &entry.ends, &revoked)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return keyEntry{}, errUnknownKey
	case err != nil:
		return keyEntry{}, fmt.Errorf("look for key: %w", err)
	case revoked.Valid:
		return keyEntry{}, errRevokedKey
	}
	entry.person.Username = username.String
	if err := json.Unmarshal([]byte(attributes.String), &entry.person.Attributes); err != nil {
		return keyEntry{}, fmt.Errorf("decode attributes: %w", err)
	}
	return entry, nil
}

var (
	errUnknownKey = auction.Refuse(auction.CodeBadEnrolment, "this key is not enrolled")
	errRevokedKey = auction.Refuse(auction.CodeCertificateRevoked, "the house has revoked this key")
)

// Usable refuses a key that is not enrolled (bad_enrolment) or is revoked
// (certificate_revoked), and any certificate of it but the latest (bad_certificate).
func (r *Registry) Usable(ctx context.Context, key auction.Participant, serial string) error {
	var revoked, active bool
	err := r.read.QueryRowContext(ctx, `SELECT revoked_at IS NOT NULL,
		EXISTS (SELECT 1 FROM certificates WHERE serial = ? AND participant = keys.participant AND superseded_at IS NULL)
		FROM keys WHERE participant = ?`, serial, key[:]).Scan(&revoked, &active)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return errUnknownKey
	case err != nil:
		return fmt.Errorf("look for key: %w", err)
	case revoked:
		return errRevokedKey
	case !active:
		return auction.Refuse(auction.CodeBadCertificate, "a later certificate was issued for this key: use that one, or renew")
	}
	return nil
}
