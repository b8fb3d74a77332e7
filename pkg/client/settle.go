package client

import (
	"context"
	"errors"

	"github.com/sigilo/sigilo/pkg/auction"
)

// undecided reports whether a refusal leaves a command open and is one that the
// house will give again and again: to a participant whose certificate it does not
// take any more. What came of the command is then for the log to say.
func undecided(err error) bool {
	switch auction.CodeOf(err) {
	case auction.CodeNotYourCommand, auction.CodeCertificateRevoked, auction.CodeBadCertificate:
		return true
	}
	return false
}

// noteUndecided keeps with a pending command that the house does not decide on
// it, and why.
func (c *Client) noteUndecided(p Prepared, err error) error {
	p.Undecided = auction.CodeOf(err)
	return c.profile.save("pending/"+string(p.Pseudonym), p)
}

// settled finds out by the public log what came of a command on which the house
// does not decide, and why it does not. It returns the refusal if nothing did and
// nothing can: all its stamps are so old that no honest house takes them, and the
// log, under a head that the house signed after that, does not have it. nil means
// that it is open. All of it is learned as a spectator, as the house may not let
// the participant in.
func (c *Client) settled(ctx context.Context, p Prepared, why auction.Code) (*auction.Refusal, error) {
	l, err := c.spectate(ctx)
	if err != nil {
		return nil, err
	}
	defer l.ws.CloseNow()
	if err := c.learn(ctx, l); err != nil {
		return nil, err
	}
	lapsed, err := c.lapsed(ctx, p)
	if err != nil || !lapsed {
		return nil, err
	}
	there, err := c.inLog(ctx, l, p)
	if err != nil || there {
		return nil, err
	}
	return auction.Refuse(why, "it was not carried out: the house's log does not have it, and its stamps are too old by now"), nil
}

// lapsed reports whether no stamp of a command counts any more: even the grace
// is over, which the close of an auction relies on.
func (c *Client) lapsed(ctx context.Context, p Prepared) (bool, error) {
	t, err := c.trustedFor(ctx, p.Kind, p.Auction)
	if err != nil {
		return false, err
	}
	now, err := c.Now(ctx)
	if err != nil {
		return false, err
	}
	latest := p.TS
	for _, s := range p.Earlier {
		latest = max(latest, s.TS)
	}
	return now > latest+auction.Time(t.policy.Grace+t.policy.Skew), nil
}

// inLog reports whether the log that a command is for has an entry of its
// pseudonym, as a spectator is shown that log now.
func (c *Client) inLog(ctx context.Context, spectator *link, p Prepared) (bool, error) {
	if p.Kind == auction.KindList {
		if err := c.syncHouse(ctx, spectator); err != nil {
			return false, err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		_, there := c.listed[p.Auction]
		return there, nil
	}
	log, err := c.publicLog(ctx, spectator, p.Auction)
	if err != nil {
		return false, err
	}
	for _, e := range log.entries {
		event, err := auction.ParseEvent(e.Event)
		if err != nil {
			return false, err
		}
		if event.Pseudonym == p.Pseudonym {
			return true, nil
		}
	}
	return false, nil
}

// Resume finds out what became of the commands that were sent and not answered:
// it sends them again, the same bytes. refused holds those that the house
// refused, with why, and those that it does not take from this participant any
// more and that its log shows were not carried out. An error that is an
// [*Unconfirmed] is of commands on which the house does not decide: they stay
// pending.
func (c *Client) Resume(ctx context.Context) (placed []Placed, refused map[auction.Pseudonym]error, err error) {
	names, err := c.profile.names("pending")
	if err != nil {
		return nil, nil, err
	}
	refused = make(map[auction.Pseudonym]error)
	var open []error
	for _, name := range names {
		var p Prepared
		if err := c.profile.load("pending/"+name, &p); err != nil {
			return placed, refused, err
		}
		done, err := c.resume(ctx, p)
		switch {
		case err == nil:
			placed = append(placed, done)
		case final(err):
			refused[p.Pseudonym] = err
		case errors.As(err, new(answered)) || undecided(err):
			open = append(open, err)
		default:
			return placed, refused, err
		}
	}
	return placed, refused, errors.Join(open...)
}

// resume sends one command again, with new stamps. One on which the house does not
// decide gets none, so that its stamps lapse; once they have and it still does not,
// the log says what came of it.
func (c *Client) resume(ctx context.Context, p Prepared) (Placed, error) {
	if p.Undecided == "" {
		if err := c.stamp(ctx, &p); err != nil && !undecided(err) {
			return Placed{}, err
		}
	}
	placed, err := c.Send(ctx, p)
	if !undecided(err) {
		return placed, err
	}
	refusal, failed := c.settled(ctx, p, auction.CodeOf(err))
	if failed != nil {
		return Placed{}, errors.Join(err, failed)
	}
	if refusal == nil {
		return Placed{}, err
	}
	return Placed{}, errors.Join(answered{refusal: refusal, byLog: true}, c.profile.remove("pending/"+string(p.Pseudonym)))
}
