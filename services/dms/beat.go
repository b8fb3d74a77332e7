package dms

import (
	"context"
	"time"
)

// beatEvery is how often a replica makes a heartbeat of its house: as often as is
// needed to tell a short outage from none, and how much later it seems to end.
const beatEvery = time.Second

// beat makes the heartbeats of this replica until ctx ends. One that fails is no
// matter: others may make theirs, and if nobody can, that is what an outage is.
func (s *server) beat(ctx context.Context) error {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		if err := s.store.Beat(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "no heartbeat of the house, or not all that follows from it", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
