package dms

import (
	"crypto/rand"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A receipt for an entry that the log lacks suspends its auction, and nothing less
// does: not one that the house did not sign, one for an entry that is there, one
// that was shown before, or one in the hands of a spectator.
func TestReceiptOfALostEntry(t *testing.T) {
	s := newStage(t, nil)
	secret, public, err := note.GenerateKey(rand.Reader, "demo")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := evidence.NewLogSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	s.Policy.LogKey = public
	if s.Doc, err = s.Policy.Encode(); err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(t.Context(), s.Doc); err != nil {
		t.Fatal(err)
	}
	id := s.listed(1)
	behind, err := s.srv.position(t.Context(), auction.LogID(id))
	if err != nil {
		t.Fatal(err)
	}
	s.Accept(s.Bid(id, "bidder 2", 5000))
	promise := func(seq uint64, leaf auction.Hash) auction.Receipt {
		receipts := []auction.Receipt{{Auction: id, Seq: seq, Leaf: leaf}}
		if err := signer.SignReceipts(receipts); err != nil {
			t.Fatal(err)
		}
		return receipts[0]
	}
	c := s.srv.newConn()
	c.party = party("bidder 1")
	if pos, err := c.held(t.Context(), behind, promise(3, s.State(id).Leaves()[2])); err != nil || pos.Size() != 3 {
		t.Errorf("one that came after what was read: %d entries, %v", pos.Size(), err)
	}
	forged := promise(2, auction.Hash{1})
	forged.Leaf[0]++
	lost, beyond := promise(2, auction.Hash{1}), promise(7, auction.Hash{2})
	for _, tt := range []struct {
		name      string
		receipt   auction.Receipt
		spectator bool
		refused   auction.Code
		size      uint64 // of the log afterwards
	}{
		{"one that is there", promise(3, s.State(id).Leaves()[2]), false, "", 3},
		{"a forged one", forged, false, auction.CodeBadSignature, 3},
		{"a spectator's", lost, true, auction.CodeNotAllowed, 3},
		{"a lost one", lost, false, "", 4},
		{"the same again", lost, false, "", 4},
		{"the same of a spectator", lost, true, "", 4},
		{"another", beyond, false, "", 5},
	} {
		c := s.srv.newConn()
		if tt.spectator {
			c.spectate()
		} else {
			c.party = party("bidder 1")
		}
		_, err := c.follow(t.Context(), &wire.FollowRequest{ID: 1, Log: auction.LogID(id), Receipt: &tt.receipt})
		if auction.CodeOf(err) != tt.refused {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.refused)
		}
		for _, stop := range c.follows {
			stop()
		}
		state := s.State(id)
		if state.Size() != tt.size || state.Suspended() != (tt.size > 3) {
			t.Errorf("%s: suspended %v, %d entries", tt.name, state.Suspended(), state.Size())
		}
	}
	item := s.srv.item(s.State(id))
	if item.Status != wire.StatusSuspended || item.Least != 0 {
		t.Errorf("shown as %q, and from %d on", item.Status, item.Least)
	}
}

// An auction that is suspended does not close, and is not overdue.
func TestSuspendedDoesNotClose(t *testing.T) {
	s := newStage(t, nil)
	id := s.listed(1)
	if err := s.Suspend(t.Context(), id, auction.Lost{Seq: 9, Leaf: auction.Hash{1}}); err != nil {
		t.Fatal(err)
	}
	s.Clock.Set(s.State(id).End() + 2*auction.Time(s.Policy.Grace))
	store := &closing{Backend: s.Backend, before: func() {}}
	c := newCloser(store, s.Clock)
	if overdue, err := c.close(t.Context(), id, s.Clock.Time()); err != nil || overdue != 0 {
		t.Errorf("overdue for %v, %v", overdue, err)
	}
	if store.tries != 1 { // or others wait behind it
		t.Errorf("the store was told %d times that it is due", store.tries)
	}
	if s.State(id).Closed != nil {
		t.Fatal("closed")
	}
	if err := s.Resume(t.Context(), id, 0); err != nil {
		t.Fatal(err)
	}
	s.Clock.Set(s.State(id).End() + 2*auction.Time(s.Policy.Grace))
	if _, err := c.close(t.Context(), id, s.Clock.Time()); err != nil || s.State(id).Closed == nil {
		t.Errorf("not closed after the resumption: %v", err)
	}
}
