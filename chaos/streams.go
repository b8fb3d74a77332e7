package main

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/store"
	"github.com/sigilo/sigilo/services/ca"
)

// A record is all that an auditor has of a round: the logs as they stand in
// Redis, and what each person holds.
type record struct {
	house    []auction.Entry
	auctions []logged
	people   []*statement
	roots    []auction.Blob // certificates, for bundles
	trust    evidence.Trust
}

// commands counts the commands that have a result.
func (r *record) commands() int {
	n := 0
	for _, p := range r.people {
		n += p.answered
	}
	return n
}

// logged is the log of one auction, with the certificates that its bundle needs.
type logged struct {
	id           auction.ID
	entries      []auction.Entry
	certificates map[auction.Hash][]auction.Blob
}

// pageSize is how many entries of a log the auditor reads at once.
const pageSize = 200

// read reads the logs of a round from Redis, past all links and replicas.
func (r *run) read(ctx context.Context, of *round) (*record, error) {
	s, err := store.Open(ctx, store.Options{
		URL: r.house.database.URL, House: houseID, Clock: noClock, Signer: noSigner{},
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return nil, fmt.Errorf("the auditor: %w", err)
	}
	defer func() { _ = s.Stop() }() // nothing was written
	out := new(record)
	if out.house, err = entries(ctx, s, auction.HouseLog); err != nil {
		return nil, err
	}
	for _, l := range of.lots {
		log := logged{id: l.id}
		if log.entries, err = entries(ctx, s, auction.LogID(l.id)); err != nil {
			return nil, err
		}
		if log.certificates, err = s.Certificates(ctx, l.id); err != nil {
			return nil, fmt.Errorf("the auditor: %w", err)
		}
		out.auctions = append(out.auctions, log)
	}
	for _, p := range of.people {
		out.people = append(out.people, p.stated())
	}
	return out, r.anchor(out)
}

// anchor says what the auditor trusts: the root and the log key that the house
// was made with.
func (r *run) anchor(out *record) error {
	block, _ := pem.Decode([]byte(r.house.at.Root))
	if block == nil {
		return errors.New("the house's root is not PEM")
	}
	key, err := os.ReadFile(r.house.file(ca.FileLog))
	if err != nil {
		return err
	}
	out.roots = []auction.Blob{block.Bytes}
	out.trust = evidence.Trust{
		House: houseID, Roots: []auction.Hash{sha256.Sum256(block.Bytes)}, LogKeys: []string{string(key)},
	}
	return nil
}

func entries(ctx context.Context, s *store.Store, log auction.LogID) ([]auction.Entry, error) {
	var out []auction.Entry
	for {
		page, err := s.Entries(ctx, log, uint64(len(out))+1, pageSize)
		if err != nil {
			return nil, fmt.Errorf("the auditor: %w", err)
		}
		out = append(out, page...)
		if len(page) < pageSize {
			return out, nil
		}
	}
}

// An auditor commits nothing, so it needs neither the time nor a key.
type noSigner struct{}

func (noSigner) SignReceipts([]auction.Receipt) error { return errSignsNothing }

func (noSigner) SignNotice([]byte) (auction.Blob, error) { return nil, errSignsNothing }

var errSignsNothing = errors.New("an auditor signs nothing")

func noClock() (auction.Time, error) { return 0, errors.New("an auditor needs no time") }
