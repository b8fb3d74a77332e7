package registry

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Backup writes a copy of the registry in a file to w, as it is at one moment. Its
// CA may go on working meanwhile, if it is of the same version. The copy is a
// registry like any other, names and all, so the audit table tells of it, also in
// the copy; while it is made there is another beside the file, for its owner alone.
func Backup(ctx context.Context, path string, w io.Writer, now auction.Time) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("back up registry: %w", err) // to open it would make it
	}
	db, err := connect(path, 1, "deferred")
	if err != nil {
		return err
	}
	defer db.Close()
	// Before anything is copied: an entry too many is better than none.
	if _, err := db.ExecContext(ctx, "INSERT INTO audit (at, action) VALUES (?, ?)", now, string(ActionCopied)); err != nil {
		return fmt.Errorf("record backup in audit: %w", err)
	}
	copied, err := os.CreateTemp(filepath.Dir(path), "backup-*")
	if err != nil {
		return fmt.Errorf("back up registry: %w", err)
	}
	defer os.Remove(copied.Name())
	defer copied.Close()
	// SQLite writes into a file that is empty, and into no other.
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", copied.Name()); err != nil {
		return fmt.Errorf("back up registry: %w", err)
	}
	if _, err := io.Copy(w, copied); err != nil {
		return fmt.Errorf("back up registry: %w", err)
	}
	return nil
}
