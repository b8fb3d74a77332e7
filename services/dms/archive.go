package dms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/store"
	"github.com/sigilo/sigilo/pkg/wire"
)

// ArchiveConfig says which auctions leave Redis, and for where.
type ArchiveConfig struct {
	House         string        `help:"Id of the house." required:""`
	RedisURL      string        `name:"redis-url" help:"The state of the house, as the replicas are told it." default:"redis://127.0.0.1:6379/0"`
	Root          string        `help:"File with the pinned root certificate, PEM." type:"path" required:""`
	LogKey        string        `name:"log-key" help:"File with the key that signs heads, as a signed-note key." type:"path" required:""`
	KeyPassphrase string        `name:"key-passphrase" help:"File with the passphrase of --log-key, where it is encrypted (by age -p)." type:"path"`
	Dir           string        `help:"Folder for the evidence of the auctions. It holds every private part of them: keep it as safe as Redis." type:"path" required:""`
	After         time.Duration `help:"How long after its end an auction stays, for its parties to fetch what is for them. At least a day." default:"720h"`

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
// file of the folder, checks that file as anybody would, and only then has the
// store replace the auction by a tombstone, which keeps how it ended. It tells out
// where each one went, and goes on with the others where one cannot be archived. It
// may run while replicas run. Interrupted at any moment it has lost nothing, and
// goes on where it was when it runs again.
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
	passphrase, err := identity.LoadPassphrase(cfg.KeyPassphrase)
	if err != nil {
		return err
	}
	secret, err := identity.LoadLockedSecret(cfg.LogKey, passphrase)
	if err != nil {
		return fmt.Errorf("load log key: %w", err)
	}
	if a.signer, err = evidence.NewLogSigner(strings.TrimSpace(string(secret))); err != nil {
		return err
	}
	st, err := store.Open(ctx, store.Options{
		URL: cfg.RedisURL, House: cfg.House, Clock: noTime, Signer: noSigner{},
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	defer st.Stop()
	a.store = st
	return a.run(ctx, out)
}

// archiveStore is what an archiver asks of the store.
type archiveStore interface {
	auction.Reader
	auction.Archive
}

// An archiver archives the auctions of a house.
type archiver struct {
	cfg      ArchiveConfig
	store    archiveStore
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
	var failed []error
	for _, id := range house.Listings {
		if err := a.archive(ctx, id, out); err != nil {
			failed = append(failed, fmt.Errorf("archive auction %s: %w", id, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

// archive archives one auction if its time has come.
func (a *archiver) archive(ctx context.Context, id auction.ID, out io.Writer) error {
	state, err := a.store.Auction(ctx, id)
	switch {
	case auction.CodeOf(err) == auction.CodeTooOld:
		return nil // it is archived
	case err != nil:
		return err
	case state.Closed == nil || a.cfg.Now().Before(kept(state).Add(a.cfg.After)):
		return nil
	}
	last, err := a.last(state)
	if err != nil {
		return err
	}
	file, err := a.keep(ctx, state)
	if err != nil {
		return err
	}
	if err := a.store.Remove(ctx, id, state.Size(), last); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "auction %s: archived as %s, %d entries\n", id, file, state.Size())
	return err
}

// kept is when the retention of a closed auction begins. One that was withdrawn or
// cancelled stays until the end that its listing promised: until then clients hold
// that it must be shown.
func kept(state *auction.State) time.Time {
	closed := time.Unix(state.Closed.Time, 0)
	if end := state.End().Std(); end.After(closed) {
		return end
	}
	return closed
}

// last is the message that whoever follows the auction later gets in place of its
// events.
func (a *archiver) last(state *auction.State) ([]byte, error) {
	head, err := a.signer.SignHead(a.cfg.House, auction.LogID(state.ID), state.Head())
	if err != nil {
		return nil, err
	}
	item := itemOf(state)
	notice := wire.AppendMessage(nil, &wire.SnapshotNotice{
		Log: auction.LogID(state.ID), Code: auction.CodeTooOld, Item: &item, Head: head,
		Detail: auction.AsRefusal(auction.Verdict{Code: auction.CodeTooOld}.Refusal()).Detail,
	})
	return notice[:len(notice)-1], nil // without its newline
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
