package main

import (
	"context"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

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
	start    time.Time // of the run, for the times of what people did
}

// deeds counts what people did.
type deeds struct {
	commands int // that have a result
	accepted int // of them
	resent   int // of them, that got it only when asked about
	moves    int // of connections
}

func (r *record) deeds() deeds {
	var d deeds
	for _, p := range r.people {
		d.commands += p.answered
		d.accepted += len(p.placed)
		d.resent += p.resent
		d.moves += p.moves
	}
	return d
}

func (d deeds) plus(o deeds) deeds {
	return deeds{d.commands + o.commands, d.accepted + o.accepted, d.resent + o.resent, d.moves + o.moves}
}

// leastAccepted is how many commands a house must take to show anything.
const leastAccepted = 20

// errWeak is of rounds in which too little was done.
var errWeak = errors.New("too little was accepted, or nothing sent again, to show anything")

// strong returns nil if enough was done to show anything.
func (d deeds) strong() error {
	if d.accepted < leastAccepted || d.resent == 0 {
		return fmt.Errorf("%w: %d accepted, %d sent again", errWeak, d.accepted, d.resent)
	}
	return nil
}

// logged is the log of one auction, with the certificates that its bundle needs.
type logged struct {
	id           auction.ID
	entries      []auction.Entry
	certificates map[auction.Hash][]auction.Blob
}

// pageSize is how many entries of a log the auditor reads at once.
const pageSize = 200

// read reads the logs of a round from Redis, past all replicas, and takes what
// everybody states, once they have had the time to see it.
func (r *run) read(ctx context.Context, of *round) (*record, error) {
	var ids []auction.ID
	for _, l := range of.lots {
		ids = append(ids, l.id)
	}
	out := &record{start: r.start}
	if err := r.logs(ctx, out, ids); err != nil {
		return nil, err
	}
	for _, t := range r.testimonies(of) {
		if t.follows(auction.HouseLog) {
			// Whoever does not see it in time has missed it, which the audit finds.
			_ = await(ctx, t.name, func(context.Context) error { return t.behind(auction.HouseLog, len(out.house)) })
		}
		out.people = append(out.people, t.stated())
	}
	return out, r.anchor(out)
}

// again audits all rounds once more, with the logs as they are now: what was good
// then must be what it was.
func (r *run) again(ctx context.Context) (findings, error) {
	var found findings
	for _, then := range r.over {
		var ids []auction.ID
		for _, l := range then.auctions {
			ids = append(ids, l.id)
		}
		now := &record{people: then.people, roots: then.roots, trust: then.trust, start: then.start}
		if err := r.logs(ctx, now, ids); err != nil {
			return nil, err
		}
		now.house = now.house[:min(len(now.house), len(then.house))] // what came after is of later rounds
		found = append(found, audit(now)...)
	}
	return found, nil
}

// logs reads the house log and those of auctions into a record.
func (r *run) logs(ctx context.Context, out *record, ids []auction.ID) error {
	s, err := store.Open(ctx, store.Options{
		URL: r.house.database.URL, House: houseID, Clock: noClock, Signer: noSigner{},
		Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return fmt.Errorf("the auditor: %w", err)
	}
	defer func() { _ = s.Stop() }() // nothing was written
	if out.house, err = entries(ctx, s, auction.HouseLog); err != nil {
		return err
	}
	for _, id := range ids {
		log := logged{id: id}
		if log.entries, err = entries(ctx, s, auction.LogID(id)); err != nil {
			return err
		}
		if log.certificates, err = s.Certificates(ctx, id); err != nil {
			return fmt.Errorf("the auditor: %w", err)
		}
		out.auctions = append(out.auctions, log)
	}
	return nil
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
