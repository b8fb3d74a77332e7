package dms

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// maxBoxes bounds the auctions whose mail comes to one connection by itself: the
// latest. The client asks for the rest with the inbox command.
const maxBoxes = 1000

// mail brings private messages to the participants who are connected to this
// replica as soon as they are there. It watches each auction in which one of
// them listed or bid, once for all of them.
type mail struct {
	srv  *server
	feed auction.Feed
	log  *slog.Logger
	wake chan struct{}

	mu     sync.Mutex
	boxes  map[auction.ID]*box
	byConn map[*conn]map[auction.ID]bool // in which boxes each is
	dirty  map[auction.ID]bool           // to be looked at by run
}

// box is an auction that connected participants take part in.
type box struct {
	stop  func()                                 // ends the watch; nil until it has begun
	conns map[*conn]map[auction.MessageKind]bool // and what was pushed to each
}

func newMail(srv *server, feed auction.Feed, log *slog.Logger) *mail {
	return &mail{
		srv: srv, feed: feed, log: log, wake: make(chan struct{}, 1),
		boxes: make(map[auction.ID]*box), byConn: make(map[*conn]map[auction.ID]bool), dirty: make(map[auction.ID]bool),
	}
}

// open pushes what waits for a new connection, and watches the rest, until ctx
// ends.
func (m *mail) open(ctx context.Context, c *conn) {
	ids, err := m.srv.store.Mine(ctx, c.party.Certificate.Participant)
	if err != nil {
		m.log.WarnContext(ctx, "a participant's auctions were not read", "error", err)
		return // the client asks for its inbox itself from time to time
	}
	for _, id := range ids[:min(len(ids), maxBoxes)] {
		if ctx.Err() != nil {
			return
		}
		m.expect(id, c)
		m.mark(id)
	}
}

// expect watches an auction for a participant's connection, unless it has too
// many already.
func (m *mail) expect(id auction.ID, c *conn) {
	m.mu.Lock()
	if m.byConn[c][id] || len(m.byConn[c]) >= maxBoxes {
		m.mu.Unlock()
		return
	}
	b := m.boxes[id]
	first := b == nil
	if first {
		b = &box{conns: make(map[*conn]map[auction.MessageKind]bool)}
		m.boxes[id] = b
	}
	b.conns[c] = make(map[auction.MessageKind]bool)
	if m.byConn[c] == nil {
		m.byConn[c] = make(map[auction.ID]bool)
	}
	m.byConn[c][id] = true
	m.mu.Unlock()
	if !first {
		return
	}
	// A subscription may take its time, for which no other mail waits.
	stop := m.feed.WatchMail(id, func() { m.mark(id) })
	m.mu.Lock()
	kept := m.boxes[id] == b
	if kept {
		b.stop = stop
	}
	m.mu.Unlock()
	if !kept {
		stop()
	}
}

// close forgets a connection, for which nothing may be expected any more.
func (m *mail) close(c *conn) {
	m.mu.Lock()
	in := slices.Collect(maps.Keys(m.byConn[c]))
	m.mu.Unlock()
	for _, id := range in {
		m.forget(id, c)
	}
}

// forget takes a connection out of a box, and the box away with its last one.
func (m *mail) forget(id auction.ID, c *conn) {
	m.mu.Lock()
	b := m.boxes[id]
	if b == nil {
		m.mu.Unlock()
		return
	}
	delete(b.conns, c)
	delete(m.byConn[c], id)
	if len(m.byConn[c]) == 0 {
		delete(m.byConn, c)
	}
	var stop func()
	if len(b.conns) == 0 {
		delete(m.boxes, id)
		stop = b.stop
	}
	m.mu.Unlock()
	if stop != nil {
		stop() // waits for a wake that is under way, and that takes mu
	}
}

// mark asks run to look at an auction. It never blocks.
func (m *mail) mark(id auction.ID) {
	m.mu.Lock()
	m.dirty[id] = true
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run delivers until ctx ends. What could not be read is tried again: nothing
// wakes for an auction that is closed already.
func (m *mail) run(ctx context.Context) error {
	failed := make(map[auction.ID]bool)
	retry := time.NewTicker(retryEvery)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.wake:
		case <-retry.C:
			for id := range failed {
				m.mark(id)
			}
			clear(failed)
		}
		m.mu.Lock()
		dirty := m.dirty
		m.dirty = make(map[auction.ID]bool)
		m.mu.Unlock()
		for id := range dirty {
			if !m.deliver(ctx, id) {
				failed[id] = true
			}
		}
	}
}

// deliver pushes what is there of one auction to those who are connected. It
// reports whether all of it could be read. While the auction is open it asks the
// store once, however many are connected.
func (m *mail) deliver(ctx context.Context, id auction.ID) (ok bool) {
	conns := m.connsOf(id)
	if len(conns) == 0 {
		return true
	}
	state, err := m.srv.store.Auction(ctx, id)
	if absent(err) {
		return true // perhaps in somebody's set before the listing is placed
	}
	if err != nil {
		m.log.WarnContext(ctx, "an auction was not read", "error", err)
		return false
	}
	if state.Closed == nil {
		return true
	}
	ok = true
	for _, c := range conns {
		messages, more, err := m.srv.messagesOf(ctx, state, c.party.Certificate.Participant)
		if err != nil {
			m.log.WarnContext(ctx, "private messages were not read", "error", err)
			ok = false
			continue
		}
		for _, message := range m.notYetPushed(id, c, messages) {
			// Each in a message of its own: together they may not fit a frame. If
			// the connection is ending, the next one gets them.
			_ = c.answer(&wire.InboxAnswer{Messages: []wire.Message{message}})
		}
		if !more {
			m.forget(id, c)
		}
	}
	return ok
}

func (m *mail) connsOf(id auction.ID) []*conn {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.boxes[id]
	if b == nil {
		return nil
	}
	return slices.Collect(maps.Keys(b.conns))
}

// notYetPushed leaves out, and notes, what this connection has had.
func (m *mail) notYetPushed(id auction.ID, c *conn, messages []wire.Message) []wire.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.boxes[id]
	if b == nil || b.conns[c] == nil {
		return nil
	}
	var out []wire.Message
	for _, message := range messages {
		if !b.conns[c][message.Message] {
			b.conns[c][message.Message] = true
			out = append(out, message)
		}
	}
	return out
}
