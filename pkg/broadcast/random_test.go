package broadcast_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/broadcast"
)

// A move is one thing that happens to a log and its followers.
type move struct {
	Do string
	N  int // how many, who, or from where: each move reads it in its way
}

var moves = rapid.Custom(func(t *rapid.T) move {
	return move{
		Do: rapid.SampledFrom([]string{
			"grow", "grow", "grow", "grow unseen", "burst", "follow", "follow", "follow closely",
			"unfollow", "drain", "drain", "close queue", "settle", "wait", "break", "mend", "end", "close",
		}).Draw(t, "do"),
		N: rapid.IntRange(0, 600).Draw(t, "n"),
	}
})

// Whatever happens in whatever order, a follower gets each event once, in
// order, from its position on; only a slow or departed one misses the rest; and
// nobody sees a recorded bid before the close.
func TestRandomHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		start := rapid.IntRange(0, 300).Draw(rt, "start")
		history := rapid.SliceOfN(moves, 1, 40).Draw(rt, "history")
		var err error
		// rapid shrinks what fails, so nothing may fail inside of the bubble.
		synctest.Test(t, func(t *testing.T) { err = newTrial(start).run(history) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

type trial struct {
	log   *tape
	hub   *broadcast.Hub
	seats []*seat
	shown uint64 // events before the first recorded bid; 0 while there is none
}

type seat struct {
	queue    *broadcast.Queue
	unfollow func()
	first    uint64
	got      []uint64
	gone     bool
	err      error
}

func newTrial(size int) *trial {
	log := new(tape)
	log.add(size, bid)
	hub, _ := newHub(log)
	return &trial{log: log, hub: hub}
}

func (tr *trial) run(history []move) error {
	defer tr.hub.Close()
	for _, m := range history {
		if err := tr.play(m); err != nil {
			return fmt.Errorf("%s %d: %w", m.Do, m.N, err)
		}
	}
	tr.log.fail(nil)
	time.Sleep(5 * time.Second)
	for range 3 { // one may make room for another's history
		for _, s := range tr.seats {
			if err := tr.drain(s); err != nil {
				return err
			}
		}
	}
	for i, s := range tr.seats {
		if missing := int(tr.visible()) - int(s.first) + 1 - len(s.got); !s.gone && s.err == nil && missing > 0 {
			return fmt.Errorf("follower %d of %d events from %d on misses %d", i, len(s.got), s.first, missing)
		}
		s.unfollow()
	}
	return nil
}

func (tr *trial) play(m move) error {
	switch m.Do {
	case "grow":
		tr.grow(m.N%5 + 1)
		tr.log.Wake(itemLog)
	case "grow unseen":
		tr.grow(m.N%5 + 1)
	case "burst":
		tr.grow(m.N)
		tr.log.Wake(itemLog)
	case "follow":
		return tr.follow(m.N%(len(tr.log.entries)+3), 2+m.N%50)
	case "follow closely":
		return tr.follow(max(0, len(tr.log.entries)-m.N%9), 2+m.N%50)
	case "settle":
		synctest.Wait()
	case "wait":
		time.Sleep(time.Duration(m.N) * 10 * time.Millisecond)
	case "break":
		tr.log.fail(errors.New("no store"))
	case "mend":
		tr.log.fail(nil)
	case "end":
		if tr.shown == 0 && len(tr.log.entries) > 0 {
			tr.shown = uint64(len(tr.log.entries))
		}
	case "close":
		if tr.shown != 0 && !tr.log.closed {
			tr.log.add(1, closing)
		}
	default:
		if len(tr.seats) > 0 {
			return tr.leave(m.Do, tr.seats[m.N%len(tr.seats)])
		}
	}
	return nil
}

func (tr *trial) leave(do string, s *seat) error {
	switch {
	case s.gone:
	case do == "drain":
		return tr.drain(s)
	case do == "unfollow":
		s.unfollow()
		if err := tr.drain(s); err != nil {
			return err
		}
		s.gone = true
	case do == "close queue":
		s.queue.Close(nil)
	}
	return nil
}

func (tr *trial) grow(n int) {
	if tr.log.closed {
		return
	}
	e := bid
	e.Recorded = tr.shown != 0
	tr.log.add(n, e)
}

func (tr *trial) follow(after, size int) error {
	s := &seat{queue: broadcast.NewQueue(size, size*50), first: uint64(after) + 1}
	unfollow, err := tr.hub.Follow(itemLog, uint64(after), s.queue)
	s.unfollow = unfollow
	tr.seats = append(tr.seats, s)
	return err
}

// visible is the number of events that may be seen.
func (tr *trial) visible() uint64 {
	if tr.shown != 0 && !tr.log.closed {
		return tr.shown
	}
	return uint64(len(tr.log.entries))
}

func (tr *trial) drain(s *seat) error {
	got, err := drain(s.queue)
	switch {
	case s.gone && len(got) > 0:
		return fmt.Errorf("%d events after it unfollowed", len(got))
	case s.err == nil:
		s.err = err
	}
	s.got = append(s.got, got...)
	if n := len(s.got); n > 0 && s.got[n-1] > tr.visible() {
		return fmt.Errorf("event %d came, and only %d may be seen", s.got[n-1], tr.visible())
	}
	return consecutive(s.got, s.first)
}
