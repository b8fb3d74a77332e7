package client

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Follow is a log that the client follows: it gets every event once and in
// order, over whichever connections it takes, and checks each against the
// Merkle tree and the signed heads of the house.
type Follow struct {
	client *Client
	log    auction.LogID

	mu     sync.Mutex
	ready  chan struct{} // has room for one: something changed
	state  *auction.State
	house  *auction.House
	events []auction.Event // taken, for Next
	seq    uint64
	leaf   auction.Hash
	size   int            // bytes of the events up to seq
	heads  []auction.Head // signed, of sizes not reached yet
	err    error

	// ahead is the last entry that came while events was full, 0 if none did.
	// Until seq has reached it entries are fetched as Next makes room, and those
	// that come by themselves are left.
	ahead    uint64
	fetching bool
}

const (
	maxEvents = 1024 // that a Follow keeps for Next, and some that come in one page
	maxHeads  = 16   // that a Follow waits to compare
)

// Follow begins to follow a log from its first entry: [auction.HouseLog] for
// the listings of the house, an auction's id for that auction. One that the house
// has archived is refused with an [*Archived].
func (c *Client) Follow(ctx context.Context, log auction.LogID) (*Follow, error) {
	f := &Follow{client: c, log: log, ready: make(chan struct{}, 1)}
	if log == auction.HouseLog {
		f.house = new(auction.House)
	} else {
		f.state = new(auction.State)
	}
	if err := c.readHouse(ctx); err != nil { // the auction may be under a policy that is new to us
		return nil, err
	}
	c.mu.Lock()
	if c.follows[log] != nil {
		c.mu.Unlock()
		return nil, auction.Refuse(auction.CodeBadRequest, "you follow that log already")
	}
	c.follows[log] = f
	c.mu.Unlock()
	// A connection that is made from here on resumes f by itself.
	if err := c.onLink(ctx, func(l *link) error { return f.resume(ctx, l) }); err != nil {
		f.forget()
		return nil, c.believe(ctx, cmp.Or(f.reason(), err)) // what came before a refusal says more
	}
	return f, nil
}

// Stop ends the following.
func (f *Follow) Stop(ctx context.Context) error {
	f.forget()
	l := f.client.current()
	if l == nil {
		return nil
	}
	_, err := l.request(ctx, func(id uint32) wire.ClientMessage {
		return &wire.UnfollowRequest{ID: id, Log: f.log}
	})
	if errors.Is(err, errLost) {
		return nil // with the connection the house has stopped too
	}
	return err
}

func (f *Follow) forget() {
	f.client.mu.Lock()
	delete(f.client.follows, f.log)
	f.client.mu.Unlock()
}

// Next waits for the next event. It fails for good if the house shows another
// history than before (CodeHistoryChanged), or has archived the auction (an
// [*Archived]).
func (f *Follow) Next(ctx context.Context) (auction.Event, error) {
	for {
		f.mu.Lock()
		if len(f.events) > 0 {
			e := f.events[0]
			f.events = f.events[1:]
			f.fetchIfRoom()
			f.mu.Unlock()
			return e, nil
		}
		err := f.err
		f.mu.Unlock()
		if err != nil {
			return auction.Event{}, f.client.believe(ctx, err)
		}
		select {
		case <-f.ready:
		case <-ctx.Done():
			return auction.Event{}, ctx.Err()
		case <-f.client.ctx.Done():
			return auction.Event{}, f.client.ctx.Err()
		}
	}
}

// Head returns the head of the log as far as it was received.
func (f *Follow) Head() auction.Head {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.chain().Head()
}

func (f *Follow) chain() *auction.Chain {
	if f.house != nil {
		return &f.house.Chain
	}
	return &f.state.Chain
}

// resume asks a connection for what comes after the position.
func (f *Follow) resume(ctx context.Context, l *link) error {
	f.mu.Lock()
	request := &wire.FollowRequest{Log: f.log, Seq: f.seq}
	if f.seq > 0 {
		leaf := f.leaf
		request.Leaf = &leaf
	}
	var lost []auction.Lost
	if f.state != nil {
		lost = f.state.Lost
	}
	f.mu.Unlock()
	var err error
	if request.Receipt, err = f.receipt(lost); err != nil {
		return err
	}
	l.mu.Lock()
	again := l.followed[f.log]
	l.followed[f.log] = true
	l.mu.Unlock()
	if again {
		return nil
	}
	err = f.resumeFrom(ctx, l, request)
	if err != nil {
		l.mu.Lock()
		delete(l.followed, f.log)
		l.mu.Unlock()
	}
	return err
}

// receipt returns the one to show to the house: of the latest of the own entries
// in the log but for those that the house has admitted to have lost; nil for none.
// A house whose log lacks the entry suspends the auction.
func (f *Follow) receipt(lost []auction.Lost) (*auction.Receipt, error) {
	if f.log == auction.HouseLog {
		return nil, nil
	}
	receipts, err := f.client.receiptsOf(auction.ID(f.log))
	if err != nil {
		return nil, err
	}
	for _, r := range slices.Backward(receipts) {
		if !slices.Contains(lost, auction.Lost{Seq: r.Seq, Leaf: r.Leaf}) {
			return &r, nil
		}
	}
	return nil, nil
}

