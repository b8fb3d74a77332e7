package store

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

// lookEvery is how long a wake that was lost delays what it should have told.
const lookEvery = time.Second

// lookTogether bounds the logs that one pipeline asks about.
const lookTogether = 256

// feed wakes the watchers of this process: at once by what Redis publishes, and
// within lookEvery by looking, whatever became of that.
type feed struct {
	auction.Watchers
	store  *Store
	pubsub *redis.PubSub // connects again and renews its subscriptions by itself

	mu      sync.Mutex
	watched map[auction.LogID]*watched // guarded by mu
}

// watched is a log that somebody in this process watches.
type watched struct {
	watchers int
	seen     int64 // entries and private messages when last looked; -1: never
}

// Watch implements [auction.Feed].
func (s *Store) Watch(log auction.LogID, wake func()) func() {
	stop := s.feed.Watchers.Watch(log, wake)
	s.feed.follow(log)
	return sync.OnceFunc(func() {
		stop()
		s.feed.unfollow(log)
	})
}

// follow and unfollow hold the lock while they speak to Redis, so that
// subscriptions are in the order of the counts. An error is no loss: the feed
// looks, and a new connection renews all subscriptions.
func (f *feed) follow(log auction.LogID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watched == nil {
		f.watched = make(map[auction.LogID]*watched)
	}
	w := f.watched[log]
	if w == nil {
		w = &watched{seen: -1}
		f.watched[log] = w
		f.subscribe(f.pubsub.Subscribe, log)
	}
	w.watchers++
}

func (f *feed) unfollow(log auction.LogID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.watched[log]
	w.watchers--
	if w.watchers == 0 {
		delete(f.watched, log)
		f.subscribe(f.pubsub.Unsubscribe, log)
	}
}

func (f *feed) subscribe(do func(context.Context, ...string) error, log auction.LogID) {
	ctx, cancel := context.WithTimeout(f.store.ctx, readTimeout)
	defer cancel()
	if err := do(ctx, f.store.keys(log).log); err != nil && f.store.ctx.Err() == nil {
		f.store.log.WarnContext(ctx, "a subscription waits for the next connection", slog.Any("error", err))
	}
}

// listen passes on what Redis publishes until the subscription is closed.
func (f *feed) listen(ctx context.Context) {
	messages := f.pubsub.Channel()
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-messages:
			if !ok {
				return
			}
			f.Wake(f.logOf(m.Channel))
		}
	}
}

// logOf is the inverse of the naming of streams.
func (f *feed) logOf(channel string) auction.LogID {
	tag, _, _ := strings.Cut(strings.TrimPrefix(channel, prefix), "}")
	if tag == f.store.house {
		return auction.HouseLog
	}
	return auction.LogID(tag)
}

// look compares, once in lookEvery, how much there is with how much there was.
func (f *feed) look(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		logs := f.logs()
		for len(logs) > 0 {
			n := min(len(logs), lookTogether)
			f.compare(ctx, logs[:n])
			logs = logs[n:]
		}
	}
}

func (f *feed) logs() []auction.LogID {
	f.mu.Lock()
	defer f.mu.Unlock()
	logs := make([]auction.LogID, 0, len(f.watched))
	for log := range f.watched {
		logs = append(logs, log)
	}
	return logs
}

func (f *feed) compare(ctx context.Context, logs []auction.LogID) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	pipe := f.store.client.Pipeline()
	entries, messages := make([]*redis.IntCmd, len(logs)), make([]*redis.IntCmd, len(logs))
	for i, log := range logs {
		k := f.store.keys(log)
		entries[i], messages[i] = pipe.XLen(bounded, k.log), pipe.HLen(bounded, k.mail)
	}
	if _, err := pipe.Exec(bounded); err != nil {
		return // the next look comes soon, and who reads meets the same error
	}
	for i, log := range logs {
		now := entries[i].Val() + messages[i].Val()
		f.mu.Lock()
		w := f.watched[log]
		changed := w != nil && w.seen != now
		if changed {
			w.seen = now
		}
		f.mu.Unlock()
		if changed {
			f.Wake(log)
		}
	}
}
