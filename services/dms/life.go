package dms

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sigilo/sigilo/pkg/wire"
)

// byeAfter is how long a connection stays after its goodbye, so that the client
// has the next one before it leaves this one.
const byeAfter = 3 * time.Second

// life is how long a connection is served. It has a timer and no goroutine: of
// what thousands of idle connections take, the stacks of goroutines are most.
type life struct {
	mu      sync.Mutex
	timer   *time.Timer // runs tick; nil until the connection is served
	until   time.Time   // it says goodbye for its age
	leaving wire.Reason // of its goodbye, "" if it need not say one yet
	goes    time.Time   // when it ends after its goodbye; zero until that is said
	ended   bool
}

// live begins to watch the time: the connection is pinged, and says goodbye when
// it has lived long enough, when its token ends, or when it is told to.
func (c *conn) live() {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	age := c.srv.cfg.SessionLife
	age -= rand.N(age / 10) // spread, so that not all come back at once
	c.life.until = time.Now().Add(age)
	c.life.timer = time.AfterFunc(c.life.next(c.srv.pingEvery), c.tick)
}

// next is the time to the next look. The caller holds mu.
func (l *life) next(pingEvery time.Duration) time.Duration {
	if l.leaving != "" {
		return 0
	}
	return min(pingEvery, time.Until(l.until))
}

// bye asks the connection to say goodbye; the first reason counts.
func (c *conn) bye(reason wire.Reason) {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	if c.life.leaving == "" {
		c.life.leaving = reason
		if c.life.timer != nil {
			c.life.timer.Reset(0)
		}
	}
}

// tick does what is due, and sets the timer for what comes next.
func (c *conn) tick() {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	l := &c.life
	switch now := time.Now(); {
	case l.ended:
		return
	case !l.goes.IsZero():
		if !now.Before(l.goes) { // else a look that bye asked for came late
			c.finish(errBye)
		}
		return
	case l.leaving != "":
	case !now.Before(l.until):
		l.leaving = wire.ReasonAge
	case c.tokenEnds():
		l.leaving = wire.ReasonToken
	default:
		go c.ping()
		l.timer.Reset(l.next(c.srv.pingEvery))
		return
	}
	if err := c.answer(&wire.ByeNotice{Reason: l.leaving, After: uint64(c.srv.byeAfter.Milliseconds())}); err != nil {
		c.finish(err)
		return
	}
	l.goes = time.Now().Add(c.srv.byeAfter)
	l.timer.Reset(c.srv.byeAfter)
}

// ping asks the client for a sign of life. It takes a goroutine of its own for as
// long as that takes, and not for longer.
func (c *conn) ping() {
	ctx, cancel := context.WithTimeout(c.ctx, pongWithin)
	defer cancel()
	c.awaitPong(ctx)
}

// awaitPong ends the connection if the client sends nothing before ctx ends, neither
// the answer to a ping nor anything else. While the reader is at work the answer
// waits behind what came before it, and its absence says nothing of the client.
func (c *conn) awaitPong(ctx context.Context) {
	turns := c.turns.Load()
	err := c.socket.ws.Ping(ctx)
	if atWork := turns%2 == 1 || turns != c.turns.Load(); err != nil && !atWork {
		c.end(err)
	}
}

// tokenEnds reports whether the token ends before the next look.
func (c *conn) tokenEnds() bool {
	if c.party == nil {
		return false
	}
	now, err := c.srv.clock.Now()
	return err == nil && now.Add(c.srv.pingEvery) >= c.party.Expires
}

// end ends the connection and tells the client why, unless it has ended for
// another reason before.
func (c *conn) end(err error) {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	c.finish(err)
}

// finish does the work of end. The caller holds mu.
func (c *conn) finish(err error) {
	if c.life.ended {
		return
	}
	c.life.ended = true
	if c.life.timer != nil {
		c.life.timer.Stop()
	}
	c.tasks.Go(func() {
		c.queue.Close(err)
		c.socket.ws.Close(closeCode(err), closeText(err))
		c.cancel() // not before: it would end the connection without a word
	})
}
