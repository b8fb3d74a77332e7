package dms

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// counterpartSeq is the entry that a party of a sale is shown: to the winner
// the listing, to the seller the winning bid.
func counterpartSeq(state *auction.State, side auction.Side) uint64 {
	if side == auction.SideWinner {
		return 1
	}
	return state.Winner().Seq
}

// inbox returns the private messages that p has not acknowledged, as many as fit
// a frame. The others come when p has acknowledged these.
func (s *server) inbox(ctx context.Context, id uint32, p auction.Participant) (*wire.InboxAnswer, error) {
	ids, err := s.store.Mine(ctx, p)
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	answer := &wire.InboxAnswer{ID: id, Messages: []wire.Message{}}
	left := room(frameRoom)
	for _, id := range ids {
		messages, _, err := s.messagesOf(ctx, id, p)
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			fits, err := left.take(m)
			if err != nil {
				return nil, err
			}
			if !fits {
				answer.More = true
				return answer, nil
			}
			answer.Messages = append(answer.Messages, m)
		}
	}
	return answer, nil
}

// recipient says as whom p gets the private messages of a closed auction: as a
// party of a sale, or as the seller of what nobody bought. It refuses everybody
// else, as [auction.State.Party] does.
func recipient(state *auction.State, p auction.Participant) (side auction.Side, unsold bool, err error) {
	side, err = state.Party(p)
	if err != nil && state.Closed != nil && state.Closed.Outcome == auction.Unsold && state.Seller == p {
		return auction.SideSeller, true, nil
	}
	return side, false, err
}

// acknowledge notes that p has a message. Only whom there is a message for may
// do so: the note stays in the store.
func (s *server) acknowledge(ctx context.Context, p auction.Participant, r *wire.AcknowledgeRequest) (wire.ServerMessage, error) {
	state, err := s.store.Auction(ctx, r.Auction)
	if err != nil {
		return nil, err
	}
	if _, _, err := recipient(state, p); err != nil {
		return nil, err
	}
	if err := s.store.Acknowledge(ctx, r.Auction, p, r.Message); err != nil {
		return nil, err
	}
	return &wire.OKAnswer{ID: r.ID}, nil
}

// messagesOf returns p's unacknowledged messages of one auction, and whether
// more may come.
func (s *server) messagesOf(ctx context.Context, id auction.ID, p auction.Participant) (messages []wire.Message, more bool, err error) {
	state, err := s.store.Auction(ctx, id)
	if auction.CodeOf(err) == auction.CodeUnknownAuction {
		return nil, true, nil // added to p's set before its first command was placed
	}
	if err != nil {
		return nil, false, err
	}
	if state.Closed == nil {
		return nil, true, nil
	}
	side, unsold, err := recipient(state, p)
	if err != nil {
		return nil, false, nil // neither seller nor winner
	}
	acknowledged, err := s.store.Acknowledged(ctx, id, p)
	if err != nil {
		return nil, false, err
	}
	if !acknowledged[auction.MessageClosed] {
		message, err := s.closedMessage(ctx, state, side, unsold)
		if err != nil {
			return nil, false, err
		}
		messages = append(messages, message)
	}
	if unsold || acknowledged[auction.MessageDisclosure] {
		return messages, false, nil
	}
	// Each side gets the other's presentation once both are there, not before.
	ofSeller, ofWinner, err := s.store.Disclosures(ctx, id)
	if err != nil || ofSeller == nil || ofWinner == nil {
		return messages, true, err
	}
	theirs := ofSeller
	if side == auction.SideSeller {
		theirs = ofWinner
	}
	return append(messages, wire.Message{
		Auction: id, Message: auction.MessageDisclosure, JWS: string(theirs.JWS), Sealed: theirs.Sealed,
	}), false, nil
}

