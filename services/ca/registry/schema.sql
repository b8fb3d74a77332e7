-- The CA's registry. Times are microseconds since the epoch. A statement of this
-- file is never changed once released: what changes goes into another file.

CREATE TABLE people (
    id         INTEGER PRIMARY KEY,
    username   TEXT    NOT NULL UNIQUE COLLATE NOCASE,
    attributes TEXT    NOT NULL, -- a JSON object of texts
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
    participant BLOB    PRIMARY KEY CHECK (length(participant) = 32), -- SHA-256 of the SPKI
    person      INTEGER NOT NULL REFERENCES people (id),
    role        TEXT    NOT NULL CHECK (role IN ('participant', 'auditor')),
    enrolled_at INTEGER NOT NULL,
    ends_at     INTEGER NOT NULL, -- the latest end of a certificate for it
    revoked_at  INTEGER,
    reason      INTEGER           -- CRLReason of RFC 5280
) STRICT;

-- A person has one key that counts: one seat in an auction.
CREATE UNIQUE INDEX one_key_a_person ON keys (person) WHERE revoked_at IS NULL;

CREATE TABLE certificates (
    serial      TEXT    PRIMARY KEY, -- lower-case hexadecimal
    participant BLOB    NOT NULL REFERENCES keys (participant),
    issued_at   INTEGER NOT NULL,
    ends_at     INTEGER NOT NULL
) STRICT;

CREATE INDEX certificates_of ON certificates (participant, ends_at);

CREATE TABLE invites (
    code_hash  BLOB    PRIMARY KEY CHECK (length(code_hash) = 32), -- the code itself is nowhere
    username   TEXT    NOT NULL,
    attributes TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;

CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

INSERT INTO counters VALUES ('crl', 0);

CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    action      TEXT    NOT NULL CHECK (action IN ('invited', 'enrolled', 'renewed', 'revoked')),
    participant BLOB,
    username    TEXT    NOT NULL,
    serial      TEXT
) STRICT;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE (ABORT, 'the audit table only grows'); END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE (ABORT, 'the audit table only grows'); END;
