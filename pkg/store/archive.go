package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

// errArchived is the answer of an auction of which a tombstone is left.
var errArchived = auction.Refuse(auction.CodeUnknownAuction,
	"the auction was closed and archived: the operator of the house has its evidence")

// Remove replaces a closed auction, whose log has the given number of entries and
// is kept elsewhere, by a tombstone. Who asks for it later is refused with
// CodeUnknownAuction and told so. It returns [auction.ErrGrew] for a log of
// another size, and for an auction that is open. Removing again does nothing, but
// for what was left if it was interrupted.
func (s *Store) Remove(ctx context.Context, id auction.ID, size uint64) error {
	k := s.keys(auction.LogID(id))
	err := s.submit(ctx, &call{
		script: archiveScript, keys: []string{k.state, k.log, k.answers, k.certs}, size: 128,
		args:   func(auction.Time, string) ([]any, error) { return []any{text(size)}, nil },
		finish: func(reply []string) (*auction.Receipt, error) { return nil, word(reply) },
	})
	if err != nil {
		return err
	}
	s.views.drop(auction.LogID(id))
	return s.sweep(ctx, id)
}

// sweep deletes what no script needs of an auction that is a tombstone.
func (s *Store) sweep(ctx context.Context, id auction.ID) error {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	_, err := s.client.Pipelined(bounded, func(pipe redis.Pipeliner) error {
		pipe.Del(bounded, s.keys(auction.LogID(id)).mail)
		pipe.ZRem(bounded, s.keys(auction.HouseLog).due, string(id))
		return nil
	})
	if err != nil {
		return s.failed(ctx, "delete messages", err)
	}
	return nil
}

// removed reports whether a log that is not what it was is one of which a
// tombstone is left.
func (s *Store) removed(ctx context.Context, log auction.LogID) (bool, error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err := s.client.HGet(bounded, s.keys(log).state, "archived").Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	} else if err != nil {
		return false, s.failed(ctx, "look for a tombstone", err)
	}
	return true, nil
}