// closedMessage shows a party the counterpart's command with the proof that it
// is in the log that was closed: the party takes the disclosure key from there
// and from nowhere else.
func (s *server) closedMessage(ctx context.Context, state *auction.State, side auction.Side, unsold bool) (wire.Message, error) {
	log := auction.LogID(state.ID)
	record, err := s.entry(ctx, log, state.Closed.Seq)
	if err != nil {
		return wire.Message{}, err
	}
	public := wire.EntryOf(record.Public())
	m := wire.Message{
		Auction: state.ID, Message: auction.MessageClosed, Role: wire.Role(side.String()),
		Outcome: state.Closed.Outcome, Close: &public,
	}
	if unsold {
		return m, nil
	}
	seq := counterpartSeq(state, side)
	entry, err := s.entry(ctx, log, seq)
	if err != nil {
		return wire.Message{}, err
	}
	private, err := auction.ParsePrivate(entry.Private)
	if err != nil {
		return wire.Message{}, err
	}
	chains, err := s.store.Certificates(ctx, state.ID)
	if err != nil {
		return wire.Message{}, err
	}
	m.Counterpart = &wire.Counterpart{
		Event: string(entry.Event), Commitment: entry.Commitment, Salt: entry.Salt,
		Private: entry.Private, Chain: chains[private.Certificate],
	}
	m.Proof, err = evidence.ProveInclusion(state.Leaves(), seq, state.Closed.Head.Size)
	return m, err
}

func (s *server) entry(ctx context.Context, log auction.LogID, seq uint64) (auction.Entry, error) {
	entries, err := s.store.Entries(ctx, log, seq, 1)
	if err != nil {
		return auction.Entry{}, err
	}
	if len(entries) != 1 {
		return auction.Entry{}, fmt.Errorf("entry %d of a log is missing", seq)
	}
	return entries[0], nil
}

// mail brings private messages to the participants who are connected to this
// replica as soon as they are there. It watches each auction in which one of
// them listed or bid, once for all of them.
type mail struct {
	srv  *server
	feed auction.Feed
	log  *slog.Logger
	wake chan struct{}

	mu    sync.Mutex
	boxes map[auction.ID]*box
	dirty map[auction.ID]bool // to be looked at by run
}

// box is an auction that connected participants take part in.
type box struct {
	stop  func()                                 // ends the watch
	conns map[*conn]map[auction.MessageKind]bool // and what was pushed to each
}

func newMail(srv *server, feed auction.Feed, log *slog.Logger) *mail {
	return &mail{
		srv: srv, feed: feed, log: log, wake: make(chan struct{}, 1),
		boxes: make(map[auction.ID]*box), dirty: make(map[auction.ID]bool),
	}
}

// open pushes what waits for a new connection, and watches the rest.
func (m *mail) open(ctx context.Context, c *conn) {
	ids, err := m.srv.store.Mine(ctx, c.party.Certificate.Participant)
	if err != nil {
		m.log.WarnContext(ctx, "a participant's auctions were not read", "error", err)
		return // the client asks for its inbox itself from time to time
	}
	for _, id := range ids {
		m.expect(id, c)
		m.mark(id)
	}
}

// expect watches an auction for a participant's connection.
func (m *mail) expect(id auction.ID, c *conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.boxes[id]
	if b == nil {
		b = &box{conns: make(map[*conn]map[auction.MessageKind]bool)}
		b.stop = m.feed.Watch(auction.LogID(id), func() { m.mark(id) })
		m.boxes[id] = b
	}
	if b.conns[c] == nil {
		b.conns[c] = make(map[auction.MessageKind]bool)
	}
}

// close forgets a connection.
func (m *mail) close(c *conn) {
	m.mu.Lock()
	var in []auction.ID
	for id, b := range m.boxes {
		if b.conns[c] != nil {
			in = append(in, id)
		}
	}
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
	last := len(b.conns) == 0
	if last {
		delete(m.boxes, id)
	}
	m.mu.Unlock()
	if last {
		b.stop() // waits for a wake that is under way, and that takes mu
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
// reports whether all of it could be read.
func (m *mail) deliver(ctx context.Context, id auction.ID) (ok bool) {
	ok = true
	m.mu.Lock()
	var conns []*conn
	if b := m.boxes[id]; b != nil {
		for c := range b.conns {
			conns = append(conns, c)
		}
	}
	m.mu.Unlock()
	for _, c := range conns {
		messages, more, err := m.srv.messagesOf(ctx, id, c.party.Certificate.Participant)
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