func (f *Follow) resumeFrom(ctx context.Context, l *link, request *wire.FollowRequest) error {
	m, err := l.request(ctx, func(id uint32) wire.ClientMessage {
		request.ID = id
		return request
	})
	if err != nil {
		return err
	}
	following, ok := m.(*wire.FollowingAnswer)
	if !ok {
		return errUnexpected
	}
	t, err := f.client.trusted(ctx)
	if err != nil {
		return err
	}
	head, err := evidence.OpenHead(following.Head, t.logKey, f.client.profile.house.House, f.log)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heads = append(f.heads, head)
	f.heads = f.heads[max(0, len(f.heads)-maxHeads):]
	f.checkHeads()
	return f.err
}

// take takes an event from any connection. One that it has already comes again
// while the client moves; a gap would mean that the house leaves something out.
func (f *Follow) take(m *wire.EventNotice) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.signal()
	if f.err != nil {
		return
	}
	entry, err := wire.Entry{Event: m.Event, Commitment: m.Commitment}.Entry()
	switch {
	case err != nil:
		f.err = err
	case entry.Seq > f.seq && (f.ahead > 0 || len(f.events) >= f.client.maxEvents):
		f.ahead = max(f.ahead, entry.Seq)
	default:
		f.err = f.apply(entry)
	}
}

// fetchIfRoom has the entries fetched that came while there was no room for
// them, as far as there is room now. The caller holds mu.
func (f *Follow) fetchIfRoom() {
	if f.ahead == 0 || f.fetching || f.err != nil || len(f.events) > f.client.maxEvents/2 {
		return
	}
	f.fetching = true
	f.client.tasks.Go(func() {
		err := f.fetchPages(f.client.ctx)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.fetching = false
		if err != nil && f.err == nil {
			f.err = err
		}
		f.fetchIfRoom()
		f.signal()
	})
}

func (f *Follow) fetchPages(ctx context.Context) error {
	for {
		f.mu.Lock()
		from, room := f.seq+1, len(f.events) < f.client.maxEvents
		if f.seq >= f.ahead {
			f.ahead = 0
		}
		done := f.ahead == 0 || f.err != nil
		f.mu.Unlock()
		if done || !room {
			return nil
		}
		answer, err := f.client.ask(ctx, func(id uint32) wire.ClientMessage {
			return &wire.EntriesRequest{ID: id, Log: f.log, From: from, View: wire.ViewPublic}
		})
		if err != nil {
			return err
		}
		page, ok := answer.(*wire.EntriesAnswer)
		if !ok || len(page.Entries) == 0 {
			return errUnexpected
		}
		for _, e := range page.Entries {
			entry, err := e.Entry()
			if err != nil {
				return err
			}
			f.mu.Lock()
			err = f.apply(entry.Public())
			f.signal()
			f.mu.Unlock()
			if err != nil {
				return err
			}
		}
	}
}

// apply takes the next entry, or one that is there already. The caller holds mu.
func (f *Follow) apply(entry auction.Entry) error {
	if entry.Seq <= f.seq {
		if f.chain().Leaves()[entry.Seq-1] != entry.Leaf() {
			return auction.Refuse(auction.CodeHistoryChanged, "the house shows event %d of the log in two versions", entry.Seq)
		}
		return nil
	}
	if f.size += len(entry.Event); f.size > evidence.MaxBundle {
		return auction.Refuse(auction.CodeTooLarge, "the log has more than %d bytes", evidence.MaxBundle)
	}
	var err error
	if f.house != nil {
		err = f.house.Apply(entry)
	} else {
		f.client.mu.Lock()
		policies := f.client.house.Policies
		f.client.mu.Unlock()
		err = f.state.Apply(policies, entry)
	}
	if err != nil {
		return err
	}
	f.seq, f.leaf = entry.Seq, entry.Leaf()
	event, err := auction.ParseEvent(entry.Event)
	if err != nil {
		return err
	}
	f.events = append(f.events, event)
	f.checkHeads()
	return f.err
}

// checkHeads compares signed heads with the log as soon as it has come so far.
func (f *Follow) checkHeads() {
	rest := f.heads[:0]
	for _, h := range f.heads {
		switch {
		case h.Size > f.chain().Size():
			rest = append(rest, h)
		case h.Size > 0 && !f.chain().Has(h):
			f.err = auction.Refuse(auction.CodeHistoryChanged, "the house signed a head that is not of the log which it shows")
		}
	}
	f.heads = rest
}

// reason is why the following has ended, nil if it has not.
func (f *Follow) reason() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// fail ends the following for a reason, unless there is one already.
func (f *Follow) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
	f.signal()
}

func (f *Follow) signal() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}
