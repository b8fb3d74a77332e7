package tsp

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// ClockMaxAge is how long a [Clock] may be used after its last stamp was asked
// for. A quartz drifts by less than 10 ms in it.
const ClockMaxAge = time.Minute

// retryEvery is the pause of [Clock.Run] after a failed refresh: short enough
// for many attempts within ClockMaxAge.
const retryEvery = 2 * time.Second

// A Stamper gets a quorum of stamps over a digest, and the median of their
// times: see [Client.Stamp].
type Stamper interface {
	Stamp(ctx context.Context, imprint [32]byte) ([][]byte, auction.Time, error)
}

// Clock is trusted time: the median of the last stamps plus the time that has
// passed since, by the machine's monotonic clock. No wall clock is read. It is
// safe for concurrent use.
//
// It never goes backwards, except under simulated time, which an operator may
// reset. After the machine was suspended it lags until the next refresh, since
// the monotonic clock stood still.
type Clock struct {
	stamper   Stamper
	simulated bool
	elapsed   func() time.Duration

	refresh sync.Mutex // one refresh at a time: readings are stored in order
	reading atomic.Pointer[reading]
	latest  atomic.Int64 // the latest time given; unused when simulated
}

// reading is trusted time at one moment of the monotonic clock.
type reading struct {
	time  auction.Time
	at    time.Duration // monotonic
	until time.Duration // monotonic: end of use
}

func (r *reading) now(elapsed time.Duration) auction.Time { return r.time.Add(elapsed - r.at) }

// NewClock returns a clock that has no time before its first refresh. elapsed
// is the monotonic clock, from any origin; nil means the machine's. simulated
// says whether the authorities' time may be reset.
func NewClock(stamper Stamper, elapsed func() time.Duration, simulated bool) *Clock {
	if elapsed == nil {
		start := time.Now()
		elapsed = func() time.Duration { return time.Since(start) }
	}
	return &Clock{stamper: stamper, simulated: simulated, elapsed: elapsed}
}

// Now returns the trusted time. The refusal is [auction.CodeUnavailable] if the
// last stamp is older than [ClockMaxAge], or there is none.
func (c *Clock) Now() (auction.Time, error) {
	r := c.reading.Load()
	elapsed := c.elapsed()
	if r == nil || elapsed > r.until {
		return 0, auction.Refuse(auction.CodeUnavailable, "there is no trusted time just now: try again")
	}
	now := r.now(elapsed)
	if c.simulated {
		return now, nil
	}
	for {
		latest := c.latest.Load()
		if int64(now) <= latest {
			return auction.Time(latest), nil
		}
		if c.latest.CompareAndSwap(latest, int64(now)) {
			return now, nil
		}
	}
}

// Age returns how long ago the last stamp was asked for, by the monotonic clock;
// false if there is none yet. Past [ClockMaxAge] there is no time.
func (c *Clock) Age() (time.Duration, bool) {
	r := c.reading.Load()
	if r == nil {
		return 0, false
	}
	return c.elapsed() - (r.until - ClockMaxAge), true
}

// Refresh asks for stamps over a random digest and sets the clock by them. The
// authorities made them at some moment between question and answer, so the time
// is moved only as far as it takes to be within that span: a slow answer does
// not make a good clock worse.
func (c *Clock) Refresh(ctx context.Context) error {
	c.refresh.Lock()
	defer c.refresh.Unlock()
	var imprint [32]byte
	rand.Read(imprint[:]) // never fails
	asked := c.elapsed()
	_, stamped, err := c.stamper.Stamp(ctx, imprint)
	if err != nil {
		return fmt.Errorf("refresh trusted time: %w", err)
	}
	answered := c.elapsed()
	now := stamped
	if r := c.reading.Load(); r != nil {
		now = min(max(stamped, r.now(answered)), stamped.Add(answered-asked))
	}
	c.reading.Store(&reading{time: now, at: answered, until: asked + ClockMaxAge})
	return nil
}

// Run refreshes the clock at once and then whenever the pause is over, until
// ctx ends, and returns ctx's error. A failure is tried again after two seconds
// at most; until a refresh succeeds [Clock.Now] tells how things stand. A pause
// of 20 s suits real time, 500 ms simulated time.
func (c *Clock) Run(ctx context.Context, every time.Duration) error {
	for {
		pause := every
		if err := c.Refresh(ctx); err != nil {
			pause = min(every, retryEvery)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}
