package tsa

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// times is the authority's time: one timeline, and under simulated time another
// after each reset. Within one, tokens are in order; nothing is across a reset,
// which is why simulated time counts nowhere but where a policy says so.
type times struct {
	now       func() time.Time
	newIssuer func(now func() time.Time) (*tsp.Issuer, error)
	end       auction.Time // of the certificate

	mu      sync.Mutex // one change at a time
	current atomic.Pointer[timeline]
}

// timeline is the clock shifted by an offset that only grows, and the issuer
// that stamps by it.
type timeline struct {
	issuer *tsp.Issuer
	offset atomic.Int64 // nanoseconds
}

func newTimes(now func() time.Time, newIssuer func(func() time.Time) (*tsp.Issuer, error), end auction.Time) (*times, error) {
	t := &times{now: now, newIssuer: newIssuer, end: end}
	return t, t.restart()
}

// issuer is the one that stamps now.
func (t *times) issuer() *tsp.Issuer { return t.current.Load().issuer }

// read is the time that the authority shows.
func (t *times) read() auction.Time { return auction.TimeOf(t.current.Load().read(t.now())) }

func (l *timeline) read(now time.Time) time.Time { return now.Add(time.Duration(l.offset.Load())) }

func (t *times) restart() error {
	l := &timeline{}
	issuer, err := t.newIssuer(func() time.Time { return l.read(t.now()) })
	if err != nil {
		return err
	}
	l.issuer = issuer
	t.current.Store(l)
	return nil
}

// forward moves simulated time to a later one, from which it runs on.
func (t *times) forward(to auction.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, now := t.current.Load(), t.now()
	switch {
	case to <= auction.TimeOf(l.read(now)):
		return auction.Refuse(auction.CodeBadRequest, "simulated time goes forward only; reset it to go back")
	case to >= t.end:
		return auction.Refuse(auction.CodeBadRequest, "the authority's certificate ends before that time")
	}
	l.offset.Store(int64(to.Std().Sub(now)))
	return nil
}

// reset returns to the machine's time.
func (t *times) reset() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.restart()
}
