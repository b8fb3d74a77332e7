// Package registry is the CA's memory: who is behind which key, what was issued
// and revoked, and which invites are open. It is the only place in a house where a
// name stands beside a key.
//
// It is a SQLite file with one writer. Every change is one transaction that is
// on the disk before the call returns, with its line in the audit table, which
// the database itself lets only grow.
package registry

import (
	"context"
	"database/sql"
	_ "embed" // for the schema
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite", in Go alone
)

// schemas are applied in order; user_version counts how many were.
var schemas = []string{schema1, schema2}

//go:embed schema.sql
var schema1 string

//go:embed schema2.sql
var schema2 string

// readers is how many connections read beside the one that writes.
const readers = 4

// A Registry is safe for concurrent use.
type Registry struct {
	maxKeys int
	writing *sql.DB // one connection, the writer's: SQLite has one at a time
	writer  *writer
	read    *sql.DB
}

// Open opens the registry in a file, and makes it, readable for its owner alone, if
// it is not there. A person has at most maxKeys keys in use.
func Open(ctx context.Context, path string, maxKeys int) (*Registry, error) {
	if maxKeys < 1 {
		return nil, errors.New("open registry: a person has at least one key")
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	writing, err := connect(path, 1, "immediate")
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, writing); err != nil {
		return nil, errors.Join(err, writing.Close())
	}
	conn, err := writing.Conn(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open registry: %w", err), writing.Close())
	}
	read, err := connect(path, readers, "deferred")
	if err != nil {
		return nil, errors.Join(err, conn.Close(), writing.Close())
	}
	return &Registry{maxKeys: maxKeys, writing: writing, writer: startWriter(conn), read: read}, nil
}

func connect(path string, connections int, lock string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	query := url.Values{"_txlock": {lock}, "_pragma": {
		"busy_timeout(5000)",  // another process may be making a backup
		"journal_mode(WAL)",   // readers do not wait for the writer
		"synchronous(FULL)",   // a certificate is on the disk before it is released
		"foreign_keys(ON)",    // SQLite has them off
		"trusted_schema(OFF)", // as SQLite itself advises
		"secure_delete(ON)",   // what is erased is overwritten
		"temp_store(MEMORY)",  // and is in no temporary file either
	}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("open registry: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after Commit there is nothing to roll back
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("open registry: %w", err)
	}
	if version > len(schemas) {
		return fmt.Errorf("open registry: it has version %d, made by a newer program", version)
	}
	for _, schema := range schemas[version:] {
		if _, err := tx.ExecContext(ctx, schema); err != nil {
			return fmt.Errorf("migrate registry: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(schemas))); err != nil {
		return fmt.Errorf("migrate registry: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("migrate registry: %w", err)
	}
	return nil
}

// Close ends the use of the registry. Nothing else is called after it.
func (r *Registry) Close() error {
	return errors.Join(r.writer.close(), r.read.Close(), r.writing.Close())
}

// Ready reports whether the registry answers.
func (r *Registry) Ready(ctx context.Context) error {
	var one int
	if err := r.read.QueryRowContext(ctx, "SELECT 1 FROM counters").Scan(&one); err != nil {
		return fmt.Errorf("read registry: %w", err)
	}
	return nil
}

// change makes one change: all of it is durable when change returns nil, and none of
// it has happened when it returns an error.
func (r *Registry) change(ctx context.Context, do func(*tx) error) error {
	return r.writer.put(ctx, r.writer.changes, do)
}
