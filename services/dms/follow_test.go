package dms

import (
	"reflect"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A false leaf, which anybody can send, is answered as one and counted as what
// it is: a claim.
func TestFalseLeaf(t *testing.T) {
	s := newStage(t, nil)
	id := s.listed(1)
	c := s.spectator()
	c.send(&wire.FollowRequest{ID: 1, Log: auction.LogID(id), Seq: 1, Leaf: &auction.Hash{1}})
	if m, ok := c.expect().(*wire.SnapshotNotice); !ok || m.Code != auction.CodeHistoryChanged {
		t.Errorf("got %+v", m)
	}
	if m, ok := c.expect().(*wire.RefusedAnswer); !ok || m.Code != auction.CodeHistoryChanged {
		t.Errorf("got %+v", m)
	}
	if n := testutil.ToFloat64(s.srv.metrics.unproven); n != 1 {
		t.Errorf("%v claims", n)
	}
}

// Of an auction that is archived no events are shown, but how it ended; lists go
// on without it.
func TestArchivedIsShownLast(t *testing.T) {
	s := newStage(t, nil)
	id := s.listed(2)
	s.Clock.Set(s.State(id).End())
	s.Ended(id)
	a := archiver{cfg: ArchiveConfig{House: "demo"}, signer: s.srv.heads.signer}
	last, err := a.last(s.State(id))
	if err != nil {
		t.Fatal(err)
	}
	item := s.srv.item(s.State(id))
	if err := s.srv.store.Remove(t.Context(), id, s.State(id).Size(), last); err != nil {
		t.Fatal(err)
	}

	c := s.spectator()
	c.send(&wire.FollowRequest{ID: 1, Log: auction.LogID(id), Seq: 1, Leaf: &auction.Hash{1}})
	shown, ok := c.expect().(*wire.SnapshotNotice)
	if !ok || shown.Code != auction.CodeTooOld || shown.Item == nil || shown.Item.Outcome == "" || !reflect.DeepEqual(*shown.Item, item) {
		t.Errorf("got %+v", shown)
	}
	c.send(&wire.EntriesRequest{ID: 2, Log: auction.LogID(id), From: 1, View: wire.ViewPublic})
	for id := range uint32(2) {
		if m, ok := c.expect().(*wire.RefusedAnswer); !ok || m.ID != id+1 || m.Code != auction.CodeTooOld {
			t.Errorf("got %+v", m)
		}
	}

	next := s.listed(1)
	answer, err := s.srv.query(t.Context(), 1, auction.Command{Kind: auction.KindAllItems}, "")
	if items, ok := answer.(*wire.ItemsAnswer); err != nil || !ok || len(items.Items) != 1 || items.Items[0].Auction != next {
		t.Errorf("listed are %+v, %v", answer, err)
	}
	if inbox, err := s.srv.inbox(t.Context(), 1, auctiontest.Participant("seller")); err != nil || len(inbox.Messages) > 0 {
		t.Errorf("inbox %+v, %v", inbox, err)
	}
}
