package auction

import "sync"

// Watchers is a Feed within one process: Wake wakes those who watch a log. The
// zero Watchers is ready. It is safe for concurrent use.
type Watchers struct {
	mu    sync.Mutex
	byLog map[LogID]map[*watcher]struct{} // guarded by mu
}

type watcher struct {
	pending chan struct{} // holds the wake that was not delivered yet
	stop    chan struct{}
	stopped chan struct{}
}

var _ Feed = (*Watchers)(nil)

// Watch implements [Feed].
func (w *Watchers) Watch(log LogID, wake func()) func() {
	one := &watcher{
		pending: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	w.mu.Lock()
	if w.byLog == nil {
		w.byLog = make(map[LogID]map[*watcher]struct{})
	}
	if w.byLog[log] == nil {
		w.byLog[log] = make(map[*watcher]struct{})
	}
	w.byLog[log][one] = struct{}{}
	w.mu.Unlock()

	go one.run(wake)
	return sync.OnceFunc(func() {
		w.mu.Lock()
		delete(w.byLog[log], one)
		if len(w.byLog[log]) == 0 {
			delete(w.byLog, log)
		}
		w.mu.Unlock()
		close(one.stop)
		<-one.stopped
	})
}

// Wake wakes all who watch the log. It does not block: several wakes before a
// watcher looked become one.
func (w *Watchers) Wake(log LogID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.byLog[log] {
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
