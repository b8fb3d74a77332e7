package client_test

import (
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// auctionOf is an auction with two bids.
func auctionOf(t *testing.T) auction.ID {
	t.Helper()
	id := enrol(t).list(t)
	for _, amount := range []auction.Amount{1000, 1500} {
		must(enrol(t).Bid(within(t), id, amount))(t)
	}
	return id
}

// Events that come twice are given once.
func TestFollowDuplicates(t *testing.T) {
	l := newLiar(t)
	id := auctionOf(t)
	watcher := enrolAt(t, l)
	l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		if e, ok := m.(*wire.EventNotice); ok && e.Log == auction.LogID(id) {
			return []wire.ServerMessage{m, m}
		}
		return pass(m)
	}
	f := must(watcher.Follow(within(t), auction.LogID(id)))(t)
	wantEvents(t, f, auction.SomeoneListed, auction.SomeoneBid, auction.SomeoneBid)
	if head := must(watcher.Item(within(t), id))(t).Head; f.Head() != head {
		t.Fatalf("the head is %v, and the log's %v", f.Head(), head)
	}
	_, err := watcher.Follow(within(t), auction.LogID(id))
	wantCode(t, err, auction.CodeBadRequest)
	check(t, f.Stop(within(t)))
}

// Whatever a connection does, the next one goes on where it ended.
func TestFollowGoesOn(t *testing.T) {
	l := newLiar(t)
	id := enrol(t).list(t)
	watcher := enrolAt(t, l, theHouse.Ready.DMS[0])
	cut := false
	l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		if e, ok := m.(*wire.EventNotice); ok && e.Log == auction.LogID(id) && !cut {
			cut = true
			return nil // the connection ends with the first event, which is lost
		}
		return pass(m)
	}
	f := must(watcher.Follow(within(t), auction.LogID(id)))(t)
	for _, amount := range []auction.Amount{1000, 1500} {
		must(enrol(t).Bid(within(t), id, amount))(t)
	}
	wantEvents(t, f, auction.SomeoneListed, auction.SomeoneBid, auction.SomeoneBid)
}

// A client that is cut off because it does not read fast enough asks for what
// comes after its last event, and gets what was dropped with the connection, also
// the receipt of its own bid: nothing is missing, and nothing comes twice.
func TestCutOffForSlowness(t *testing.T) {
	l := newLiar(t)
	id := enrol(t).list(t)
	first := must(enrol(t).Bid(within(t), id, 1000))(t)
	p := enrolAt(t, l)
	var tap atomic.Pointer[tapped]
	l.onConnect = func(c *tapped) { tap.Store(c) }
	asked := make(chan *wire.FollowRequest, 2)
	l.toHouse = func(m wire.ClientMessage) bool {
		if f, ok := m.(*wire.FollowRequest); ok {
			asked <- f
		}
		return true
	}
	var behind, cut atomic.Bool // it has got two events, and will get no more
	l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		if !behind.Load() || cut.Load() {
			return pass(m)
		}
		switch m.(type) {
		case *wire.EventNotice:
			return drop
		case *wire.ReceiptAnswer:
			cut.Store(true)
			tap.Load().cut(wire.CloseSlow)
			return nil
		}
		return pass(m)
	}

	f := must(p.Follow(within(t), auction.LogID(id)))(t)
	wantEvents(t, f, auction.SomeoneListed, auction.SomeoneBid)
	if from := <-asked; from.Seq != 0 || from.Leaf != nil {
		t.Fatalf("it asks for what comes after event %d", from.Seq)
	}
	behind.Store(true)
	own := must(p.Bid(within(t), id, 1500))(t)
	must(enrol(t).Bid(within(t), id, 2000))(t)
	for seq := uint64(3); seq <= 4; seq++ {
		if e := must(f.Next(within(t)))(t); e.Seq != seq {
			t.Fatalf("event %d comes instead of %d", e.Seq, seq)
		}
	}
	if from := <-asked; from.Seq != 2 || from.Leaf == nil || *from.Leaf != first.Receipt.Leaf {
		t.Errorf("it asks for what comes after event %d", from.Seq)
	}
	if n := l.sent(own.Prepared.Pseudonym); n != 2 || own.Receipt.Seq != 3 {
		t.Errorf("the bid was sent %d times and is event %d", n, own.Receipt.Seq)
	}
}

