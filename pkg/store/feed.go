package store

import (
	"context"
	"log/slog"
	"maps"
	"slices"
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
	watched map[string]*watched // by channel; guarded by mu
}

// watched is a log, or the mail of its auction, that somebody in this process
// watches.
type watched struct {
	log      auction.LogID
	mail     bool
	watchers int
	seen     int64 // how much there was when last looked; -1: never
}

// Watch implements [auction.Feed].
func (s *Store) Watch(log auction.LogID, wake func()) func() {
	return s.feed.watch(s.keys(log).log, watched{log: log}, s.feed.Watchers.Watch(log, wake))
}

// WatchMail implements [auction.Feed].
func (s *Store) WatchMail(id auction.ID, wake func()) func() {
	log := auction.LogID(id)
	return s.feed.watch(s.keys(log).mail, watched{log: log, mail: true}, s.feed.Watchers.WatchMail(id, wake))
}

func (f *feed) watch(channel string, what watched, stop func()) func() {
	f.follow(channel, what)
	return sync.OnceFunc(func() {
		stop()
		f.unfollow(channel)
	})
}

// follow and unfollow hold the lock while they speak to Redis, so that
// subscriptions are in the order of the counts. An error is no loss: the feed
// looks, and a new connection renews all subscriptions.
func (f *feed) follow(channel string, what watched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watched == nil {
		f.watched = make(map[string]*watched)
	}
	w := f.watched[channel]
	if w == nil {
		w = &what
		w.seen = -1
		f.watched[channel] = w
		f.subscribe(f.pubsub.Subscribe, channel)
	}
	w.watchers++
}

func (f *feed) unfollow(channel string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.watched[channel]
	w.watchers--
	if w.watchers == 0 {
		delete(f.watched, channel)
		f.subscribe(f.pubsub.Unsubscribe, channel)
	}
}

func (f *feed) subscribe(do func(context.Context, ...string) error, channel string) {
	ctx, cancel := context.WithTimeout(f.store.ctx, readTimeout)
	defer cancel()
	if err := do(ctx, channel); err != nil && f.store.ctx.Err() == nil {
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
			f.mu.Lock()
			w := f.watched[m.Channel]
			f.mu.Unlock()
			f.wake(w)
		}
	}
}

// wake wakes those who watch something. Nobody does any more if it is nil.
func (f *feed) wake(w *watched) {
	switch {
	case w == nil:
	case w.mail:
		f.WakeMail(auction.ID(w.log))
	default:
		f.Wake(w.log)
	}
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
		f.compareAll(ctx)
	}
}

// compareAll looks at everything that is watched, at each primary on its own: one
// that does not answer hides nothing of what the others have.
func (f *feed) compareAll(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	at := make(map[*redis.Client][]*watched)
	for _, w := range f.all() {
		client, err := f.store.client.primary(bounded, f.store.keys(w.log).log)
		if err != nil {
			continue // as in compare
		}
		at[client] = append(at[client], w)
	}
	var running sync.WaitGroup
	for _, there := range at {
		running.Go(func() {
			for some := range slices.Chunk(there, lookTogether) {
				if !f.compare(ctx, some) {
					return
				}
			}
		})
	}
	running.Wait()
}

func (f *feed) all() []*watched {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.watched))
}

// compare looks at logs of one primary, and reports whether it answered.
func (f *feed) compare(ctx context.Context, all []*watched) bool {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	pipe := f.store.client.Pipeline()
	counts := make([]func() int64, len(all))
	for i, w := range all {
		k := f.store.keys(w.log)
		messages := pipe.HLen(bounded, k.mail)
		if w.mail {
			closed := pipe.HExists(bounded, k.state, "closed")
			counts[i] = func() int64 {
				if closed.Val() {
					return messages.Val() + 1
				}
				return messages.Val()
			}
			continue
		}
		entries := pipe.XLen(bounded, k.log)
		counts[i] = func() int64 { return entries.Val() + messages.Val() }
	}
	if _, err := pipe.Exec(bounded); err != nil {
		return false // the next look comes soon, and who reads meets the same error
	}
	for i, w := range all {
		now := counts[i]()
		f.mu.Lock()
		changed := w.seen != now
		w.seen = now
		f.mu.Unlock()
		if changed {
			f.wake(w)
		}
	}
	return true
}
