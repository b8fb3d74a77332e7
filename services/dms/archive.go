package dms

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/store"
)

// ArchiveConfig says which auctions leave Redis, and for where.
type ArchiveConfig struct {
	House    string        `help:"Id of the house." required:""`
	RedisURL string        `name:"redis-url" help:"The state of the house, as the replicas are told it." default:"redis://127.0.0.1:6379/0"`
	Root     string        `help:"File with the pinned root certificate, PEM." type:"path" required:""`
	LogKey   string        `name:"log-key" help:"File with the key that signs heads, as a signed-note key." type:"path" required:""`
	Dir      string        `help:"Folder for the evidence of the auctions. It holds every private part of them: keep it as safe as Redis." type:"path" required:""`
	After    time.Duration `help:"How long after its close an auction stays, for its parties to fetch what is for them. At least a day." default:"720h"`

	// Now is the time from which After counts; nil means the machine's clock,
	// which is good enough to let things lie. No flag sets it.
	Now func() time.Time `kong:"-"`
}

// minRetention is for parties who are away for a day.
const minRetention = 24 * time.Hour

// Validate refuses a retention that is too short.
func (c ArchiveConfig) Validate() error {
	if c.After < minRetention {
		return errors.New("--after is at least 24h")
	}
	return nil
}

// Archive moves the evidence of each auction that was closed long enough ago to a
// file of the folder, checks that file as anybody would, and only then deletes the
// auction from Redis but for a tombstone. It tells out where each one went. It may
// run while replicas run. Interrupted at any moment it has lost nothing, and goes
// on where it was when it runs again.
func Archive(ctx context.Context, cfg ArchiveConfig, out io.Writer) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a := archiver{cfg: cfg, policies: make(map[auction.Hash][]byte)}
	var err error
	if a.roots, err = identity.LoadChain(cfg.Root); err != nil {
		return fmt.Errorf("load root: %w", err)
	}
	secret, err := identity.LoadSecret(cfg.LogKey, maxLogKeyFile)
	if err != nil {
		return fmt.Errorf("load log key: %w", err)
	}
	if a.signer, err = evidence.NewLogSigner(string(secret)); err != nil {
		return err
	}
	a.store, err = store.Open(ctx, store.Options{
		URL: cfg.RedisURL, House: cfg.House, Clock: noTime, Signer: noReceipts{},
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	defer a.store.Stop()
	return a.run(ctx, out)
}

// An archiver archives the auctions of a house.
type archiver struct {
	cfg      ArchiveConfig
	store    *store.Store
	signer   *evidence.LogSigner
	roots    [][]byte
	policies map[auction.Hash][]byte // documents of the house log
}

func (a *archiver) run(ctx context.Context, out io.Writer) error {
	if err := os.MkdirAll(a.cfg.Dir, 0o700); err != nil {
		return err
	}
	house, err := a.readHouse(ctx)
	if err != nil {
		return err
	}
	before := a.cfg.Now().Add(-a.cfg.After).Unix()
	for _, id := range house.Listings {
		state, err := a.store.Auction(ctx, id)
		switch {
		case auction.CodeOf(err) == auction.CodeUnknownAuction:
			// Archived before, perhaps not to the end.
			if err := a.store.Remove(ctx, id, 0); err != nil {
				return fmt.Errorf("auction %s: %w", id, err)
			}
			continue
		case err != nil:
			return fmt.Errorf("auction %s: %w", id, err)
		case state.Closed == nil || state.Closed.Time > before:
			continue
		}
		file, err := a.keep(ctx, state)
		if err != nil {
			return fmt.Errorf("archive auction %s: %w", id, err)
		}
		if err := a.store.Remove(ctx, id, state.Size()); err != nil {
			return fmt.Errorf("remove auction %s: %w", id, err)
		}
		fmt.Fprintf(out, "auction %s: archived as %s, %d entries\n", id, file, state.Size())
	}
	return nil
}

// readHouse reads the policies of the house and what was listed.
func (a *archiver) readHouse(ctx context.Context) (*auction.House, error) {
	house, err := a.store.House(ctx)
	if err != nil {
		return nil, err
	}
	err = a.entries(ctx, auction.HouseLog, func(e auction.Entry) error {
		event, err := auction.ParseEvent(e.Event)
		if err == nil && event.Kind == auction.PolicyAdopted {
			a.policies[auction.PolicyHash([]byte(event.Policy))] = []byte(event.Policy)
		}
		return err
	})
	return house, err
}

// entries calls f for each entry of a log.
func (a *archiver) entries(ctx context.Context, log auction.LogID, f func(auction.Entry) error) error {
	for from := uint64(1); ; {
		page, err := a.store.Entries(ctx, log, from, pageEntries)
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := f(e); err != nil {
				return err
			}
		}
		if len(page) < pageEntries {
			return nil
		}
		from += uint64(len(page))
	}
}

// keep writes an auction's evidence to its file, and returns its name once what
// is on the disk was read back and holds.
func (a *archiver) keep(ctx context.Context, state *auction.State) (string, error) {
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
		return "", err
	}
	err = a.entries(ctx, auction.LogID(state.ID), func(e auction.Entry) error {
		bundle.Entries = append(bundle.Entries, e)
		return nil
	})
	if err != nil {
		return "", err
	}
	if bundle.Certificates, err = a.store.Certificates(ctx, state.ID); err != nil {
		return "", err
	}
	data, err := bundle.Encode()
	if err != nil {
		return "", err
	}
	file := filepath.Join(a.cfg.Dir, string(state.ID)+".evidence")
	if err := writeDurably(file, data); err != nil {
		return "", err
	}
	written, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	trust := &evidence.Trust{House: a.cfg.House, LogKeys: []string{state.Policy.LogKey}}
	for _, root := range a.roots {
		trust.Roots = append(trust.Roots, sha256.Sum256(root))
	}
	if _, err := evidence.Verify(written, trust); err != nil {
		return "", fmt.Errorf("verify %s: %w", file, err)
	}
	return file, nil
}

// writeDurably writes a file that is there as a whole, or not at all.
func writeDurably(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".archive-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing once it has its name
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
