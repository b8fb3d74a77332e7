package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/store/localredis"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Redis promises nothing beyond one fault at a time. What follows are two at
// once, after which entries are gone that had receipts. Nothing can bring them
// back, but nobody may be left in the dark: the replicas raise the alarm and
// suspend the auction, who followed the log is told that its history has changed,
// and every receipt of an entry that is gone proves the loss to a third party.

const (
	keptBids = 6 // that survive
	lostBids = 6 // that do not

	doubleLife = 5 * time.Minute // of the lot: nothing closes while it is looked at
)

// double lists a lot, takes the receipts of some bids away by two faults at
// once, and returns who was left in the dark, as findings. gone is how many
// entries with a receipt are gone.
func (r *run) double(ctx context.Context) (gone int, f findings, err error) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	seller := r.crowd[0]
	l := &lot{seller: seller}
	if l.id, err = seller.list(ctx, "To be lost", doubleLife); err != nil {
		return 0, nil, err
	}
	following, stop := context.WithCancel(ctx)
	defer stop()
	var follows errgroup.Group
	for _, p := range r.crowd {
		follows.Go(func() error { return p.watch(following, auction.LogID(l.id), nil) })
	}
	if err := r.calmBids(ctx, l.id, keptBids); err != nil {
		return 0, nil, err
	}
	lose, err := r.house.database.forgetful(ctx)
	if err != nil {
		return 0, nil, err
	}
	if err := r.calmBids(ctx, l.id, lostBids); err != nil {
		return 0, nil, err
	}
	if err := lose(ctx); err != nil {
		return 0, nil, fmt.Errorf("two faults: %w", err)
	}
	if err := r.house.healthy(ctx); err != nil {
		return 0, nil, err
	}
	record, err := r.read(ctx, &round{lots: []*lot{l}, people: r.crowd})
	if err != nil {
		return 0, nil, err
	}
	f, gone = r.inTheDark(ctx, l.id, record)
	stop()
	_ = follows.Wait() // what they were told is noted
	return gone, f, nil
}

// calmBids places bids one after the other, each of which gets its receipt.
func (r *run) calmBids(ctx context.Context, id auction.ID, count int) error {
	for i := range count {
		p := r.crowd[sellers+i%bidders]
		err := p.insist(ctx, func() error {
			shown, err := p.client.Item(ctx, id)
			if err != nil {
				return err
			}
			amount := max(shown.Item.Highest, shown.Item.Minimum) + 1
			prepared, err := p.client.PrepareBid(ctx, id, amount)
			if err != nil {
				return err
			}
			_, err = p.send(ctx, prepared, amount)
			return err
		})
		if err != nil {
			return fmt.Errorf("a calm bid: %w", err)
		}
	}
	return nil
}

// inTheDark returns who was not told of a loss, and how many entries with a
// receipt are gone.
func (r *run) inTheDark(ctx context.Context, id auction.ID, record *record) (f findings, gone int) {
	log := record.auctions[0]
	for _, p := range r.crowd {
		if err := await(ctx, p.name+" to be told", func(context.Context) error { return p.told() }); err != nil {
			f.add(silent, "%s followed the log, and was told nothing: %v", p.name, err)
		}
		var receipts []auction.Receipt
		for _, done := range p.stated().placed {
			receipt := done.Receipt
			if receipt.Seq > uint64(len(log.entries)) || log.entries[receipt.Seq-1].Leaf() != receipt.Leaf {
				receipts = append(receipts, receipt)
			}
		}
		gone += len(receipts)
		if len(receipts) > 0 {
			f.proof(ctx, p, id, record, receipts)
		}
	}
	if gone == 0 {
		f.add(silent, "the two faults took nothing away")
	}
	if err := await(ctx, "the auction to be suspended", func(ctx context.Context) error { return r.suspended(ctx, id) }); err != nil {
		f.add(silent, "the auction goes on as if nothing were: %v", err)
	}
	if alarms, err := r.house.counter(ctx, "sigilo_history_changed_total"); err != nil || alarms == 0 {
		f.add(silent, "no replica raised the alarm: %v", errors.Join(err))
	}
	return f, gone
}

