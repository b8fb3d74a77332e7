package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
	// shortLived is how long a connection lasts at least if all is well.
	shortLived = 10 * time.Second
	// leaveIdle is how often a connection that was told to go looks whether
	// everything on it is answered.
	leaveIdle = 50 * time.Millisecond
)

// connected returns a connection that takes requests, and opens one if there is
// none: any replica will do, so after a failure the next one is tried, with
// growing pauses. It gives up when ctx ends or the house refuses for good.
func (c *Client) connected(ctx context.Context) (*link, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err() // select takes any case that is ready: nothing is sent for who has given up
	}
	select {
	case c.dialing <- struct{}{}:
		defer func() { <-c.dialing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.ctx.Done():
		return nil, c.ctx.Err()
	}
	if l := c.current(); l != nil {
		return l, nil
	}
	if err := c.calm(ctx); err != nil {
		return nil, err
	}
	for pause := minBackoff; ; pause = min(2*pause, maxBackoff) {
		l, err := c.open(ctx)
		if err == nil {
			c.opened = time.Now()
			return l, nil
		}
		if !worthAnotherTry(err) {
			return nil, err
		}
		c.options.Log.InfoContext(ctx, "no connection yet", "error", err)
		if ended := c.wait(ctx, pause); ended != nil {
			return nil, errors.Join(ended, err)
		}
	}
}

// calm waits if connections end again and again soon after they were opened: a
// replica that says bye at once would have the client run in circles. The first
// time costs nothing. The caller holds dialing.
func (c *Client) calm(ctx context.Context) error {
	if time.Since(c.opened) > shortLived {
		c.brief = 0
		return nil
	}
	c.brief++
	if c.brief == 1 {
		return nil
	}
	return c.wait(ctx, min(minBackoff<<min(c.brief-2, 10), maxBackoff))
}

// wait waits for about a pause, with jitter: at least half of it.
func (c *Client) wait(ctx context.Context, pause time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		return c.ctx.Err()
	case <-time.After(pause/2 + rand.N(pause)):
		return nil
	}
}

// worthAnotherTry reports whether a failure may pass: a network that is down, a
// house that is busy, a token that ended. A certificate of another house will
// not become one of this.
func worthAnotherTry(err error) bool {
	var refusal *auction.Refusal
	if !errors.As(err, &refusal) {
		return !errors.Is(err, context.Canceled)
	}
	return refusal.Code.Temporary() || refusal.Code == auction.CodeTokenExpired || refusal.Code == auction.CodeBadToken
}

// Replica returns the URL of the replica that the client is connected to, ""
// if it is connected to none.
func (c *Client) Replica() string {
	if l := c.current(); l != nil {
		return l.url
	}
	return ""
}

func (c *Client) current() *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != nil && c.link.usable() {
		return c.link
	}
	return nil
}

// open opens a connection to the next replica and makes it the current one. The
// caller holds dialing.
func (c *Client) open(ctx context.Context) (*link, error) {
	c.mu.Lock()
	url := c.profile.house.DMS[c.replica%len(c.profile.house.DMS)]
	c.replica++
	c.mu.Unlock()
	l, err := c.dial(ctx, url)
	if err != nil {
		return nil, err
	}
	c.tasks.Go(func() {
		err := l.run(c.ctx, c.received, func(m wire.ServerMessage) { c.notice(l, m) })
		c.ended(l, err)
	})
	if err := c.learn(ctx, l); err != nil {
		l.ws.CloseNow()
		return nil, err
	}
	c.mu.Lock()
	c.link = l
	follows := make([]*Follow, 0, len(c.follows))
	for _, f := range c.follows {
		follows = append(follows, f)
	}
	c.mu.Unlock()
	for _, f := range follows {
		if err := c.resumeFollow(ctx, f, l); err != nil {
			l.ws.CloseNow()
			return nil, err
		}
	}
	c.status(StatusConnected)
	return l, nil
}

// resumeFollow has a log go on over a new connection. What the house refuses is
// the matter of that log alone, and does not end the connection: for a moment,
// then it is asked again while the connection lasts, or for good, then the
// following fails. A token that has ended is the connection's matter.
func (c *Client) resumeFollow(ctx context.Context, f *Follow, l *link) error {
	if f.reason() != nil {
		return nil
	}
	err := f.resume(ctx, l)
	var refusal *auction.Refusal
	if !errors.As(err, &refusal) || c.leftExpired(l, err) {
		return err
	}
	if !refusal.Code.Temporary() {
		f.fail(err)
		return nil
	}
	c.tasks.Go(func() {
		for pause := minBackoff; ; pause = min(2*pause, maxBackoff) {
			if c.wait(c.ctx, pause) != nil || !l.usable() || !c.isFollowed(f) {
				return
			}
			err := f.resume(c.ctx, l)
			if !errors.As(err, &refusal) || c.leftExpired(l, err) {
				return
			}
			if !refusal.Code.Temporary() {
				f.fail(err)
				return
			}
		}
	})
	return nil
}

// isFollowed reports whether f was not stopped.
func (c *Client) isFollowed(f *Follow) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.follows[f.log] == f
}

