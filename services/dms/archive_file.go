package dms

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
)

// keep has an auction's evidence in its file, on the disk and verified, and returns
// its name. A file has its name only once what is in it was read back and holds. It
// never replaces one with another content, which is the evidence of another history,
// as there may be after a backup was restored.
func (a *archiver) keep(ctx context.Context, state *auction.State) (string, error) {
	data, err := a.bundle(ctx, state)
	if err != nil {
		return "", err
	}
	file := filepath.Join(a.cfg.Dir, string(state.ID)+".evidence")
	switch there, err := os.ReadFile(file); {
	case err == nil && !bytes.Equal(there, data):
		return "", fmt.Errorf("%s holds something else: keep it, and find out why", file)
	case err == nil:
		err = a.verify(file, state)
		return file, errors.Join(err, syncFolder(a.cfg.Dir)) // whoever wrote it may have been interrupted
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	written, err := writeAside(a.cfg.Dir, data)
	if err != nil {
		return "", err
	}
	defer os.Remove(written) // does nothing once it has its name
	if err := a.verify(written, state); err != nil {
		return "", err
	}
	if err := os.Rename(written, file); err != nil {
		return "", err
	}
	return file, syncFolder(a.cfg.Dir)
}

// verify checks a file as anybody would, and that it is of the log as it is now.
func (a *archiver) verify(file string, state *auction.State) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	trust := &evidence.Trust{House: a.cfg.House, LogKeys: []string{state.Policy.LogKey}}
	for _, root := range a.roots {
		trust.Roots = append(trust.Roots, sha256.Sum256(root))
	}
	switch verdict, err := evidence.Verify(data, trust); {
	case err != nil:
		return fmt.Errorf("verify %s: %w", file, err)
	case verdict.Kind != evidence.Audit || verdict.Auction != state.ID || verdict.Head != state.Head():
		return fmt.Errorf("verify %s: it is not all of the log that is to be deleted", file)
	}
	return nil
}

// bundle encodes the whole log with all private parts.
func (a *archiver) bundle(ctx context.Context, state *auction.State) ([]byte, error) {
	bundle := evidence.Bundle{Kind: evidence.Audit, Policy: a.policies[state.Terms.Policy]}
	for _, pin := range state.Policy.Roots {
		for _, root := range a.roots {
			if sha256.Sum256(root) == pin {
				bundle.Roots = append(bundle.Roots, root)
			}
		}
	}
	var err error
	if bundle.Head, err = a.signer.SignHead(a.cfg.House, auction.LogID(state.ID), state.Head()); err != nil {
		return nil, err
	}
	err = a.entries(ctx, auction.LogID(state.ID), func(e auction.Entry) error {
		bundle.Entries = append(bundle.Entries, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if bundle.Certificates, err = a.store.Certificates(ctx, state.ID); err != nil {
		return nil, err
	}
	return bundle.Encode()
}

// writeAside writes a file under a name of its own, on the disk.
func writeAside(dir string, data []byte) (name string, err error) {
	f, err := os.CreateTemp(dir, ".archive-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// syncFolder has the names in a folder on the disk.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
