package auction

import "sync"

// Watchers is a Feed within one process: Wake wakes those who watch a log, and
// WakeMail those who watch an auction's private messages. The zero Watchers is
// ready. It is safe for concurrent use.
type Watchers struct {
	mu  sync.Mutex
	all map[watched]map[*watcher]struct{} // guarded by mu
}

// watched is a log, or the private messages of its auction.
type watched struct {
	log  LogID
	mail bool
}

type watcher struct {
	pending chan struct{} // holds the wake that was not delivered yet
	stop    chan struct{}
	stopped chan struct{}
}

var _ Feed = (*Watchers)(nil)

// Watch implements [Feed].
func (w *Watchers) Watch(log LogID, wake func()) func() {
	return w.watch(watched{log: log}, wake)
}

// WatchMail implements [Feed].
func (w *Watchers) WatchMail(id ID, wake func()) func() {
	return w.watch(watched{log: LogID(id), mail: true}, wake)
}

func (w *Watchers) watch(what watched, wake func()) func() {
	one := &watcher{
		pending: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	w.mu.Lock()
	if w.all == nil {
		w.all = make(map[watched]map[*watcher]struct{})
	}
	if w.all[what] == nil {
		w.all[what] = make(map[*watcher]struct{})
	}
	w.all[what][one] = struct{}{}
	w.mu.Unlock()

	go one.run(wake)
	return sync.OnceFunc(func() {
		w.mu.Lock()
		delete(w.all[what], one)
		if len(w.all[what]) == 0 {
			delete(w.all, what)
		}
		w.mu.Unlock()
		close(one.stop)
		<-one.stopped
	})
}

// Wake wakes all who watch the log. It does not block: several wakes before a
// watcher looked become one.
func (w *Watchers) Wake(log LogID) { w.wake(watched{log: log}) }

// WakeMail is Wake for those who watch an auction's private messages.
func (w *Watchers) WakeMail(id ID) { w.wake(watched{log: LogID(id), mail: true}) }

func (w *Watchers) wake(what watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.all[what] {
		select {
		case one.pending <- struct{}{}:
		default:
		}
	}
}

func (w *watcher) run(wake func()) {
	defer close(w.stopped)
	for {
		select {
		case <-w.stop:
			return
		case <-w.pending:
			wake()
		}
	}
}
