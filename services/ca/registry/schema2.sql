-- The audit table tells of copies of the registry, and why a key was revoked. SQLite
-- changes no CHECK, so the table is made anew, with all that is in it. The triggers
-- go with the old one.

CREATE TABLE audit2 (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    action      TEXT    NOT NULL CHECK (action IN ('invited', 'enrolled', 'renewed', 'revoked', 'erased', 'listed', 'exported', 'copied')),
    person      INTEGER, -- people.id
    participant BLOB,
    serial      TEXT,
    reason      INTEGER  -- CRLReason of RFC 5280, of what is revoked
) STRICT;

-- A key is revoked once, so its reason is that of the entry.
INSERT INTO audit2 SELECT id, at, action, person, participant, serial,
    CASE action WHEN 'revoked' THEN (SELECT reason FROM keys WHERE keys.participant = audit.participant) END
    FROM audit ORDER BY id;

DROP TABLE audit;

ALTER TABLE audit2 RENAME TO audit;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE (ABORT, 'the audit table only grows'); END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE (ABORT, 'the audit table only grows'); END;
