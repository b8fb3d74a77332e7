package store

import (
	"context"
	"log/slog"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	// memoryEvery is how often Redis is asked how full it is.
	memoryEvery = time.Second

	// nearlyFull is the share of its memory from which Redis takes no more
	// listings: the rest is for the bids of those that it has.
	nearlyFull = 0.8
)

// memory is how full the fullest primary is, and how many there are.
type memory struct {
	ratio     atomic.Uint64 // bits of a float64
	primaries atomic.Int64  // 0 before they were asked
}

func (m *memory) load() float64 { return math.Float64frombits(m.ratio.Load()) }

// count is how many primaries there are, at least one.
func (m *memory) count() int { return int(max(1, m.primaries.Load())) }

// watchMemory asks all primaries until ctx ends. One that does not answer takes
// no listing anyway.
func (s *Store) watchMemory(ctx context.Context) {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, readTimeout)
		fullest, primaries := 0.0, int64(0)
		err := s.client.primaries(bounded, func(ctx context.Context, c *redis.Client) error {
			primaries++
			info, err := c.Info(ctx, "memory").Result()
			fullest = max(fullest, memoryRatio(info))
			return err
		})
		cancel()
		if primaries > 0 { // also those that do not answer
			s.memory.primaries.Store(primaries)
		}
		if err == nil {
			if before := s.memory.load(); before < nearlyFull && fullest >= nearlyFull {
				s.log.ErrorContext(ctx, "redis is nearly full: no new auction is taken", slog.Float64("ratio", fullest))
			}
			s.memory.ratio.Store(math.Float64bits(fullest))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// memoryRatio reads the share of its memory that a server uses, 0 if it has no
// limit.
func memoryRatio(info string) float64 {
	used, err := strconv.ParseFloat(infoField(info, "used_memory"), 64)
	if err != nil {
		return 0
	}
	limit, err := strconv.ParseFloat(infoField(info, "maxmemory"), 64)
	if err != nil || limit <= 0 {
		return 0
	}
	return used / limit
}

// roomForListing refuses a listing that is not there yet while Redis is nearly
// full. It is not final: nothing remembers it.
func (s *Store) roomForListing(ctx context.Context, id auction.ID) error {
	if s.memory.load() < nearlyFull {
		return nil
	}
	switch _, _, err := s.listing(ctx, id); {
	case auction.CodeOf(err) == auction.CodeUnknownAuction:
		return auction.Refuse(auction.CodeUnavailable, "the house has no room for new auctions just now: list it again later")
	default:
		return err
	}
}
