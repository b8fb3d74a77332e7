package dms

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sigilo/sigilo/pkg/auction"
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
