package dms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/store"
)

// RebuildConfig says which projections are made anew from their logs: those of
// the auctions that it names; of the house and all its auctions; or else of the
// house.
type RebuildConfig struct {
	House    string   `help:"Id of the house." required:""`
	RedisURL string   `name:"redis-url" help:"The state of the house, as the replicas are told it." default:"redis://127.0.0.1:6379/0"`
	All      bool     `help:"Rebuild the house and every auction of it."`
	Auctions []string `arg:"" optional:"" name:"auction" help:"Auctions to rebuild, by their ids. Without one, the house."`
}

// Validate refuses a contradiction.
func (c RebuildConfig) Validate() error {
	if c.All && len(c.Auctions) > 0 {
		return errors.New("--all goes with no auction")
	}
	for _, id := range c.Auctions {
		if _, err := auction.ParseID(id); err != nil {
			return errors.New("an auction is named by its id")
		}
	}
	return nil
}

// Rebuild makes projections anew from their logs, and tells out of each log what
// it has done. It may run while replicas run, and again at will.
func Rebuild(ctx context.Context, cfg RebuildConfig, out io.Writer) error {
	if err := cfg.Validate(); err != nil {
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
	var logs []auction.LogID
	for _, id := range cfg.Auctions {
		logs = append(logs, auction.LogID(id))
	}
	if len(logs) == 0 {
		n, err := st.Rebuild(ctx, auction.HouseLog)
		if err != nil {
			return fmt.Errorf("rebuild the house: %w", err)
		}
		fmt.Fprintf(out, "house %s: rebuilt from %d entries\n", cfg.House, n)
	}
	if cfg.All {
		house, err := st.House(ctx)
		if err != nil {
			return err
		}
		for _, id := range house.Listings {
			logs = append(logs, auction.LogID(id))
		}
	}
	for i, log := range logs {
		n, err := st.Rebuild(ctx, log)
		switch {
		case cfg.All && auction.CodeOf(err) == auction.CodeUnknownAuction:
			fmt.Fprintf(out, "auction %s: not opened yet (%d of %d)\n", log, i+1, len(logs))
		case cfg.All && auction.CodeOf(err) == auction.CodeTooOld:
			fmt.Fprintf(out, "auction %s: archived (%d of %d)\n", log, i+1, len(logs))
		case err != nil:
			return fmt.Errorf("rebuild auction %s: %w", log, err)
		default:
			fmt.Fprintf(out, "auction %s: rebuilt from %d entries (%d of %d)\n", log, n, i+1, len(logs))
		}
	}
	return nil
}

// noTime is the clock of what judges nothing.
func noTime() (auction.Time, error) { return 0, nil }

// noSigner is the signer of what commits nothing.
type noSigner struct{}

func (noSigner) SignReceipts([]auction.Receipt) error { return errSignsNothing }

func (noSigner) SignNotice([]byte) (auction.Blob, error) { return nil, errSignsNothing }

var errSignsNothing = errors.New("this command commits nothing, and signs nothing for it")
