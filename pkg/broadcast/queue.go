package broadcast

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
)

// ErrSlow closes a queue that overflowed.
var ErrSlow = errors.New("the client reads more slowly than messages come")

// keptCapacity is how many messages a queue keeps room for while it is idle. A
// burst's larger arrays are given back: there may be thousands of queues.
const keptCapacity = 64

// Queue is what one client has still to be sent, answers and events alike, in
// one order. It is emptied by one goroutine that calls Next, or by a [Pump]. All
// other methods are safe for concurrent use.
type Queue struct {
	maxMessages int
	maxBytes    int
	ready       chan struct{} // holds a value when Next has something to look at

	mu      sync.Mutex
	items   [][]byte
	taken   [][]byte // what take returned last, to be used again
	bytes   int      // in items
	err     error    // why it is closed, nil while open
	waiting []chan<- struct{}

	// Of a queue that a pump empties; the first two do not change once set.
	lane   *lane
	outlet Outlet
	listed bool // the lane knows that there is something, or is busy with it
}

// NewQueue returns a queue of at most that many messages and bytes. History is
// let in up to half of either, so maxBytes must be at least twice the size of
// the largest message, and maxMessages at least 2.
func NewQueue(maxMessages, maxBytes int) *Queue {
	return &Queue{maxMessages: maxMessages, maxBytes: maxBytes, ready: make(chan struct{}, 1)}
}

// Push adds a message, which nobody may change afterwards. It never blocks. It
// returns false if the queue is closed; a message too many closes it with
// [ErrSlow].
func (q *Queue) Push(msg []byte) bool { return q.put(msg) == kept }

// Next waits for messages and returns all that are queued, so that a writer
// that fell behind catches up in one write. The slice is valid until the next
// call. What was queued before Close still comes; then, and at once after an
// overflow, Next returns the reason of the close. It returns the context's
// error when ctx ends first.
func (q *Queue) Next(ctx context.Context) ([][]byte, error) {
	for {
		if batch, err := q.take(); batch != nil || err != nil {
			return batch, err
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends the queue for the given reason; nil stands for io.EOF. The first
// reason stays.
func (q *Queue) Close(err error) {
	if err == nil {
		err = io.EOF
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.close(err)
}

// outcome says what became of messages that were put.
type outcome int

const (
	kept       outcome = iota
	refused            // the queue was closed before
	overflowed         // the queue was closed by these
)

// put adds all messages or, if they are too many, closes the queue.
func (q *Queue) put(msgs ...[]byte) outcome {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return refused
	}
	size := q.bytes
	for _, m := range msgs {
		size += len(m)
	}
	if len(q.items)+len(msgs) > q.maxMessages || size > q.maxBytes {
		q.items, q.taken, q.bytes = nil, nil, 0
		q.close(ErrSlow)
		return overflowed
	}
	q.add(size, msgs...)
	return kept
}

// offer adds messages while less than half of the queue is used, and returns
// how many. The other half is left to answers and to news.
func (q *Queue) offer(msgs [][]byte) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(msgs) && q.err == nil && q.roomy() {
		q.add(q.bytes+len(msgs[n]), msgs[n])
		n++
	}
	return n
}

// room reports whether offer would take a message, and whether the queue is
// closed. If neither, wake gets a value once one of them is so.
func (q *Queue) room(wake chan<- struct{}) (roomy, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	roomy, closed = q.roomy(), q.err != nil
	if !roomy && !closed && !slices.Contains(q.waiting, wake) {
		q.waiting = append(q.waiting, wake)
	}
	return roomy, closed
}

func (q *Queue) take() ([][]byte, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return nil, q.err
	}
	batch := q.items
	clear(q.taken)
	q.items, q.taken, q.bytes = q.taken[:0], batch, 0
	if cap(batch) > keptCapacity {
		q.taken = nil
	}
	q.wakeWaiting()
	return batch, nil
}

// The methods below are called with mu held.

func (q *Queue) roomy() bool {
	return 2*len(q.items) < q.maxMessages && 2*q.bytes < q.maxBytes
}

func (q *Queue) add(size int, msgs ...[]byte) {
	q.items, q.bytes = append(q.items, msgs...), size
	if len(msgs) > 0 {
		q.signal()
	}
}

// signal says to who empties the queue that there is something.
func (q *Queue) signal() {
	switch {
	case q.lane == nil:
		notify(q.ready)
	case !q.listed:
		q.listed = true
		q.lane.list(q)
	}
}

func (q *Queue) close(err error) {
	if q.err != nil {
		return
	}
	q.err = err
	q.signal()
	q.wakeWaiting()
}

func (q *Queue) wakeWaiting() {
	for _, w := range q.waiting {
		notify(w)
	}
	clear(q.waiting)
	q.waiting = q.waiting[:0]
}

// notify leaves a value in a channel of capacity 1 unless there is one.
func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
