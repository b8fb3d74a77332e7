package store

import (
	"maps"

	"github.com/sigilo/sigilo/pkg/auction"
)

// maxOwn bounds the own bids that wait for those of other replicas before them.
// Beyond it they are forgotten, and read from the log when they are needed.
const maxOwn = 256

// An ownBid is a bid that this process committed: it knows the entry without
// reading it.
type ownBid struct {
	auction.Bid
	leaf auction.Hash
}

// learn takes a bid that was committed, and not recorded, into the view of its
// auction: bidders name the latest head, which would otherwise be read from
// Redis for each of them. The bid must be durable. Learning waits for nobody;
// what it misses is read when it is needed.
func (s *Store) learn(id auction.ID, bid ownBid) {
	v := s.views.get(auction.LogID(id))
	if size := v.chain().Size(); size == 0 || bid.Seq <= size {
		return
	}
	v.own.mu.Lock()
	if v.own.bids == nil || len(v.own.bids) >= maxOwn {
		v.own.bids = make(map[uint64]ownBid)
	}
	v.own.bids[bid.Seq] = bid
	v.own.mu.Unlock()
	if !v.mu.TryLock() {
		return // whoever holds it reads further, or learns this one too
	}
	defer v.mu.Unlock()
	v.takeOwn()
}

// takeOwn applies the own bids that are next. The caller holds v.mu.
func (v *view) takeOwn() {
	v.own.mu.Lock()
	defer v.own.mu.Unlock()
	before := v.state.Load()
	state := *before
	for {
		seq := state.Size() + 1
		bid, ok := v.own.bids[seq]
		if !ok {
			break
		}
		delete(v.own.bids, seq)
		if state.ApplyBid(bid.Bid, bid.leaf) != nil {
			break // closed meanwhile, which a reading will show
		}
	}
	if state.Size() > before.Size() {
		v.state.Store(&state)
	}
}

// dropOwn forgets the own bids that were read meanwhile. The caller holds v.mu.
func (v *view) dropOwn() {
	size := v.chain().Size()
	v.own.mu.Lock()
	defer v.own.mu.Unlock()
	maps.DeleteFunc(v.own.bids, func(seq uint64, _ ownBid) bool { return seq <= size })
}
