package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A person is a real client with a profile of its own. It keeps no connection by
// itself: the client does, and comes back to whichever replica it reaches.
type person struct {
	*testimony
	client *client.Client
	start  time.Time // of the run, for the times of what it does
}

// enrol makes a person, who gets a certificate however long that takes. The
// houses' replicas are tried in another order by each.
func enrol(ctx context.Context, at client.House, dir, name string, first int, start time.Time) (*person, error) {
	first %= len(at.DMS)
	at.DMS = append(append([]string(nil), at.DMS[first:]...), at.DMS[:first]...)
	profile, err := client.CreateProfile(filepath.Join(dir, name), at)
	if err != nil {
		return nil, err
	}
	t := newTestimony(name)
	c, err := client.New(profile, client.Options{OnStatus: t.stands})
	if err != nil {
		return nil, err
	}
	p := &person{testimony: t, client: c, start: start}
	return p, p.insist(ctx, func() error {
		return c.Enroll(ctx, client.Enrolment{Username: name})
	})
}

func (p *person) now() time.Duration { return time.Since(p.start) }

const againAfter = 200 * time.Millisecond

// insist does something again and again until it works, as a person would who
// sees an error that may pass. What no honest house would say is noted.
func (p *person) insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil {
			return nil
		}
		p.judge(err)
		if !pause(ctx, againAfter) {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// lists an item that closes after life, however often it takes.
func (p *person) list(ctx context.Context, title string, life time.Duration) (auction.ID, error) {
	var id auction.ID
	err := p.insist(ctx, func() error {
		now, err := p.client.Now(ctx)
		if err != nil {
			return err
		}
		prepared, err := p.client.PrepareList(ctx, client.Listing{
			Title: title, Currency: "EUR", Minimum: 100, Closes: now.Add(life), TieWindow: time.Second,
		})
		if err != nil {
			return err
		}
		if _, err = p.send(ctx, prepared, 0); err == nil {
			id = prepared.Auction
		}
		return err
	})
	return id, err
}

// send sends a command and notes what became of it.
func (p *person) send(ctx context.Context, prepared client.Prepared, amount auction.Amount) (client.Placed, error) {
	p.sending(prepared, amount, p.now())
	placed, err := p.client.Send(ctx, prepared)
	p.note(prepared.Pseudonym, placed, err)
	return placed, err
}

func (p *person) note(name auction.Pseudonym, placed client.Placed, err error) {
	var refusal *auction.Refusal
	switch {
	case err == nil:
		p.accepted(placed, p.now())
	case errors.As(err, new(*client.Unconfirmed)):
		p.judge(err)
	case errors.As(err, &refusal):
		p.rejected(name, refusal, p.now())
		p.judge(err)
	}
}

// bid looks at an auction and bids in it: mostly a little more than the highest,
// sometimes as much, or too little. patience bounds the waiting for an answer;
// asks says whether the bidder then asks what became of the bid.
func (p *person) bid(ctx context.Context, id auction.ID, random *rand.Rand, patience time.Duration, asks bool) {
	call := p.now()
	shown, err := p.client.Item(ctx, id)
	if err != nil {
		p.judge(err)
		return
	}
	p.looked(shown, call, p.now())
	amount := max(shown.Item.Highest, shown.Item.Minimum-1) + auction.Amount(random.IntN(5)) - 1
	if amount < 1 || shown.Item.Status == wire.StatusClosed {
		return
	}
	prepared, err := p.client.PrepareBid(ctx, id, amount)
	if err != nil {
		p.judge(err)
		return
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := p.send(waiting, prepared, amount); err != nil && asks {
		_ = p.resume(ctx) // what became of it is noted; whoever is cut short asks at the end
	}
}

// resume finds out what became of every command, by sending it again.
func (p *person) resume(ctx context.Context) error {
	return p.insist(ctx, func() error {
		placed, refused, err := p.client.Resume(ctx)
		p.asked(len(placed) + len(refused))
		for _, done := range placed {
			p.accepted(done, p.now())
		}
		for name, why := range refused {
			p.note(name, client.Placed{}, why)
		}
		return err
	})
}

// watch notes every event of a log until ctx ends. closed, if given, is called at
// the close record.
func (p *person) watch(ctx context.Context, log auction.LogID, closed func()) error {
	p.follow(log)
	var f *client.Follow
	err := p.insist(ctx, func() error {
		var err error
		f, err = p.client.Follow(ctx, log)
		return err
	})
	if err != nil {
		return err
	}
	for {
		e, err := f.Next(ctx)
		if err != nil {
			p.judge(err)
			return err
		}
		p.saw(log, e, p.now())
		if e.Kind == auction.AuctionClosed && closed != nil {
			closed()
		}
	}
}

// exchange takes part in the disclosure of a sale: it verifies the close, and
// then discloses if it is to, and waits for the counterpart if it is to.
func (p *person) exchange(ctx context.Context, id auction.ID, disclose, wait bool) error {
	return p.insist(ctx, func() error {
		inbox, err := p.client.Inbox(ctx)
		if err != nil {
			return err
		}
		for _, m := range inbox {
			if m.Auction != id {
				continue
			}
			if err := p.open(ctx, m); err != nil {
				return err
			}
		}
		closing, err := p.client.Closing(id)
		if err != nil {
			return err
		}
		if disclose && !p.hasSent(id) {
			if err := p.client.Disclose(ctx, id, []string{"username"}); err != nil {
				return err
			}
			p.mu.Lock()
			p.sent[id] = true
			p.answered++
			p.mu.Unlock()
		}
		if closing.Early != nil {
			p.odd("what its counterpart discloses before it has disclosed itself")
		}
		if closing.Theirs != nil {
			p.mu.Lock()
			p.theirs[id] = closing.Theirs["username"]
			p.mu.Unlock()
		} else if wait {
			return errNothingYet
		}
		return nil
	})
}

var errNothingYet = errors.New("the counterpart has disclosed nothing yet")

func (p *person) hasSent(id auction.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent[id]
}

func (p *person) open(ctx context.Context, m wire.Message) error {
	var err error
	if m.Message == auction.MessageClosed {
		_, err = p.client.Closed(ctx, m)
	} else {
		_, err = p.client.Opened(ctx, m)
	}
	return err
}

// look notes how an auction is shown after its close.
func (p *person) look(ctx context.Context, id auction.ID) error {
	return p.insist(ctx, func() error {
		shown, err := p.client.Item(ctx, id)
		if err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.items[id] = shown
		return nil
	})
}
