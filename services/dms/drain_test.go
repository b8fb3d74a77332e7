package dms

import (
	"testing"
	"testing/synctest"
	"time"
)

// Goodbyes are spread evenly over the drain time, the first at once, and the
// replica waits no longer than its clients stay. Time here is the bubble's own.
func TestGoodbyesAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{MaxSessions: 10, DrainTime: 20 * time.Second, SessionLife: time.Hour}
		s := &server{cfg: cfg, ctx: t.Context(), door: newDoor(cfg), cancel: func() {}, pingEvery: time.Hour, byeAfter: time.Hour}
		start := time.Now()
		told := make(chan time.Duration, 4)
		for range cap(told) {
			c := s.newConn()
			if err := s.door.enter(c, "192.0.2.1"); err != nil {
				t.Fatal(err)
			}
			c.live()
			go func() {
				if _, err := c.queue.Next(t.Context()); err != nil {
					t.Error(err)
				}
				told <- time.Since(start)
				time.Sleep(byeAfter)
				s.door.leave(c)
			}()
		}
		if err := s.drain(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range cap(told) {
			if got, want := <-told, time.Duration(i)*5*time.Second; got != want {
				t.Errorf("goodbye %d after %v, want %v", i, got, want)
			}
		}
		if got, want := time.Since(start), 15*time.Second+byeAfter; got != want {
			t.Errorf("drained after %v, want %v", got, want)
		}
	})
}