// learn reads the house log up to the policy in force, and makes a trusted
// clock from it. If there was none yet when the DMS of a session showed its
// certificate, its time is compared now.
func (c *Client) learn(ctx context.Context, l *link) error {
	if err := c.syncHouse(ctx, l); err != nil {
		return err
	}
	c.mu.Lock()
	hash := c.house.InForce
	policy, known := c.house.Policies[hash]
	have := c.trust
	c.mu.Unlock()
	if !known {
		return auction.Refuse(auction.CodeUnavailable, "the house has no policy in force yet: try again")
	}
	t := have
	if t == nil || t.hash != hash {
		c.mu.Lock()
		fresh, err := c.newTrust(hash, policy)
		c.mu.Unlock()
		if err != nil {
			return err
		}
		if err := fresh.clock.Refresh(ctx); err != nil {
			return err
		}
		t = fresh
	}
	if l.early {
		now, err := t.clock.Now()
		if err != nil {
			return err
		}
		if err := t.checkDrift(now, l.hello.Add(time.Since(l.met))); err != nil {
			return err
		}
		l.early = false
	}
	if t != have {
		c.mu.Lock()
		c.trust = t
		c.mu.Unlock()
	}
	return nil
}

// ended notes the end of a connection. If something still follows, the next
// one is opened at once; otherwise when it is needed.
func (c *Client) ended(l *link, err error) {
	c.mu.Lock()
	wasCurrent := c.link == l
	if wasCurrent {
		c.link = nil
	}
	following := len(c.follows) > 0
	c.mu.Unlock()
	if c.ctx.Err() != nil || !wasCurrent {
		return
	}
	c.options.Log.InfoContext(c.ctx, "connection lost", "error", err)
	_ = c.refusedBy(err, l.token) // a token that ended is not shown again
	c.status(StatusUnconfirmed)
	if following || c.options.OnMessages != nil {
		c.tasks.Go(func() {
			if _, err := c.connected(c.ctx); err != nil && c.ctx.Err() == nil {
				c.options.Log.WarnContext(c.ctx, "the connection did not come back", "error", err)
			}
		})
	}
}

// notice takes what the DMS sends unasked.
func (c *Client) notice(l *link, m wire.ServerMessage) {
	switch m := m.(type) {
	case *wire.EventNotice:
		c.mu.Lock()
		f := c.follows[m.Log]
		c.mu.Unlock()
		if f != nil {
			f.take(m)
		}
	case *wire.SnapshotNotice:
		c.mu.Lock()
		f := c.follows[m.Log]
		c.mu.Unlock()
		if f != nil {
			f.ended(m)
		}
	case *wire.InboxAnswer:
		if c.options.OnMessages != nil {
			c.options.OnMessages(m.Messages)
		}
	case *wire.ByeNotice:
		c.move(l, m.Reason)
	}
}

// move opens the next connection before it leaves the one that said bye, and
// leaves that once everything on it is answered.
func (c *Client) move(old *link, reason wire.Reason) {
	old.leave()
	if reason == wire.ReasonToken {
		c.dropToken(old.token)
	}
	c.status(StatusMoving)
	c.tasks.Go(func() {
		if _, err := c.connected(c.ctx); err != nil {
			return
		}
		tick := time.NewTicker(leaveIdle)
		defer tick.Stop()
		for !old.idle() {
			select {
			case <-old.dead:
				return
			case <-c.ctx.Done():
				return
			case <-tick.C:
			}
		}
		old.ws.CloseNow()
	})
}

// onLink does something over a connection until it is done: over the next
// connection if one is lost, and again after a pause where the house asks for
// that. What do does must be good to do twice.
func (c *Client) onLink(ctx context.Context, do func(*link) error) error {
	for pause := minBackoff; ; pause = min(2*pause, maxBackoff) {
		l, err := c.connected(ctx)
		if err == nil {
			err = do(l)
			c.leftExpired(l, err)
		}
		if err == nil {
			return nil
		}
		code := auction.CodeOf(err)
		retry := errors.Is(err, errLost) || code.Temporary() || code == auction.CodeTokenExpired
		if !retry || ctx.Err() != nil {
			return err
		}
		if ended := c.wait(ctx, pause); ended != nil {
			return errors.Join(ended, err)
		}
	}
}

// leftExpired gives up a connection if the house refused something because its
// token has ended, and reports whether it did: the next one gets a new token.
func (c *Client) leftExpired(l *link, err error) bool {
	if auction.CodeOf(err) != auction.CodeTokenExpired {
		return false
	}
	c.dropToken(l.token)
	l.ws.CloseNow()
	return true
}

// ask sends a request until it is answered: see onLink. build makes the request
// anew for each try; its command must be the same bytes.
func (c *Client) ask(ctx context.Context, build func(id uint32) wire.ClientMessage) (wire.ServerMessage, error) {
	var answer wire.ServerMessage
	err := c.onLink(ctx, func(l *link) error {
		m, err := l.exchange(ctx, build)
		if r, ok := m.(*wire.RefusedAnswer); ok {
			return answered{refusal: r.Refusal()}
		}
		answer = m
		return err
	})
	return answer, err
}

// answered is what the house answered to this very request, or what its log says
// of it. A refusal that comes otherwise, on the way to a connection, says nothing
// about the request.
type answered struct {
	refusal *auction.Refusal
	byLog   bool
}

func (a answered) Error() string { return a.refusal.Error() }
func (a answered) Unwrap() error { return a.refusal }
