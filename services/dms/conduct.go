package dms

import (
	"slices"
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
	// with the next session open before it leaves the last one. One more ends the
	// oldest: those of a network that was left stay until they miss a ping, and
	// must not keep their owner out.
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

	sessions []*conn   // the oldest first; guarded by conduct.mu
	barred   time.Time // until then; guarded by conduct.mu
}

func newConduct(now func() time.Time) *conduct {
	return &conduct{now: now, of: make(map[auction.Participant]*record)}
}

var (
	errBarred = auction.Refuse(auction.CodeRateLimited, "commands of this participant did not verify too often: no session for a while")
	errOldest = auction.Refuse(auction.CodeRateLimited, "too many sessions of this participant at once: a later one took the place of this one")
	errMemory = auction.Refuse(auction.CodeOverloaded, "this replica cannot keep count of more participants: try another")
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

// enter begins a session of somebody who has shown to be it; leave must follow. If
// it is one too many, ousted is the one that the caller has to end for it.
func (c *conduct) enter(p auction.Participant, session *conn) (r *record, ousted *conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r = c.of[p]
	if r == nil {
		if len(c.of) >= maxConduct && !c.forget() {
			return nil, nil, errMemory
		}
		r = &record{
			requests: rate.NewLimiter(requestRate, requestBurst),
			lies:     rate.NewLimiter(rate.Every(falseEvery), falseBurst),
		}
		c.of[p] = r
	}
	if c.now().Before(r.barred) {
		return nil, nil, errBarred
	}
	if len(r.sessions) == maxSessionsEach {
		ousted = r.sessions[0]
		r.sessions = slices.Delete(r.sessions, 0, 1)
	}
	r.sessions = append(r.sessions, session)
	return r, ousted, nil
}

// leave ends a session, also one that made room for another.
func (c *conduct) leave(r *record, session *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.sessions = slices.DeleteFunc(r.sessions, func(s *conn) bool { return s == session })
}

// forget drops those of whom there is nothing to remember any more, and reports
// whether there were any. The caller holds mu.
func (c *conduct) forget() bool {
	now, before := c.now(), len(c.of)
	for p, r := range c.of {
		if len(r.sessions) == 0 && now.After(r.barred) && r.requests.TokensAt(now) >= requestBurst && r.lies.TokensAt(now) >= falseBurst {
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
