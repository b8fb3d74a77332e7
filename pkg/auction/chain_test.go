package auction_test

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
)

// The chain's roots are those of RFC 6962, by golang.org/x/mod/sumdb/tlog.
func TestChainRoots(t *testing.T) {
	const size = 200
	clock := auctiontest.NewClock()
	m := auction.NewMemory(clock.Now, auctiontest.Signer{}, auctiontest.Zeros{})
	s := auctiontest.NewScene(t, t.Name(), m, clock)
	id := s.Listed("seller", s.Terms())
	for i := range size - 1 {
		s.Accept(s.Bid(id, "bidder", auction.Amount(1000+50*i)))
	}
	state := s.State(id)
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(at))
		for i, x := range at {
			out[i] = hashes[x]
		}
		return out, nil
	})
	if state.HeadAt(0).Root != auction.Hash(mustRoot(t, 0, reader)) {
		t.Error("the root of an empty log")
	}
	for i, e := range s.Log(auction.LogID(id)) {
		record := append(append([]byte(nil), e.Commitment[:]...), e.Event...)
		if auction.Hash(tlog.RecordHash(record)) != e.Leaf() || state.Leaves()[i] != e.Leaf() {
			t.Fatalf("leaf %d", i)
		}
		stored, err := tlog.StoredHashes(int64(i), record, reader)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, stored...)
		head := auction.Head{Size: uint64(i) + 1, Root: auction.Hash(mustRoot(t, int64(i)+1, reader))}
		if state.HeadAt(head.Size) != head || !state.Has(head) {
			t.Fatalf("the root of size %d", head.Size)
		}
		head.Root[0]++
		if state.Has(head) {
			t.Fatalf("a wrong root of size %d", head.Size)
		}
	}
	for _, h := range []auction.Head{state.HeadAt(0), {Size: size + 1}, {Size: 1 << 63}} {
		if state.Has(h) {
			t.Errorf("has a head of size %d", h.Size)
		}
	}
}

func mustRoot(t *testing.T, size int64, r tlog.HashReader) tlog.Hash {
	t.Helper()
	h, err := tlog.TreeHash(size, r)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A copy of a state stays as it is while the original grows.
func TestCopiesStay(t *testing.T) {
	clock := auctiontest.NewClock()
	m := auction.NewMemory(clock.Now, auctiontest.Signer{}, auctiontest.Zeros{})
	s := auctiontest.NewScene(t, t.Name(), m, clock)
	id := s.Listed("seller", s.Terms())
	var copies []*auction.State
	for i := range 40 {
		s.Accept(s.Bid(id, "bidder", auction.Amount(1000+50*i)))
		copies = append(copies, s.State(id))
	}
	house, err := m.House(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range copies {
		replayed, err := auction.Replay(house.Policies, s.Log(auction.LogID(id))[:i+2])
		if err != nil || c.Head() != replayed.Head() || c.Leader.Amount != replayed.Leader.Amount || len(c.Bids) != i+1 {
			t.Fatalf("copy %d has changed: %v", i, err)
		}
	}
}