// suspended returns nil once the auction takes nothing more.
func (r *run) suspended(ctx context.Context, id auction.ID) error {
	p := r.crowd[sellers]
	shown, err := p.client.Item(ctx, id)
	if err != nil {
		return err
	}
	if shown.Item.Status != wire.StatusSuspended {
		return fmt.Errorf("it is %s", shown.Item.Status)
	}
	_, err = p.client.Bid(ctx, id, max(shown.Item.Highest, shown.Item.Minimum)+1)
	if auction.CodeOf(err) != auction.CodeSuspended {
		return fmt.Errorf("a bid is answered %v", err)
	}
	return nil
}

// told returns nil once the person was told that a history has changed.
func (p *person) told() error {
	if slices.ContainsFunc(p.stated().oddities, func(what string) bool {
		return strings.HasPrefix(what, string(auction.CodeHistoryChanged))
	}) {
		return nil
	}
	return errors.New("not yet")
}

// proof checks that the receipts of entries that are gone prove the loss.
func (f *findings) proof(ctx context.Context, p *person, id auction.ID, record *record, receipts []auction.Receipt) {
	key, err := evidence.ParseLogKey(record.trust.LogKeys[0])
	if err != nil {
		f.add(silent, "the log key: %v", err)
		return
	}
	for _, r := range receipts {
		if err := evidence.VerifyReceipt(r, key); err != nil {
			f.add(silent, "%s has a receipt that proves nothing: %v", p.name, err)
		}
	}
	// What the house shows now, with the receipts, is the proof for sigilo verify.
	// A house that shows nothing admits it.
	data, err := p.client.Evidence(ctx, id, evidence.Party)
	if err == nil {
		_, err = evidence.Verify(data, &record.trust)
	}
	switch auction.CodeOf(err) {
	case auction.CodeHistoryChanged, auction.CodeUnknownAuction:
	default:
		f.add(silent, "%s has receipts of what is gone, and the evidence says: %v", p.name, err)
	}
}

// forgetful prepares the loss of all that is written from now on, and returns
// what brings it about.
func (d *database) forgetful(ctx context.Context) (lose func(context.Context) error, err error) {
	if len(d.Sentinels) > 0 {
		return d.forgetfulReplica(ctx)
	}
	return d.forgetfulDisk()
}

// forgetfulDisk brings the disk of every server back to what it is now: a crash
// together with a disk that lied about what it had written.
func (d *database) forgetfulDisk() (func(context.Context) error, error) {
	sizes := make(map[string]int64)
	for _, s := range d.Servers {
		err := filepath.WalkDir(s.Dir(), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".aof") {
				return err
			}
			info, err := e.Info()
			if err == nil {
				sizes[path] = info.Size()
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return func(context.Context) error {
		for _, s := range d.Servers {
			s.Kill()
		}
		for path, size := range sizes {
			if err := os.Truncate(path, size); err != nil {
				return err
			}
		}
		for _, s := range d.Servers {
			if err := s.Restart(); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// forgetfulReplica keeps one replica behind, and then loses the primary and the
// replica that had acknowledged, with their disks: the one that is behind is
// promoted.
func (d *database) forgetfulReplica(ctx context.Context) (func(context.Context) error, error) {
	primary, err := d.Primary(ctx, "")
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(slices.Clone(d.Servers), func(s *localredis.Server) bool { return s == primary })
	behind, acknowledged := others[0], others[1]
	behind.Kill() // a stopped one would find in its sockets what it has missed
	return func(ctx context.Context) error {
		for _, s := range []*localredis.Server{primary, acknowledged} {
			s.Kill()
			if err := os.RemoveAll(filepath.Join(s.Dir(), "appendonlydir")); err != nil {
				return err
			}
		}
		if err := behind.Restart(); err != nil {
			return err
		}
		err := await(ctx, "the replica that is behind to be promoted", func(ctx context.Context) error {
			now, err := d.Primary(ctx, "")
			if err == nil && now != behind {
				err = errors.New("not promoted yet")
			}
			return err
		})
		if err != nil {
			return err
		}
		return errors.Join(primary.Restart(), acknowledged.Restart())
	}, nil
}
