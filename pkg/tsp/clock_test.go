package tsp

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// testStamper is authorities that are right, but for offset, or do not answer.
type testStamper struct {
	mu      sync.Mutex
	offset  time.Duration
	forth   time.Duration // from question to stamp
	back    time.Duration // from stamp to answer
	down    bool
	asked   int
	imprint [32]byte
}

func (s *testStamper) set(edit func(*testStamper)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit(s)
}

func (s *testStamper) Stamp(ctx context.Context, imprint [32]byte) ([][]byte, auction.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.down {
		return nil, 0, auction.Refuse(auction.CodeUnavailable, "down")
	}
	if imprint == s.imprint {
		return nil, 0, errors.New("the same imprint twice")
	}
	s.imprint = imprint
	time.Sleep(s.forth)
	at := auction.TimeOf(time.Now().Add(s.offset))
	time.Sleep(s.back)
	return nil, at, nil
}

// truth is the time that authorities without an offset give.
func truth() auction.Time { return auction.TimeOf(time.Now()) }

func refresh(t *testing.T, c *Clock) {
	t.Helper()
	if err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func wantTime(t *testing.T, c *Clock, want auction.Time) {
	t.Helper()
	if got, err := c.Now(); err != nil || got != want {
		t.Fatalf("got %d, %v, want %d", got, err, want)
	}
}

func TestClockRunsFromItsStamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClock(&testStamper{}, nil, false)
		_, err := c.Now()
		wantCode(t, err, auction.CodeUnavailable)
		refresh(t, c)
		wantTime(t, c, truth())
		time.Sleep(ClockMaxAge)
		wantTime(t, c, truth())
		time.Sleep(time.Nanosecond)
		_, err = c.Now()
		wantCode(t, err, auction.CodeUnavailable)
		refresh(t, c)
		wantTime(t, c, truth())
	})
}

func TestClockKeepsWithinWhatAnswersProve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &testStamper{back: 300 * time.Millisecond}
		c := NewClock(s, nil, false)
		refresh(t, c)
		wantTime(t, c, truth().Add(-300*time.Millisecond)) // all that the answer proves

		s.set(func(s *testStamper) { s.back = 10 * time.Millisecond })
		refresh(t, c)
		wantTime(t, c, truth().Add(-10*time.Millisecond))

		s.set(func(s *testStamper) { s.back = 2 * time.Second })
		refresh(t, c)
		wantTime(t, c, truth().Add(-10*time.Millisecond)) // no worse for a slow answer

		s.set(func(s *testStamper) { s.forth, s.back = 2*time.Second, 0 })
		refresh(t, c)
		wantTime(t, c, truth())
	})
}

// Answers that are old when they come do not prolong the use of the clock.
func TestClockAgeCountsFromTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClock(&testStamper{back: time.Second}, nil, false)
		if age, ok := c.Age(); ok {
			t.Errorf("an age of %v before the first stamp", age)
		}
		refresh(t, c)
		time.Sleep(ClockMaxAge - time.Second)
		if _, err := c.Now(); err != nil {
			t.Fatal(err)
		}
		if age, ok := c.Age(); !ok || age != ClockMaxAge {
			t.Errorf("age %v %v at the end of use, want %v", age, ok, ClockMaxAge)
		}
		time.Sleep(time.Nanosecond)
		_, err := c.Now()
		wantCode(t, err, auction.CodeUnavailable)
	})
}

func TestClockNeverGoesBackwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &testStamper{offset: time.Hour}
		c := NewClock(s, nil, false)
		refresh(t, c)
		ahead := truth().Add(time.Hour)
		wantTime(t, c, ahead)
		s.set(func(s *testStamper) { s.offset = time.Hour - time.Second })
		refresh(t, c)
		wantTime(t, c, ahead) // stands still ...
		time.Sleep(time.Second)
		wantTime(t, c, ahead)
		time.Sleep(time.Second)
		wantTime(t, c, ahead.Add(time.Second)) // ... until time has caught up
	})
}

func TestSimulatedClockFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &testStamper{}
		c := NewClock(s, nil, true)
		for _, offset := range []time.Duration{0, time.Hour, 0, -time.Hour} {
			s.set(func(s *testStamper) { s.offset = offset })
			refresh(t, c)
			wantTime(t, c, truth().Add(offset))
		}
	})
}

func TestClockRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &testStamper{}
		c := NewClock(s, nil, false)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx, 20*time.Second) }()
		wantAsked := func(want int) {
			t.Helper()
			synctest.Wait()
			s.set(func(s *testStamper) {
				if s.asked != want {
					t.Fatalf("asked %d times, want %d", s.asked, want)
				}
			})
		}
		wantAsked(1)
		time.Sleep(20 * time.Second)
		wantAsked(2)
		s.set(func(s *testStamper) { s.down = true })
		time.Sleep(20 * time.Second)
		wantAsked(3)
		if _, err := c.Now(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(retryEvery)
		wantAsked(4)
		s.set(func(s *testStamper) { s.down = false })
		time.Sleep(retryEvery)
		wantAsked(5)
		time.Sleep(19 * time.Second)
		wantAsked(5)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("ended with %v", err)
		}
	})
}

// Many read while one refreshes: each sees times that do not fall.
func TestClockIsConcurrent(t *testing.T) {
	c := NewClock(&testStamper{}, nil, false)
	refresh(t, c)
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			last := auction.Time(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				now, err := c.Now()
				if err != nil || now < last {
					t.Errorf("got %d after %d, %v", now, last, err)
					return
				}
				last = now
			}
		})
	}
	for range 200 {
		refresh(t, c)
	}
	close(stop)
	readers.Wait()
}
