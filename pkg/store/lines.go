package store

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

// A line is the way to one primary: a queue and its writers.
type line struct {
	queue   chan *call
	stop    context.CancelFunc
	stopped chan struct{} // closed when the writers have ended
}

// lines are the ways to all primaries that there are, or were.
type lines struct {
	start func(*redis.Client) *line

	mu     sync.RWMutex
	by     map[*redis.Client]*line // guarded by mu
	closed bool                    // guarded by mu
}

// to returns the line to a primary, nil once they are closed.
func (ls *lines) to(client *redis.Client) *line {
	ls.mu.RLock()
	l := ls.by[client]
	ls.mu.RUnlock()
	if l != nil {
		return l
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.by[client]; l != nil || ls.closed {
		return l
	}
	if ls.by == nil {
		ls.by = make(map[*redis.Client]*line)
	}
	l = ls.start(client)
	ls.by[client] = l
	return l
}

// drop ends the line to a server that left the Cluster.
func (ls *lines) drop(client *redis.Client) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.by[client]; l != nil {
		l.stop()
		delete(ls.by, client)
	}
}

// close lets all writers end.
func (ls *lines) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	for _, l := range ls.by {
		l.stop()
	}
	ls.by = nil
}

// waiting counts the calls in the fullest queue: each has a limit of its own.
func (ls *lines) waiting() int {
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	most := 0
	for _, l := range ls.by {
		most = max(most, len(l.queue))
	}
	return most
}

// newLine starts the writers of a primary.
func (s *Store) newLine(client *redis.Client) *line {
	ctx, cancel := context.WithCancel(s.ctx)
	l := &line{queue: make(chan *call, maxQueue), stop: cancel, stopped: make(chan struct{})}
	var running sync.WaitGroup
	for i := range writers {
		w := &writer{
			client: client, replicated: s.client.replicated, queue: l.queue, clock: s.clock, signer: s.signer,
			moved: s.client.moved, gone: func() { s.lines.drop(client) },
			metrics: s.metrics, busy: s.metrics.busy.WithLabelValues(strconv.Itoa(i + 1)), log: s.log, start: time.Now(),
		}
		running.Go(func() { w.run(ctx) })
	}
	s.running.Go(func() {
		running.Wait()
		cancel()
		close(l.stopped)
	})
	return l
}

// submit queues a call for the primary of its keys, and waits until it is done,
// ctx ends or callTimeout is over.
func (s *Store) submit(ctx context.Context, c *call) error {
	client, err := s.client.primary(ctx, c.keys[0])
	if err != nil {
		return s.failed(ctx, "find the primary", err)
	}
	l := s.lines.to(client)
	if l == nil {
		return unavailable()
	}
	return l.submit(ctx, c)
}

func (l *line) submit(ctx context.Context, c *call) error {
	c.done = make(chan error, 1)
	select {
	case l.queue <- c:
	default:
		return auction.Refuse(auction.CodeOverloaded, "send the same again a little later")
	}
	late := time.NewTimer(callTimeout)
	defer late.Stop()
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
	case <-late.C:
	case <-l.stopped: // the writers have answered what they took
		select {
		case err := <-c.done:
			return err
		default:
		}
	}
	if c.taken.CompareAndSwap(false, true) {
		return unavailable()
	}
	return unknown()
}
