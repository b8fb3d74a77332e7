package broadcast_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/broadcast"
)

// sink is an outlet that keeps what it gets.
type sink struct {
	takes time.Duration // that an Offer lasts
	leave func() bool   // whether an Offer leaves something; nil: never
	fail  error         // of every Offer

	mu      sync.Mutex
	offers  [][]string
	left    bool
	flushed int
	closed  []error
	flush   chan struct{} // a Flush waits for a value; nil: it does not
	wrong   string
}

func (s *sink) Offer(messages [][]byte) (bool, error) {
	time.Sleep(s.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left || len(s.closed) > 0 || len(messages) == 0 {
		s.wrong = "offered while something was left, or after the end, or nothing"
	}
	offer := make([]string, len(messages))
	for i, m := range messages {
		offer[i] = string(m)
	}
	s.offers = append(s.offers, offer)
	s.left = s.leave != nil && s.leave()
	return s.left, s.fail
}

func (s *sink) Flush() error {
	if s.flush != nil {
		<-s.flush
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.left {
		s.wrong = "flushed with nothing left"
	}
	s.left = false
	s.flushed++
	return nil
}

func (s *sink) Closed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = append(s.closed, err)
}

// got returns all messages in the order in which they came.
func (s *sink) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.offers...)
}

func push(t testing.TB, q *broadcast.Queue, messages ...string) {
	t.Helper()
	for _, m := range messages {
		if !q.Push([]byte(m)) {
			t.Fatalf("%q was not taken", m)
		}
	}
}

func TestPumpWritesAllThatIsQueuedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pump := broadcast.NewPump()
		defer pump.Close()
		q, s := broadcast.NewQueue(10, 100), new(sink)
		push(t, q, "a", "b", "c")
		pump.Attach(q, s)
		synctest.Wait()
		push(t, q, "d")
		synctest.Wait()
		if got := fmt.Sprint(s.offers); got != "[[a b c] [d]]" {
			t.Errorf("got %s", got)
		}
		push(t, q, "e")
		q.Close(nil)
		synctest.Wait()
		if got := fmt.Sprint(s.offers[2:], s.closed); got != "[[e]] [EOF]" {
			t.Errorf("got %s at the end", got)
		}
	})
}

// After a long round comes a rest, in which news gather; after a short one none.
func TestPumpRestsAsLongAsItWorked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pump := broadcast.NewPump()
		defer pump.Close()
		q, s := broadcast.NewQueue(100, 1000), &sink{takes: 4 * time.Millisecond}
		pump.Attach(q, s)
		push(t, q, "a")
		time.Sleep(5 * time.Millisecond) // the round took 4 of them
		synctest.Wait()
		push(t, q, "b")
		synctest.Wait()
		if len(s.offers) != 1 {
			t.Fatalf("no rest after a round: %v", s.offers)
		}
		push(t, q, "c")
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		if got := fmt.Sprint(s.offers); got != "[[a] [b c]]" {
			t.Errorf("got %s", got)
		}
	})
}

// Somebody who does not take what is written gets the rest first, whatever else
// comes, and holds nobody up.
func TestPumpWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pump := broadcast.NewPump()
		defer pump.Close()
		slow := &sink{leave: func() bool { return true }, flush: make(chan struct{})}
		waits := broadcast.NewQueue(3, 100)
		pump.Attach(waits, slow)
		push(t, waits, "a")
		synctest.Wait()
		for range 20 {
			q, s := broadcast.NewQueue(10, 100), new(sink)
			pump.Attach(q, s)
			push(t, q, "x")
			synctest.Wait()
			if got := s.got(); len(got) != 1 {
				t.Fatalf("a client behind a slow one got %v", got)
			}
		}
		push(t, waits, "b", "c")
		synctest.Wait()
		if got := fmt.Sprint(slow.offers); got != "[[a]]" {
			t.Errorf("offered %s while something was left", got)
		}
		slow.flush <- struct{}{}
		synctest.Wait()
		if got := fmt.Sprint(slow.offers); got != "[[a] [b c]]" {
			t.Errorf("then got %s", got)
		}
		push(t, waits, "d", "e", "f")
		if waits.Push([]byte("g")) {
			t.Error("the queue of a slow client has no bound")
		}
		slow.flush <- struct{}{}
		synctest.Wait()
		if len(slow.closed) != 1 || !errors.Is(slow.closed[0], broadcast.ErrSlow) || slow.wrong != "" {
			t.Errorf("ended with %v, %s", slow.closed, slow.wrong)
		}
	})
}

func TestPumpEndsAClientThatCannotBeWrittenTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pump := broadcast.NewPump()
		defer pump.Close()
		q, s := broadcast.NewQueue(10, 100), &sink{fail: io.ErrClosedPipe}
		pump.Attach(q, s)
		push(t, q, "a")
		synctest.Wait()
		if q.Push([]byte("b")) {
			t.Error("its queue is open")
		}
		synctest.Wait()
		if len(s.closed) != 1 || !errors.Is(s.closed[0], io.ErrClosedPipe) || len(s.offers) != 1 {
			t.Errorf("ended with %v after %v", s.closed, s.offers)
		}
	})
}

// Whatever is pushed when, and whoever is slow now and then, everybody gets
// everything once and in order, and the end last.
func TestPumpGivesEverythingOnceAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pump := broadcast.NewPump()
		defer pump.Close()
		clients := rapid.IntRange(1, 8).Draw(t, "clients")
		every := rapid.SliceOfN(rapid.IntRange(1, 5), clients, clients).Draw(t, "leaves something of every")
		count := rapid.IntRange(0, 60).Draw(t, "messages")
		sinks, queues := make([]*sink, clients), make([]*broadcast.Queue, clients)
		var pushing sync.WaitGroup
		for i := range sinks {
			offers := 0
			sinks[i] = &sink{leave: func() bool { offers++; return offers%every[i] == 0 }}
			queues[i] = broadcast.NewQueue(100, 10000)
			pushing.Go(func() {
				for n := range count {
					queues[i].Push(fmt.Append(nil, n))
					if n == count/2 {
						pump.Attach(queues[i], sinks[i])
					}
				}
				if count == 0 {
					pump.Attach(queues[i], sinks[i])
				}
				queues[i].Close(nil)
			})
		}
		pushing.Wait()
		for i, s := range sinks {
			for { // the race detector, and the scheduler, are part of this test: no fake time
				s.mu.Lock()
				ended := len(s.closed) > 0
				s.mu.Unlock()
				if ended {
					break
				}
				time.Sleep(10 * time.Microsecond)
			}
			got := s.got()
			if len(got) != count || s.wrong != "" || len(s.closed) != 1 {
				t.Fatalf("client %d got %d of %d messages, closed %v, %s", i, len(got), count, s.closed, s.wrong)
			}
			for n, m := range got {
				if m != fmt.Sprint(n) {
					t.Fatalf("client %d got %s at %d", i, m, n)
				}
			}
		}
	})
}
