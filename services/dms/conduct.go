package dms

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	// requestRate and requestBurst bound what one participant may ask for over
	// all connections to this replica. A person needs a fraction; a busy bidding
	// program still fits.
	requestRate  = 50 // a second
	requestBurst = 100
	// maxSessionsEach bounds the sessions of one participant: some devices, each
	// with the next session open before it leaves the last one.
	maxSessionsEach = 8
	// No client makes a command whose signature or stamps do not hold, unless it
	// is broken or means harm: it has falseBurst of them, and one more each
	// falseEvery, before it is cut off and kept out for barred.
	falseBurst = 5
	falseEvery = 10 * time.Second
	barredFor  = time.Minute
	// maxConduct bounds whose conduct is remembered: about 300 bytes each.
	maxConduct = 50_000
)

// conduct is how participants behave, over all their sessions with this replica.
// What there is of somebody outlives the sessions, so that coming back at once
// wins nothing.
type conduct struct {
	now func() time.Time

	mu sync.Mutex
	of map[auction.Participant]*record
}

// record is the conduct of one participant.
type record struct {
	requests *rate.Limiter
	lies     *rate.Limiter // commands that do not verify

	sessions int       // guarded by conduct.mu
	barred   time.Time // until then; guarded by conduct.mu
}

func newConduct(now func() time.Time) *conduct {
	return &conduct{now: now, of: make(map[auction.Participant]*record)}
}

var (
	errBarred   = auction.Refuse(auction.CodeRateLimited, "commands of this participant did not verify too often: no session for a while")
	errSessions = auction.Refuse(auction.CodeRateLimited, "too many sessions of this participant at once")
	errMemory   = auction.Refuse(auction.CodeOverloaded, "this replica cannot keep count of more participants: try another")
)

// admits refuses those who are kept out, before anything is done for them.
func (c *conduct) admits(p auction.Participant) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.of[p]; r != nil && c.now().Before(r.barred) {
		return errBarred
	}
	return nil
}

// enter begins a session of somebody who has shown to be it; leave must follow.
func (c *conduct) enter(p auction.Participant) (*record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.of[p]
	if r == nil {
		if len(c.of) >= maxConduct && !c.forget() {
			return nil, errMemory
		}
		r = &record{
			requests: rate.NewLimiter(requestRate, requestBurst),
			lies:     rate.NewLimiter(rate.Every(falseEvery), falseBurst),
		}
		c.of[p] = r
	}
	switch {
	case c.now().Before(r.barred):
		return nil, errBarred
	case r.sessions >= maxSessionsEach:
		return nil, errSessions
	}
	r.sessions++
	return r, nil
}

func (c *conduct) leave(r *record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.sessions--
}

// forget drops those of whom there is nothing to remember any more, and reports
// whether there were any. The caller holds mu.
func (c *conduct) forget() bool {
	now, before := c.now(), len(c.of)
	for p, r := range c.of {
		if r.sessions == 0 && now.After(r.barred) && r.requests.TokensAt(now) >= requestBurst && r.lies.TokensAt(now) >= falseBurst {
			delete(c.of, p)
		}
	}
	return len(c.of) < before
}

// judge notes how a command's check ended. Its error ends the session.
func (c *conduct) judge(r *record, refused error) error {
	switch auction.CodeOf(refused) {
	case auction.CodeBadSignature, auction.CodeBadStamp, auction.CodeNotYourCommand:
	default:
		return nil
	}
	now := c.now()
	if r.lies.AllowN(now, 1) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r.barred = now.Add(barredFor)
	return errBarred
}
