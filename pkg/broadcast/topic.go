package broadcast

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	// lookEvery bounds how late an event is whose wake was lost.
	lookEvery = time.Second

	// After a failed read the next waits, twice as long each time: a store that
	// is down is not helped by being asked by every followed log at once.
	firstRetry = 100 * time.Millisecond
	lastRetry  = 2 * time.Second

	// What a topic keeps for those who come back after a short break. A bid's
	// event has a few hundred bytes, so this is most auctions' whole history.
	maxRecent      = 512
	maxRecentBytes = 256 << 10
)

// A follower is one client's interest in one log.
type follower struct {
	queue *Queue
	next  uint64 // sequence number of the next event for it; the topic's goroutine owns it
}

// A topic is a log that somebody follows. Followers at the end of the log are
// live: they get each event as it is read, and are dropped if their queue
// overflows. The others are behind: they get what is there in portions that
// their queue has room for, and become live at the end.
type topic struct {
	hub    *Hub
	log    auction.LogID
	cancel context.CancelFunc
	users  int // guarded by hub.mu

	wake  chan struct{} // holds a value when there may be something to do
	woken atomic.Int64  // when the first wake came that was not looked at yet, since hub.epoch; 0: none

	// The topic's goroutine owns these.
	end    uint64       // sequence number of the last event of recent, or where it would begin
	leaf   auction.Hash // of the entry at end
	known  bool         // leaf is
	recent [][]byte     // messages of the latest events up to end
	size   int          // bytes in recent
	tailed bool         // end was the end of the log when it was last read
	closed bool         // the log holds its close record
	over   bool         // and end is that of it
	due    bool         // the log may have grown past end
	since  int64        // when it had, at the earliest known time
	looked int64        // when it was last read at end

	mu     sync.Mutex
	live   []*follower // next > end; none unless tailed
	behind []*follower // the first is the one that waits longest
}

func (t *topic) join(f *follower) {
	t.mu.Lock()
	t.behind = append(t.behind, f)
	t.mu.Unlock()
	t.hub.metrics.followers.Inc()
	notify(t.wake)
}

// leave removes f unless its queue was found closed before.
func (t *topic) leave(f *follower) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, set := range []*[]*follower{&t.live, &t.behind} {
		if i := slices.Index(*set, f); i >= 0 {
			*set = slices.Delete(*set, i, i+1)
			t.hub.metrics.followers.Dec()
		}
	}
}

func (t *topic) onWake() {
	t.woken.CompareAndSwap(0, int64(time.Since(t.hub.epoch)))
	notify(t.wake)
}

// run serves the followers until ctx ends.
func (t *topic) run(ctx context.Context) {
	stop := t.hub.options.Feed.Watch(t.log, t.onWake)
	defer stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	retry := time.Duration(0)
	for ctx.Err() == nil {
		more, err := t.step(ctx)
		switch {
		case ends(err):
			t.cutOff(ctx, err)
			continue
		case err != nil:
			retry = t.pause(ctx, retry, err)
			continue
		case retry > 0:
			retry = 0
			t.hub.options.Log.LogAttrs(ctx, slog.LevelInfo, "log is read again", slog.String("log", string(t.log)))
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
		case <-t.wake:
		case <-look.C:
			if t.over { // nothing comes any more
				look.Stop()
				continue
			}
			t.expect(t.looked)
		}
	}
}

// ends reports whether an error is that a log does not go on as it was given out: it
// is another one, or was archived.
func ends(err error) bool {
	code := auction.CodeOf(err)
	return code == auction.CodeHistoryChanged || code == auction.CodeTooOld
}

// cutOff closes the queues of all followers: what they were given is not in the
// log any more. When they connect again, their positions are compared with it. The
// topic begins anew, for who follows what is there now.
func (t *topic) cutOff(ctx context.Context, reason error) {
	level := slog.LevelError
	if auction.CodeOf(reason) == auction.CodeTooOld {
		level = slog.LevelInfo // as the operator wanted
	}
	t.hub.options.Log.LogAttrs(ctx, level, "a log is not the one that was given out, its followers are cut off",
		slog.String("log", string(t.log)), slog.String("code", string(auction.CodeOf(reason))))
	clear(t.recent)
	t.end, t.leaf, t.known, t.recent, t.size = 0, auction.Hash{}, false, t.recent[:0], 0
	t.tailed, t.closed, t.over, t.due = false, false, false, false
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range slices.Concat(t.live, t.behind) {
		f.queue.Close(reason)
		t.hub.metrics.followers.Dec()
	}
	t.live, t.behind = nil, nil
}

// pause waits after a failed read and returns how long. Of failures in a row
// only the first is logged.
func (t *topic) pause(ctx context.Context, last time.Duration, err error) time.Duration {
	if ctx.Err() != nil {
		return last
	}
	wait := min(2*last, lastRetry)
	if last == 0 {
		wait = firstRetry
		t.hub.options.Log.LogAttrs(ctx, slog.LevelWarn, "log cannot be read, its followers wait",
			slog.String("log", string(t.log)), slog.Any("error", err))
	}
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
	return wait
}

// expect notes that the log may have grown at the given time.
func (t *topic) expect(when int64) {
	if !t.due {
		t.due, t.since = true, when
	}
}

// step hands over what is new, and one portion to the follower that is behind
// and has waited longest, which all others take from that want it. It reports
// whether there is more to do at once.
func (t *topic) step(ctx context.Context) (more bool, err error) {
	if w := t.woken.Swap(0); w != 0 {
		t.expect(w)
	}
	if t.due && t.tailed {
		since := t.since
		n, err := t.load(ctx, t.end+1)
		if err != nil {
			return false, err
		}
		lag := (time.Since(t.hub.epoch) - time.Duration(since)).Seconds()
		for range n {
			t.hub.metrics.lag.Observe(lag)
		}
	}
	f := t.pick()
	if f == nil {
		return false, nil
	}
	switch first := t.end + 1 - uint64(len(t.recent)); {
	case t.tailed && f.next > t.end:
		t.give(page{first: t.end + 1}) // nothing to give: f becomes live
	case f.next >= first && f.next <= t.end:
		t.give(page{first: first, messages: t.recent})
	default:
		if _, err := t.load(ctx, f.next); err != nil {
			return false, err
		}
	}
	return true, nil
}

// load reads the log from a sequence number on, hands over what is there, and
// returns how many events that were. What it read becomes the recent events if
// it continues them, or if it reaches the end of the log.
func (t *topic) load(ctx context.Context, from uint64) (int, error) {
	start := int64(time.Since(t.hub.epoch))
	p, full, err := t.read(ctx, from)
	if err != nil {
		return 0, err
	}
	switch {
	case from == t.end+1:
		t.recent = append(t.recent, p.messages...)
	case !full:
		clear(t.recent)
		t.recent, t.size = append(t.recent[:0], p.messages...), 0
	default: // old history, for those who are as far behind
		t.give(p)
		return len(p.messages), nil
	}
	for _, m := range p.messages {
		t.size += len(m)
	}
	t.end, t.leaf = p.end(), p.leaf
	t.known = t.leaf != auction.Hash{}
	t.over = t.over || p.last
	if t.tailed = !full; t.tailed {
		t.looked, t.due = start, false
	}
	t.trim()
	t.give(p)
	return len(p.messages), nil
}

func (t *topic) trim() {
	for len(t.recent) > maxRecent || t.size > maxRecentBytes {
		t.size -= len(t.recent[0])
		t.recent[0] = nil
		t.recent = t.recent[1:]
	}
}