// A house that leaves something out, or shows another history than before, is
// found out, and the following ends.
func TestFollowFindsLies(t *testing.T) {
	secret := must(os.ReadFile(filepath.Join(filepath.Dir(theHouse.Ready.RootCertificate), "log.key")))(t)
	signer := must(evidence.NewLogSigner(string(secret)))(t)
	tests := []struct {
		name string
		lie  func(*testing.T, auction.ID, wire.ServerMessage) []wire.ServerMessage
		want []auction.Code
	}{
		{"an event is left out", onEvent(2, func(_ *testing.T, e *wire.EventNotice) []wire.ServerMessage {
			return drop
		}), []auction.Code{auction.CodeBadRequest, auction.CodeHistoryChanged}},
		{"an event is another", onEvent(2, func(t *testing.T, e *wire.EventNotice) []wire.ServerMessage {
			e.Event = changed(t, e.Event, `"amount":1000`, `"amount":1001`)
			return pass(e)
		}), []auction.Code{auction.CodeHistoryChanged}},
		{"a commitment is another", onEvent(2, func(_ *testing.T, e *wire.EventNotice) []wire.ServerMessage {
			e.Commitment[0] ^= 1
			return pass(e)
		}), []auction.Code{auction.CodeHistoryChanged}},
		{"an event comes in two versions", onEvent(2, func(t *testing.T, e *wire.EventNotice) []wire.ServerMessage {
			other := *e
			other.Event = changed(t, e.Event, `"amount":1000`, `"amount":1001`)
			return []wire.ServerMessage{e, &other}
		}), []auction.Code{auction.CodeHistoryChanged}},
		{"the signed head is of another log", func(t *testing.T, id auction.ID, m wire.ServerMessage) []wire.ServerMessage {
			if f, ok := m.(*wire.FollowingAnswer); ok && f.Log == auction.LogID(id) {
				f.Head = must(signer.SignHead("demo", f.Log, auction.Head{Size: 2, Root: auction.Hash{1}}))(t)
			}
			return pass(m)
		}, []auction.Code{auction.CodeHistoryChanged}},
		{"the house says so itself", onEvent(2, func(t *testing.T, e *wire.EventNotice) []wire.ServerMessage {
			now := must(enrol(t).Item(within(t), auction.ID(e.Log)))(t)
			return pass(&wire.SnapshotNotice{
				Log: e.Log, Code: auction.CodeHistoryChanged, Detail: "an operator restored a backup", Item: &now.Item, Head: now.Note,
			})
		}), []auction.Code{auction.CodeHistoryChanged}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLiar(t)
			id := auctionOf(t)
			watcher := enrolAt(t, l)
			l.toClient = func(m wire.ServerMessage) []wire.ServerMessage { return tt.lie(t, id, m) }
			f, err := watcher.Follow(within(t), auction.LogID(id))
			if err != nil && slices.Contains(tt.want, auction.CodeOf(err)) {
				return // it was found out at once
			}
			check(t, err)
			wantLie(t, f, tt.want)
		})
	}
}

// onEvent makes a lie about the event at a place of the auction's log.
func onEvent(seq uint64, lie func(*testing.T, *wire.EventNotice) []wire.ServerMessage) func(*testing.T, auction.ID, wire.ServerMessage) []wire.ServerMessage {
	return func(t *testing.T, id auction.ID, m wire.ServerMessage) []wire.ServerMessage {
		e, ok := m.(*wire.EventNotice)
		if !ok || e.Log != auction.LogID(id) {
			return pass(m)
		}
		if event := must(auction.ParseEvent([]byte(e.Event)))(t); event.Seq != seq {
			return pass(m)
		}
		return lie(t, e)
	}
}

// wantLie reads until the following fails, which it goes on to do.
func wantLie(t *testing.T, f *client.Follow, want []auction.Code) {
	t.Helper()
	ctx := within(t)
	var err error
	for n := 0; err == nil; n++ {
		if n > 3 {
			t.Fatal("all events were given")
		}
		_, err = f.Next(ctx)
	}
	for _, again := range []bool{false, true} {
		if again {
			_, err = f.Next(ctx)
		}
		if !slices.Contains(want, auction.CodeOf(err)) {
			t.Fatalf("error %v, want %v", err, want)
		}
	}
}

// The house log that a profile has read is compared with what the house signs
// now: another one is refused at the first connection.
func TestHouseLogIsRemembered(t *testing.T) {
	p := enrol(t)
	must(p.Items(within(t)))(t)
	log := filepath.Join(p.dir, "house.log")
	data := must(os.ReadFile(log))(t)
	at := len(data) - len("\"}\n") - 1
	data[at] ^= 1 // in the last commitment
	if data[at] > 'f' || data[at] < '0' || data[at] > '9' && data[at] < 'a' {
		data[at] = '0'
	}
	check(t, os.WriteFile(log, data, 0o600))
	_, err := p.restart(t).Items(within(t))
	wantCode(t, err, auction.CodeHistoryChanged)
}

// The log key is pinned when it is first seen.
func TestLogKeyIsPinned(t *testing.T) {
	p := enrol(t)
	must(p.Items(within(t)))(t)
	trust := must(p.Profile().Trust())(t)
	if len(trust.LogKeys) != 1 || trust.House != "demo" {
		t.Fatalf("trust in %+v", trust)
	}
	file := filepath.Join(p.dir, "house.json")
	var house client.House
	check(t, wire.Unmarshal(must(os.ReadFile(file))(t), &house))
	house.LogKey = "demo+c6a2f5af+AQh+DVTPJYxbFg41/qiFjIB8b0E3XZRSvidtcJtb/Oz4"
	check(t, os.WriteFile(file, must(wire.Marshal(house))(t), 0o600))
	_, err := p.restart(t).Items(within(t))
	wantCode(t, err, auction.CodeHistoryChanged)
}
