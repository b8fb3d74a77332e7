package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// trial is an auction in somebody's house.
type trial struct {
	dir           string
	house         client.House
	ca, dms       *operator
	insecure      bool
	bidFor, pause time.Duration
	say           func(format string, args ...any)

	seller  *trialPerson
	bidders []*trialPerson
	auditor *trialPerson
	id      auction.ID
	moves   atomic.Int64
	amount  atomic.Int64 // of the highest bid that was tried

	mu     sync.Mutex
	report trialReport // while bids are sent; before and after by run alone
}

// all are those who take part: not the auditor.
func (t *trial) all() []*trialPerson {
	if t.seller == nil {
		return t.bidders
	}
	return append([]*trialPerson{t.seller}, t.bidders...)
}

// trialStep is the least bid and the increment of the auction, in minor units.
const trialStep = 100

func (t *trial) run(ctx context.Context) error {
	for _, act := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"people enrol", t.enrolAll},
		{"an item is listed", t.list},
		{"a tie", t.tie},
		{"refusals", t.refuse},
		{"bids", t.bid},
		{"the close", t.close},
		{"disclosure", t.disclose},
		{"evidence", t.verify},
		{"an audit", t.audit},
	} {
		t.say("trial: %s", act.name)
		if err := act.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", act.name, err)
		}
	}
	t.report.Moves = int(t.moves.Load())
	return nil
}

func (t *trial) enrolAll(ctx context.Context) (err error) {
	if t.seller, err = t.enrol(ctx, "seller", identity.RoleParticipant); err != nil {
		return err
	}
	for _, name := range []string{"ana", "bento", "carla"} {
		p, err := t.enrol(ctx, name, identity.RoleParticipant)
		if err != nil {
			return err
		}
		t.bidders = append(t.bidders, p)
	}
	return nil
}

func (t *trial) list(ctx context.Context) error {
	now, err := t.seller.client.Now(ctx)
	if err != nil {
		return err
	}
	placed, err := t.seller.client.List(ctx, client.Listing{
		Title: "Trial of the house", Currency: "EUR", Minimum: trialStep, Increment: trialStep,
		Closes: now.Add(t.bidFor + trialEnd), TieWindow: 3 * time.Second, Disclose: []string{"username"},
	})
	if err != nil {
		return err
	}
	t.id = placed.Prepared.Auction
	t.report.Auction = t.id
	for _, p := range t.all() {
		if p.follow, err = p.client.Follow(ctx, auction.LogID(t.id)); err != nil {
			return err
		}
	}
	return nil
}

// tie lets the first stamp arrive second.
func (t *trial) tie(ctx context.Context) error {
	first, second := t.bidders[0], t.bidders[1]
	early, err := first.client.PrepareBid(ctx, t.id, trialStep)
	if err != nil {
		return err
	}
	late, err := second.client.PrepareBid(ctx, t.id, trialStep)
	if err != nil {
		return err
	}
	if err := t.send(ctx, second, late); err != nil {
		return err
	}
	if err := t.send(ctx, first, early); err != nil {
		return err
	}
	shown, err := t.bidders[2].client.Item(ctx, t.id)
	if err != nil {
		return err
	}
	t.report.TieKeptEarliest = early.TS < late.TS && shown.Item.Leader == early.Pseudonym
	t.amount.Store(trialStep)
	return nil
}

func (t *trial) send(ctx context.Context, p *trialPerson, prepared client.Prepared) error {
	placed, err := p.client.Send(ctx, prepared)
	if err != nil {
		return err
	}
	p.placed = append(p.placed, placed)
	t.report.Accepted++
	return nil
}

// refuse tries what must not be taken.
func (t *trial) refuse(ctx context.Context) error {
	for code, try := range map[auction.Code]*trialPerson{
		auction.CodeBidTooLow: t.bidders[2], auction.CodeOwnAuction: t.seller,
	} {
		amount := auction.Amount(trialStep + 1)
		switch _, err := try.client.Bid(ctx, t.id, amount); {
		case err == nil:
			return fmt.Errorf("the house takes what it should refuse with %s", code)
		case auction.CodeOf(err) != code:
			return fmt.Errorf("the house does not refuse with %s: %w", code, err)
		}
		t.report.Refused[code]++
	}
	return nil
}

