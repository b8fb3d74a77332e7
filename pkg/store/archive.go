package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

// errArchived is the answer of an auction of which a tombstone is left.
var errArchived = auction.Verdict{Code: auction.CodeTooOld}.Refusal()

// Remove implements [auction.Archive].
func (s *Store) Remove(ctx context.Context, id auction.ID, size uint64, last []byte) error {
	state, err := s.Auction(ctx, id)
	switch {
	case auction.CodeOf(err) == auction.CodeTooOld:
		return nil
	case err != nil:
		return err
	case state.Closed == nil:
		return auction.Refuse(auction.CodeAuctionOpen, "only a closed auction is archived")
	case state.Size() != size:
		return auction.ErrGrew
	case len(last) > auction.MaxLast:
		return auction.Refuse(auction.CodeTooLarge, "a tombstone keeps at most %d bytes", auction.MaxLast)
	}
	// First, as nothing says later whose it was. Whoever is interrupted here does
	// it once more.
	if err := s.forgetMine(ctx, state); err != nil {
		return err
	}
	k := s.keys(auction.LogID(id))
	err = s.submit(ctx, &call{
		script: archiveScript, keys: []string{k.state, k.log, k.answers, k.certs, k.mail}, size: 256 + len(last),
		args:   func(auction.Time, string) ([]any, error) { return []any{text(size), last}, nil },
		finish: func(reply []string) (*auction.Receipt, error) { return nil, word(reply) },
	})
	if err == nil {
		s.views.bury(auction.LogID(id))
	}
	return err
}

// forgetMine takes an auction out of the sets of all who took part in it.
func (s *Store) forgetMine(ctx context.Context, state *auction.State) error {
	people := map[auction.Participant]bool{state.Seller: true}
	for _, bids := range [][]auction.Bid{state.Bids, state.Recorded} {
		for _, b := range bids {
			people[b.Participant] = true
		}
	}
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	_, err := s.client.Pipelined(bounded, func(pipe redis.Pipeliner) error {
		for p := range people {
			pipe.ZRem(bounded, mineKey(p), string(state.ID))
		}
		return nil
	})
	if err != nil {
		return s.failed(ctx, "forget a participant's auction", err)
	}
	return nil
}

// Removed implements [auction.Archive].
func (s *Store) Removed(ctx context.Context, id auction.ID) ([]byte, error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	last, err := s.client.HGet(bounded, s.keys(auction.LogID(id)).state, "archived").Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, auction.Verdict{Code: auction.CodeUnknownAuction}.Refusal()
	case err != nil:
		return nil, s.failed(ctx, "read tombstone", err)
	}
	return last, nil
}

// lookForTombstone returns errArchived if a log that has no entries where it
// should is one of which a tombstone is left.
func (s *Store) lookForTombstone(ctx context.Context, log auction.LogID) error {
	if log == auction.HouseLog {
		return nil
	}
	switch _, err := s.Removed(ctx, auction.ID(log)); {
	case auction.CodeOf(err) == auction.CodeUnknownAuction:
		return nil
	case err != nil:
		return err
	}
	s.views.bury(log)
	return errArchived
}
