package store

import (
	"container/list"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	maxViews = 1024 // logs whose state a process keeps
	pageSize = 128  // entries that are read at once
)

// A view is what a process knows of one log: a prefix of it, replayed. Readers
// share it.
type view struct {
	log   auction.LogID
	begun atomic.Uint64 // readings of the stream that were begun

	// What was read; a snapshot is never changed. One of the two is in use.
	state atomic.Pointer[auction.State]
	house atomic.Pointer[auction.House]

	mu    sync.Mutex // held while reading or learning
	fresh bool       // whether the last reading came to the log's end; guarded by mu

	// Bids that this process committed beyond what was read, by their number.
	own struct {
		mu   sync.Mutex // taken after the other one
		bids map[uint64]ownBid
	}
}

// chain returns the chain of what was read.
func (v *view) chain() *auction.Chain {
	if v.log == auction.HouseLog {
		return &v.house.Load().Chain
	}
	return &v.state.Load().Chain
}

// has reports whether a page, at most limit entries from the given number on,
// shows what is known and nothing else. Less is something else too: a primary
// that was away shows the past, until it knows that another one took its place.
func (v *view) has(from uint64, limit int, page []stored) bool {
	known := v.chain().Leaves()
	end := from - 1 + uint64(len(page))
	if len(page) == 0 || end > uint64(len(known)) || len(page) < limit && end < uint64(len(known)) {
		return false
	}
	for i, e := range page {
		if e.Leaf() != known[from-1+uint64(i)] {
			return false
		}
	}
	return true
}

// views are the views of a process: the most recently used ones.
type views struct {
	mu    sync.Mutex
	byLog map[auction.LogID]*list.Element // of *view; guarded by mu
	order list.List                       // most recently used first; guarded by mu
	loads map[auction.LogID]*load         // of what is not kept; guarded by mu

	// Logs of which a tombstone was met, which is never a log again. Only what was
	// listed once gets here, so it grows as the house log does. Guarded by mu.
	buried map[auction.LogID]bool
}

// A load is a view that is not kept, or not yet, and those who read it now.
type load struct {
	view  *view
	users int
}

// get returns the view of a log, an empty one that is not kept if there is none.
func (vs *views) get(log auction.LogID) *view {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if e, ok := vs.byLog[log]; ok {
		vs.order.MoveToFront(e)
		return e.Value.(*view)
	}
	return newView(log)
}

func newView(log auction.LogID) *view {
	v := &view{log: log}
	v.state.Store(new(auction.State))
	v.house.Store(new(auction.House))
	return v
}

// load returns the view of a log to read it further. One that is not kept is
// shared by all who ask for it until the last is done: however many want a log
// that was driven out, it is replayed once.
func (vs *views) load(log auction.LogID) (v *view, done func()) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if e, ok := vs.byLog[log]; ok {
		vs.order.MoveToFront(e)
		return e.Value.(*view), func() {}
	}
	l := vs.loads[log]
	if l == nil {
		if vs.loads == nil {
			vs.loads = make(map[auction.LogID]*load)
		}
		l = &load{view: newView(log)}
		vs.loads[log] = l
	}
	l.users++
	return l.view, func() {
		vs.mu.Lock()
		defer vs.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(vs.loads, log)
		}
	}
}

// keep keeps a view that has something to show, so that asking for logs that
// do not exist drives nothing out.
func (vs *views) keep(v *view) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if _, ok := vs.byLog[v.log]; ok {
		return
	}
	if vs.byLog == nil {
		vs.byLog = make(map[auction.LogID]*list.Element)
	}
	vs.byLog[v.log] = vs.order.PushFront(v)
	if vs.order.Len() > maxViews {
		last := vs.order.Back()
		delete(vs.byLog, vs.order.Remove(last).(*view).log)
	}
}

// bury forgets a log of which a tombstone is left, but for that.
func (vs *views) bury(log auction.LogID) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if e, ok := vs.byLog[log]; ok {
		vs.order.Remove(e)
		delete(vs.byLog, log)
	}
	if vs.buried == nil {
		vs.buried = make(map[auction.LogID]bool)
	}
	vs.buried[log] = true
}

// isBuried reports whether a tombstone of the log was met.
func (vs *views) isBuried(log auction.LogID) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return vs.buried[log]
}

// current returns the view of a log after it was read to the end.
func (s *Store) current(ctx context.Context, log auction.LogID) (*view, error) {
	v, done := s.views.load(log)
	defer done()
	begun := v.begun.Load()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.begun.Load() > begun && v.fresh {
		return v, nil // somebody read it while we waited, from a later moment than our call
	}
	v.begun.Add(1)
	v.fresh = false
	if err := s.catchUp(ctx, v); err != nil {
		return nil, err
	}
	v.fresh = true
	v.dropOwn()
	if v.chain().Size() > 0 {
		s.views.keep(v)
	}
	return v, nil
}

// catchUp reads the stream from the last entry that is known on: that one must
// be what it was.
func (s *Store) catchUp(ctx context.Context, v *view) error {
	for {
		known := v.chain().Leaves()
		page, err := s.page(ctx, v.log, max(uint64(len(known)), 1), pageSize)
		if err != nil {
			return err
		}
		full := len(page) == pageSize
		if n := len(known); n > 0 {
			if len(page) == 0 {
				if err := s.lookForTombstone(ctx, v.log); err != nil {
					return err
				}
			}
			if len(page) == 0 || page[0].Seq != uint64(n) || page[0].Leaf() != known[n-1] {
				if err := s.lose(ctx, v); err != nil {
					return err
				}
				continue
			}
			page = page[1:]
		}
		if err := s.grow(ctx, v, page); err != nil {
			return err
		}
		if !full {
			return nil
		}
	}
}

// grow applies entries to a copy of what is known and shows the result.
func (s *Store) grow(ctx context.Context, v *view, page []stored) error {
	if len(page) == 0 {
		return nil
	}
	state, house := *v.state.Load(), *v.house.Load()
	for _, e := range page {
		var err error
		if v.log == auction.HouseLog {
			err = house.Apply(e.Entry)
		} else {
			err = s.apply(ctx, &state, e.Entry)
		}
		if auction.CodeOf(err) == auction.CodeUnavailable {
			return err
		} else if err != nil {
			s.log.ErrorContext(ctx, "a log does not replay", slog.Any("error", err))
			return s.historyChanged(ctx, v.log, "an entry does not follow from those before")
		}
	}
	v.state.Store(&state)
	v.house.Store(&house)
	return nil
}

// apply applies an entry to an auction's state. The first entry needs the policy
// that it was listed under, which the house log had before.
func (s *Store) apply(ctx context.Context, state *auction.State, e auction.Entry) error {
	err := state.Apply(s.views.get(auction.HouseLog).house.Load().Policies, e)
	if auction.CodeOf(err) != auction.CodeUnknownPolicy {
		return err
	}
	house, err := s.current(ctx, auction.HouseLog)
	if err != nil {
		return err
	}
	return state.Apply(house.house.Load().Policies, e)
}