// bid lets all bidders bid at once, until the time is over.
func (t *trial) bid(ctx context.Context) error {
	until := time.Now().Add(t.bidFor)
	var group sync.WaitGroup
	for _, p := range t.bidders {
		group.Go(func() {
			for next := true; next && ctx.Err() == nil; next = time.Now().Before(until) {
				t.bidOnce(ctx, p)
				select {
				case <-ctx.Done():
				case <-time.After(t.pause):
				}
			}
		})
	}
	group.Wait()
	return ctx.Err()
}

// bidOnce bids a step more than anybody, and waits for the answer. What is not
// answered stays pending, and is found out at the end.
func (t *trial) bidOnce(ctx context.Context, p *trialPerson) {
	ctx, cancel := context.WithTimeout(ctx, trialAnswer)
	defer cancel()
	start := time.Now()
	placed, err := p.client.Bid(ctx, t.id, auction.Amount(t.amount.Add(trialStep)))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.report.LongestWait = max(t.report.LongestWait, time.Since(start).Seconds())
	if err == nil {
		p.placed = append(p.placed, placed)
	}
	t.report.answer(err)
}

// close settles what is pending, and waits for everybody to see the end.
func (t *trial) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.bidFor+trialEnd+trialClose)
	defer cancel()
	for _, p := range t.bidders {
		if err := patiently(ctx, func() error {
			placed, _, err := p.client.Resume(ctx)
			p.placed = append(p.placed, placed...)
			t.report.Accepted += len(placed)
			return err
		}); err != nil {
			return err
		}
		pending, err := p.client.Profile().Pending()
		if err != nil {
			return err
		}
		t.report.Unconfirmed += len(pending)
	}
	for _, p := range t.all() {
		log, err := readLog(ctx, p.follow)
		if err != nil {
			return err
		}
		t.judge(p, log)
	}
	return nil
}

// readLog returns all events of an auction that ends.
func readLog(ctx context.Context, f *client.Follow) (log []auction.Event, err error) {
	for {
		e, err := f.Next(ctx)
		if err != nil {
			return nil, err
		}
		if log = append(log, e); e.Kind == auction.AuctionClosed {
			return log, nil
		}
	}
}

// judge compares what one person was promised with the log that they followed.
func (t *trial) judge(p *trialPerson, log []auction.Event) {
	var leader auction.Pseudonym
	var highest auction.Amount
	bySeq := make(map[uint64]auction.Pseudonym, len(log))
	for _, e := range log {
		bySeq[e.Seq] = e.Pseudonym
		if e.Kind == auction.SomeoneBid && e.Amount >= highest {
			leader, highest = e.Pseudonym, e.Amount
		}
	}
	for _, placed := range p.placed {
		if bySeq[placed.Receipt.Seq] != placed.Prepared.Pseudonym {
			t.report.Lost++
		}
	}
	closed := log[len(log)-1]
	t.report.WinnerIsHighest = closed.Outcome == auction.Sold && closed.Winner == leader
}

// disclose lets seller and winner learn who the other is. They, and only they,
// get a private message about the close.
func (t *trial) disclose(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, trialClose)
	defer cancel()
	closed, err := t.messages(ctx, auction.MessageClosed)
	if err != nil {
		return err
	}
	for p, m := range closed {
		if _, err := p.client.Closed(ctx, m); err != nil {
			return err
		}
		if err := p.client.Disclose(ctx, t.id, []string{"username"}); err != nil {
			return err
		}
	}
	disclosures, err := t.messages(ctx, auction.MessageDisclosure)
	if err != nil {
		return err
	}
	for p, m := range disclosures {
		closing, err := p.client.Opened(ctx, m)
		if err != nil {
			return err
		}
		if p == t.seller {
			t.report.Disclosed.SellerSaw = closing.Theirs["username"]
		} else {
			t.report.Disclosed.WinnerSaw = closing.Theirs["username"]
		}
	}
	return nil
}

// messages waits until two people have a private message of a kind.
func (t *trial) messages(ctx context.Context, kind auction.MessageKind) (map[*trialPerson]wire.Message, error) {
	for {
		found := make(map[*trialPerson]wire.Message)
		for _, p := range t.all() {
			inbox, err := p.client.Inbox(ctx)
			if err != nil {
				return nil, err
			}
			if i := slices.IndexFunc(inbox, func(m wire.Message) bool { return m.Message == kind }); i >= 0 {
				found[p] = inbox[i]
			}
		}
		if len(found) == 2 {
			return found, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(trialRetry):
		}
	}
}
