-- The CA's registry. Times are microseconds since the epoch. A statement of this
-- file is never changed once released: what changes goes into another file.

CREATE TABLE people (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: the audit table speaks of people by it
    username   TEXT    UNIQUE COLLATE NOCASE,     -- NULL once the person is erased
    attributes TEXT,                              -- a JSON object of texts; NULL with username
    subject    BLOB    UNIQUE,                    -- who a provider says it is, hashed; NULL without one
    created_at INTEGER NOT NULL,
    erased_at  INTEGER,
    CHECK ((username IS NULL) = (erased_at IS NOT NULL) AND (attributes IS NULL) = (erased_at IS NOT NULL))
) STRICT;

-- Keys outlive the person's erasure, without a name: the revocation list speaks
-- of them, and none is ever enrolled again.
CREATE TABLE keys (
    participant BLOB    PRIMARY KEY CHECK (length(participant) = 32), -- SHA-256 of the SPKI
    person      INTEGER NOT NULL REFERENCES people (id),
    role        TEXT    NOT NULL CHECK (role IN ('participant', 'auditor')),
    enrolled_at INTEGER NOT NULL,
    ends_at     INTEGER NOT NULL, -- the latest end of a certificate for it
    revoked_at  INTEGER,
    reason      INTEGER           -- CRLReason of RFC 5280
) STRICT;

CREATE INDEX keys_of ON keys (person);

CREATE TABLE certificates (
    serial        TEXT    PRIMARY KEY, -- lower-case hexadecimal
    participant   BLOB    NOT NULL REFERENCES keys (participant),
    issued_at     INTEGER NOT NULL,
    ends_at       INTEGER NOT NULL,
    superseded_at INTEGER -- when the next one for its key was issued
) STRICT;

CREATE INDEX certificates_of ON certificates (participant, ends_at);

CREATE UNIQUE INDEX one_active_a_key ON certificates (participant) WHERE superseded_at IS NULL;

CREATE TABLE invites (
    code_hash  BLOB    PRIMARY KEY CHECK (length(code_hash) = 32), -- the code itself is nowhere
    person     INTEGER NOT NULL REFERENCES people (id),
    attributes TEXT    NOT NULL, -- that the person will have
    role       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;

CREATE INDEX invites_of ON invites (person);

CREATE TABLE counters (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

INSERT INTO counters VALUES ('crl', 0);

-- Whatever an operator does, and what becomes of keys. It holds no name, so that
-- a name can be erased and this table only grow.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    action      TEXT    NOT NULL CHECK (action IN ('invited', 'enrolled', 'renewed', 'revoked', 'erased', 'listed', 'exported')),
    person      INTEGER, -- people.id
    participant BLOB,
    serial      TEXT
) STRICT;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE (ABORT, 'the audit table only grows'); END;

CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE (ABORT, 'the audit table only grows'); END;
