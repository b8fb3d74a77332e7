package store

import (
	"context"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	// maxNoted bounds what a process remembers of the sets that it has added to.
	maxNoted = 1 << 16

	// maxMine bounds the set of one participant. Commands that came to nothing
	// while Redis could not be reached may stay in it, so without a bound it
	// would be the participant who decides how large it grows.
	maxMine = 10_000
)

// mineCache holds additions to the sets of mine that are known to be durable.
type mineCache struct {
	mu    sync.Mutex
	noted map[mineEntry]struct{}
}

type mineEntry struct {
	p  auction.Participant
	id auction.ID
}

// noteMine adds the auction to the participant's set before the first place, so
// that the set lacks none of the latest ones. Later places leave it where it is:
// the order is that of the first ones, whichever replicas took them.
func (s *Store) noteMine(ctx context.Context, p auction.Participant, id auction.ID) error {
	entry := mineEntry{p, id}
	s.mine.mu.Lock()
	_, noted := s.mine.noted[entry]
	s.mine.mu.Unlock()
	if noted {
		return nil
	}
	now, err := s.clock()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = s.client.durably(ctx, mineKey(p), func(pipe redis.Pipeliner) {
		pipe.ZAddNX(ctx, mineKey(p), redis.Z{Score: float64(now), Member: string(id)})
		pipe.ZRemRangeByRank(ctx, mineKey(p), 0, -maxMine-1)
	})
	if err != nil {
		return s.failed(ctx, "note a participant's auction", err)
	}
	s.mine.mu.Lock()
	defer s.mine.mu.Unlock()
	if s.mine.noted == nil || len(s.mine.noted) >= maxNoted {
		s.mine.noted = make(map[mineEntry]struct{})
	}
	s.mine.noted[entry] = struct{}{}
	return nil
}

// dropMine takes the auction of a listing that was refused out of the set again,
// unless it may be committed.
func (s *Store) dropMine(ctx context.Context, p auction.Participant, id auction.ID, refusal error) {
	switch auction.CodeOf(refusal) {
	case auction.CodeUnavailable, auction.CodeUnknownResult, auction.CodeOverloaded, auction.CodeInternal:
		return
	}
	// A pseudonym that was used may be that of an auction.
	if _, _, err := s.listing(ctx, id); auction.CodeOf(err) != auction.CodeUnknownAuction {
		return
	}
	s.mine.mu.Lock()
	delete(s.mine.noted, mineEntry{p, id})
	s.mine.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := s.client.ZRem(ctx, mineKey(p), string(id)).Err(); err != nil {
		s.log.WarnContext(ctx, "a refused listing stays among a participant's auctions", slog.Any("error", err))
	}
}
