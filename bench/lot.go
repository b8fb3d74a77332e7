package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

const (
	firstBid = 100 // minor units
	currency = auction.Currency("EUR")
	// listBatch listings name the same head of the house log, which the house
	// takes for as long as its freshness; then the log is read again.
	listBatch = 64
	// lotsPerSeller keeps a seller within what the house takes from one
	// connection at once.
	lotsPerSeller = 64
)

// lot is an auction that the benchmark listed and alone bids in. The receipts
// of its bids show its log, from which the next bid's head comes: nobody has to
// follow it.
type lot struct {
	id       auction.ID
	terms    auction.Hash
	policies map[auction.Hash]auction.Policy
	amount   atomic.Int64 // of the latest bid that was made

	mu    sync.Mutex
	state auction.State
	early map[uint64]auction.Entry // that came before those before them
}

// next is the amount of the next bid.
func (l *lot) next() auction.Amount { return auction.Amount(l.amount.Add(1)) }

func (l *lot) head() auction.Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Head()
}

// learn takes an entry of the log in any order.
func (l *lot) learn(e auction.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Seq <= l.state.Size() {
		return nil
	}
	l.early[e.Seq] = e
	for {
		next, ok := l.early[l.state.Size()+1]
		if !ok {
			return nil
		}
		delete(l.early, next.Seq)
		if err := l.state.Apply(l.policies, next); err != nil {
			return fmt.Errorf("replay an auction: %w", err)
		}
	}
}

// catchUp reads what no receipt has shown: an answer was lost.
func (l *lot) catchUp(ctx context.Context, m *member) error {
	for {
		page, err := entriesFrom(ctx, m, auction.LogID(l.id), l.head().Size+1)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			entry, err := e.Entry()
			if err != nil {
				return err
			}
			if err := l.learn(entry.Public()); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
	}
}

// sellersFor returns how many sellers list so many auctions.
func sellersFor(auctions int) int { return (auctions + lotsPerSeller - 1) / lotsPerSeller }

// listLots lists auctions that stay open for life. On a busy machine a batch
// may outlive its head: what was refused then is listed again under the next.
func listLots(ctx context.Context, h *house, sellers []*member, count int, life time.Duration) ([]*lot, error) {
	lots := make([]*lot, count)
	closes := h.now().Add(life)
	for from := 0; from < count; from += listBatch {
		batch := lots[from:min(from+listBatch, count)]
		for slices.Contains(batch, nil) {
			if err := h.sync(ctx, sellers[from/lotsPerSeller]); err != nil {
				return nil, err
			}
			if err := listBatchOf(ctx, sellers, batch, h.head(), closes); err != nil {
				return nil, fmt.Errorf("list an auction: %w", err)
			}
		}
	}
	return lots, nil
}

// listBatchOf lists what is still nil, as far as the head is taken.
func listBatchOf(ctx context.Context, sellers []*member, batch []*lot, head auction.Head, closes auction.Time) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range batch {
		if batch[i] != nil {
			continue
		}
		group.Go(func() error {
			made, err := list(ctx, sellers[i%len(sellers)], head, closes)
			if code := auction.CodeOf(err); code == auction.CodeStaleHead {
				return nil
			}
			batch[i] = made
			return err
		})
	}
	return group.Wait()
}

func list(ctx context.Context, m *member, head auction.Head, closes auction.Time) (*lot, error) {
	terms := auction.Terms{
		V: 1, Policy: m.house.hash, Title: "Load test", Currency: currency, Minimum: firstBid, Increment: 1,
		Closes: closes, TieWindow: time.Second.Microseconds(), Disclose: []string{},
	}
	doc, err := terms.Encode()
	if err != nil {
		return nil, err
	}
	name := auction.Pseudonym(uuid.NewString())
	jws, err := m.sign(wire.Command{Kind: auction.KindList, Pseudonym: name, Head: head, Terms: doc})
	if err != nil {
		return nil, err
	}
	done, err := m.place(ctx, jws)
	if err != nil {
		return nil, err
	}
	_, entry, err := done.entry()
	if err != nil {
		return nil, err
	}
	l := &lot{
		id: auction.ID(name), terms: auction.TermsHash(doc), early: make(map[uint64]auction.Entry),
		policies: map[auction.Hash]auction.Policy{m.house.hash: m.house.policy},
	}
	l.amount.Store(firstBid - 1)
	return l, l.learn(entry)
}
