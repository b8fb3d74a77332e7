package broadcast

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// After a round a lane rests for as long as the round took, but no longer than
	// maxRest. With few clients that is nothing that anybody notices. With
	// thousands, events that come meanwhile go out in one write to each client,
	// and the processor is free for bids.
	maxRest = 10 * time.Millisecond
	// minRest is what timers are good for; a shorter rest is left out.
	minRest = time.Millisecond
)

// An Outlet is a client's connection, as far as a [Pump] writes to it. No two of
// its methods are called at the same time.
type Outlet interface {
	// Offer takes all messages, which are valid until it or the Flush after it
	// returns, and writes what it can without waiting. It reports whether
	// something is left.
	Offer(messages [][]byte) (left bool, err error)
	// Flush writes what Offer left. It may wait, but not for ever.
	Flush() error
	// Closed is called last, with the reason of the queue's close, or with the
	// error of Offer or Flush. It must not wait.
	Closed(err error)
}

// Pump writes the queues of many clients with few goroutines. A goroutine for
// each client would be woken, and put to sleep again, for every event. A client
// that does not take what is written gets a goroutine until it has.
type Pump struct {
	lanes []*lane
	next  atomic.Uint32

	ended   chan struct{} // closed by Close
	running sync.WaitGroup
}

// NewPump starts a pump with a goroutine for every other processor. The other
// half stays with those who bid: a goroutine that writes all the time keeps its
// processor from looking at the network for up to 10 ms.
func NewPump() *Pump {
	p := &Pump{ended: make(chan struct{})}
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		l := &lane{pump: p, wake: make(chan struct{}, 1)}
		p.lanes = append(p.lanes, l)
		p.running.Go(l.run)
	}
	return p
}

// Attach has the pump empty q into o from now on, until q is closed and
// everything in it was offered. It is called once for a queue, and Next never.
func (p *Pump) Attach(q *Queue, o Outlet) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.outlet, q.lane = o, p.lanes[p.next.Add(1)%uint32(len(p.lanes))]
	if len(q.items) > 0 || q.err != nil {
		q.signal()
	}
}

// Close ends the pump and waits for its goroutines. Queues are neither emptied
// nor closed. Outlets whose Flush waits must be ended before.
func (p *Pump) Close() {
	close(p.ended)
	p.running.Wait()
}

// lane is the part of the clients that one goroutine serves, in rounds over
// those who have something to be sent.
type lane struct {
	pump *Pump
	wake chan struct{} // holds a value when somebody is due

	mu  sync.Mutex
	due []*Queue
}

// list has the next round look at q.
func (l *lane) list(q *Queue) {
	l.mu.Lock()
	l.due = append(l.due, q)
	l.mu.Unlock()
	notify(l.wake)
}

func (l *lane) run() {
	rest := time.NewTimer(0)
	defer rest.Stop()
	var round []*Queue
	for {
		select {
		case <-l.pump.ended:
			return
		case <-l.wake:
		}
		l.mu.Lock()
		round, l.due = l.due, round[:0]
		l.mu.Unlock()
		begin := time.Now()
		for i, q := range round {
			round[i] = nil
			l.empty(q)
		}
		pause := min(time.Since(begin), maxRest)
		if pause < minRest {
			continue
		}
		rest.Reset(pause)
		select {
		case <-l.pump.ended:
			return
		case <-rest.C:
		}
	}
}

// empty offers what is in q to its outlet.
func (l *lane) empty(q *Queue) {
	messages, err := q.take()
	if err != nil { // it stays listed: nothing comes any more
		q.outlet.Closed(err)
		return
	}
	left, err := q.outlet.Offer(messages)
	if left && err == nil {
		l.pump.running.Go(func() { l.done(q, q.outlet.Flush()) })
		return
	}
	l.done(q, err)
}

// done ends what empty began.
func (l *lane) done(q *Queue, err error) {
	if err != nil {
		q.Close(err)
		q.outlet.Closed(err)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.listed = false
	if len(q.items) > 0 || q.err != nil {
		q.signal()
	}
}
