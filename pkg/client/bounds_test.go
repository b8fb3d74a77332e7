package client_test

import (
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Who does not read its events keeps some of them alone, and gets all of them
// in the end.
func TestFollowSlowly(t *testing.T) {
	id := enrol(t).list(t)
	bidder, watcher := enrol(t), enrol(t)
	watcher.KeepEvents(2)
	amount := auction.Amount(1000)
	bid := func() {
		t.Helper()
		must(bidder.Bid(within(t), id, amount))(t)
		amount += 100
	}
	for range 5 {
		bid()
	}
	f := must(watcher.Follow(within(t), auction.LogID(id)))(t)
	waitFor(t, func() bool { return f.Head().Size == 2 })
	must(watcher.Items(within(t)))(t) // what came meanwhile was not taken
	if size := f.Head().Size; size != 2 {
		t.Fatalf("%d entries taken", size)
	}
	bid()
	kinds := []auction.EventKind{auction.SomeoneListed}
	for range 6 {
		kinds = append(kinds, auction.SomeoneBid)
	}
	wantEvents(t, f, kinds...)
	bid()
	if e := must(f.Next(within(t)))(t); e.Seq != 8 {
		t.Fatalf("event %d", e.Seq)
	}
}

// A house that never ends what it shows is left.
func TestEndlessPages(t *testing.T) {
	l := newLiar(t)
	id := auctionOf(t)
	watcher := enrolAt(t, l)
	var entries []wire.Entry
	var items []wire.Item
	l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		switch m := m.(type) {
		case *wire.EntriesAnswer:
			if m.Log == auction.LogID(id) {
				if entries == nil {
					entries = m.Entries
				}
				m.Entries, m.More = entries, true
			}
		case *wire.ItemsAnswer:
			if items == nil {
				items = m.Items[:1]
			}
			m.Items, m.More = items, true
		}
		return pass(m)
	}
	_, err := watcher.Evidence(within(t), id, evidence.Public)
	wantCode(t, err, auction.CodeBadRequest)
	_, err = watcher.Items(within(t))
	wantCode(t, err, auction.CodeTooLarge)
}
