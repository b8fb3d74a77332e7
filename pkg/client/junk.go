package client

import (
	"context"
	"errors"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// maxJunk is how much junk a profile keeps, so that nobody fills the disk.
const maxJunk = 256

// Junk is the error of a private message that does not hold and never will: a
// close that the log does not have, or a disclosure that its sender signed and
// that does not open or does not say what it must. See [Client.Reject].
type Junk struct{ cause error }

func (j *Junk) Error() string { return j.cause.Error() }
func (j *Junk) Unwrap() error { return j.cause }

// junk makes a Junk of what the check of a message alone found, and leaves other
// errors, such as those of the disk, as they are.
func junk(err error) error {
	if errors.As(err, new(*auction.Refusal)) {
		return &Junk{err}
	}
	return err
}

// Rejected is a private message that did not hold, with why: the proof of it,
// as far as it is signed.
type Rejected struct {
	Message wire.Message `json:"message"`
	Why     string       `json:"why"`
}

// Reject keeps a message that [Client.Closed] or [Client.Opened] found to be
// [*Junk], and then acknowledges it, so that it does not keep others from
// coming. See [Profile.Rejected].
func (c *Client) Reject(ctx context.Context, m wire.Message, why *Junk) error {
	names, err := c.profile.names("junk")
	if err != nil {
		return err
	}
	if len(names) >= maxJunk {
		return auction.Refuse(auction.CodeTooLarge, "the profile holds %d messages that did not hold: look at them, and move them elsewhere", len(names))
	}
	if err := c.profile.save(junkName(m.Auction, m.Message), Rejected{m, why.Error()}); err != nil {
		return err
	}
	return c.acknowledge(ctx, m.Auction, m.Message)
}

func junkName(id auction.ID, kind auction.MessageKind) string {
	return "junk/" + string(id) + "." + string(kind)
}

// Rejected returns the private messages that did not hold.
func (p *Profile) Rejected() ([]Rejected, error) {
	return records[Rejected](p, "junk")
}
