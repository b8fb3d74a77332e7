package auctiontest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

func testProofs(_ *testing.T, s *Scene) {
	ctx := context.Background()
	kept := func() []string {
		s.t.Helper()
		proofs, err := s.Proofs(ctx)
		s.ok(err)
		texts := []string{}
		for _, p := range proofs {
			texts = append(texts, string(p))
		}
		slices.Sort(texts)
		return texts
	}
	s.equal(kept(), []string{})
	for range 2 { // again is once
		s.ok(s.KeepProof(ctx, "tsa1", []byte("one")))
	}
	s.ok(s.KeepProof(ctx, "tsa2", []byte("another")))
	s.equal(kept(), []string{"another", "one"})
	for i := range 2 * auction.MaxProofs {
		s.ok(s.KeepProof(ctx, "tsa1", fmt.Append(nil, "proof ", i)))
	}
	s.equal(len(kept()), auction.MaxProofs+1)
	s.equal(slices.Contains(kept(), "one"), true)           // the first ones stay
	s.equal(s.Log(auction.HouseLog)[1:], []auction.Entry{}) // in no log
}
