package main

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A statement is what one person holds and saw, for the auditor.
type statement struct {
	name     string
	placed   []client.Placed                    // receipts
	refused  map[auction.Pseudonym]auction.Code // finally, by the house
	events   map[auction.LogID][]auction.Event  // as they came
	ended    map[auction.ID]time.Duration       // when the close was seen
	items    map[auction.ID]client.Shown        // as shown after the close
	sent     map[auction.ID]bool                // where the person disclosed
	theirs   map[auction.ID]string              // username that the counterpart disclosed
	answered int                                // commands that have a result
	resent   int                                // of them, those that had to be asked for
	moves    int                                // connections that were left, or lost
	history  []operation                        // of bids and looks
	oddities []string                           // answers that no honest house gives
}

func newStatement(name string) statement {
	return statement{
		name: name, refused: make(map[auction.Pseudonym]auction.Code),
		events: make(map[auction.LogID][]auction.Event), ended: make(map[auction.ID]time.Duration),
		items: make(map[auction.ID]client.Shown), sent: make(map[auction.ID]bool), theirs: make(map[auction.ID]string),
	}
}

// A testimony is a statement as it grows. It is safe for concurrent use by its
// methods; who else reads or adds to it holds mu.
type testimony struct {
	mu sync.Mutex
	statement
	calls map[auction.Pseudonym]int // index in history of each bid without an answer
}

func newTestimony(name string) *testimony {
	return &testimony{statement: newStatement(name), calls: make(map[auction.Pseudonym]int)}
}

// sending notes that a command goes out now.
func (t *testimony) sending(p client.Prepared, amount auction.Amount, at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.Kind == auction.KindBid {
		t.calls[p.Pseudonym] = len(t.history)
		t.history = append(t.history, operation{auction: p.Auction, call: at, back: never, amount: amount, result: resultUnknown})
	}
}

// accepted and rejected note what became of a command.
func (t *testimony) accepted(p client.Placed, at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.placed = append(t.placed, p)
	if op := t.decided(p.Prepared.Pseudonym, at); op != nil {
		op.result, op.size = resultAccepted, p.Receipt.Seq
		if p.Recorded() {
			op.result = resultRecorded
		}
	}
}

func (t *testimony) rejected(name auction.Pseudonym, refusal *auction.Refusal, at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused[name] = refusal.Code
	if op := t.decided(name, at); op != nil {
		op.result, op.code = resultRefused, refusal.Code
		if refusal.Code == auction.CodeBidTooLow {
			op.result, op.least = resultTooLow, refusal.Least
		}
	}
}

// decided ends the operation of a command, nil if it has none. The caller holds mu.
func (t *testimony) decided(name auction.Pseudonym, at time.Duration) *operation {
	t.answered++
	i, ok := t.calls[name]
	if !ok {
		return nil
	}
	delete(t.calls, name)
	t.history[i].back = at
	return &t.history[i]
}

// looked notes how an auction was shown.
func (t *testimony) looked(shown client.Shown, call, back time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.history = append(t.history, operation{
		auction: shown.Item.Auction, call: call, back: back, result: resultShown, size: shown.Head.Size,
		amount: shown.Item.Highest, closed: shown.Item.Status == wire.StatusClosed,
	})
}

// saw notes an event of a log that is followed.
func (t *testimony) saw(log auction.LogID, e auction.Event, at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events[log] = append(t.events[log], e)
	if _, again := t.ended[e.Auction]; e.Kind == auction.AuctionClosed && !again {
		t.ended[e.Auction] = at
	}
}

// follow notes that all events of a log are to be seen from now on.
func (t *testimony) follow(log auction.LogID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events[log] = nil
}

func (t *testimony) follows(log auction.LogID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, follows := t.events[log]
	return follows
}

// behind returns an error while less than the first n events of a log were seen.
func (t *testimony) behind(log auction.LogID, n int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if seen := len(t.events[log]); seen < n {
		return fmt.Errorf("%d of %d events were seen", seen, n)
	}
	return nil
}

// judge notes an error that no fault explains: the house shows or signs
// something that cannot be.
func (t *testimony) judge(err error) {
	switch code := auction.CodeOf(err); code {
	case auction.CodeHistoryChanged, auction.CodeBadHead, auction.CodeBadSignature, auction.CodePseudonymUsed,
		auction.CodeWrongTerms, auction.CodeUnknownPolicy, auction.CodeBadRequest:
		t.odd(fmt.Sprintf("%s: %v", code, err))
	}
}

func (t *testimony) odd(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.oddities = append(t.oddities, what)
}

// asked notes that so many commands got their result only when asked about.
func (t *testimony) asked(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.resent += n
}

// stands notes how the client stands with the house.
func (t *testimony) stands(s client.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s == client.StatusMoving || s == client.StatusUnconfirmed {
		t.moves++
	}
}

// stated returns the statement as it is now. The events of the house log go on
// coming; the rest is as it was when the round ended.
func (t *testimony) stated() *statement {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.statement
	out.events = maps.Clone(t.events)
	return &out
}

// forget drops what was audited, but for the events of the house log, which is
// followed through all of a run.
func (t *testimony) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	house, followed := t.events[auction.HouseLog]
	t.statement = newStatement(t.name)
	if followed {
		t.events[auction.HouseLog] = house
	}
	clear(t.calls)
}
