package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// plantDamage does to a record, of which the auditor found nothing, what a house
// that loses or cheats would have done, one thing at a time.
func plantDamage(t *testing.T, sound *record) {
	tests := []struct {
		name   string
		damage func(*testing.T, *record)
		want   kind
	}{
		{"a bid is gone", func(t *testing.T, r *record) {
			l := busiest(r)
			l.entries = slices.Delete(l.entries, 1, 2)
		}, gap},
		{"a bid with a receipt is gone without a trace", func(t *testing.T, r *record) {
			l, seq := promised(t, r)
			l.entries = l.entries[:seq-1]
		}, lost},
		{"an auction is gone", func(t *testing.T, r *record) {
			l, _ := promised(t, r)
			l.entries = nil
		}, lost},
		{"a bid is another than its receipt says", func(t *testing.T, r *record) {
			l, seq := promised(t, r)
			l.entries[seq-1].Commitment[0] ^= 1
		}, lost},
		{"a bid stands twice", func(t *testing.T, r *record) {
			l := busiest(r)
			l.entries = slices.Insert(l.entries, 2, l.entries[1])
		}, doubled},
		{"an auction is listed twice", func(_ *testing.T, r *record) {
			r.house = append(r.house, renumbered(t, r.house[len(r.house)-1], 1))
		}, doubled},
		{"a bid stands in two auctions", func(_ *testing.T, r *record) {
			r.auctions[1].entries = append(r.auctions[1].entries, r.auctions[0].entries[1])
		}, doubled},
		{"an auction is closed twice", func(_ *testing.T, r *record) {
			l := &r.auctions[0]
			l.entries = append(l.entries, renumbered(t, l.entries[len(l.entries)-1], 1))
		}, closes},
		{"an auction is not closed", func(_ *testing.T, r *record) {
			l := &r.auctions[0]
			l.entries = l.entries[:len(l.entries)-1]
		}, closes},
		{"a false winner", func(t *testing.T, r *record) {
			crown(t, busiest(r))
		}, verdict},
		{"an event that somebody never saw", func(t *testing.T, r *record) {
			p, log := follower(t, r)
			p.events[log] = slices.Delete(slices.Clone(p.events[log]), 1, 2)
		}, missed},
		{"an event that somebody saw twice", func(t *testing.T, r *record) {
			p, log := follower(t, r)
			p.events[log] = slices.Insert(slices.Clone(p.events[log]), 1, p.events[log][1])
		}, missed},
		{"events out of order", func(t *testing.T, r *record) {
			p, log := follower(t, r)
			events := slices.Clone(p.events[log])
			events[1], events[2] = events[2], events[1]
			p.events[log] = events
		}, missed},
		{"a listing that a spectator never saw", func(t *testing.T, r *record) {
			i := slices.IndexFunc(r.people, func(p *statement) bool { return strings.HasPrefix(p.name, "spectator") })
			p := r.people[i]
			p.events[auction.HouseLog] = p.events[auction.HouseLog][:len(r.house)-1]
		}, missed},
		{"somebody is shown another head", func(_ *testing.T, r *record) {
			id := r.auctions[0].id
			shown := r.people[0].items[id]
			shown.Head.Size++
			r.people[0].items[id] = shown
		}, differs},
		{"what was refused stands in the log", func(t *testing.T, r *record) {
			event, err := auction.ParseEvent(busiest(r).entries[1].Event)
			if err != nil {
				t.Fatal(err)
			}
			r.people[0].refused[event.Pseudonym] = auction.CodeBidTooLow
		}, differs},
		{"one side alone has a name", func(_ *testing.T, r *record) {
			r.people[0].theirs[r.auctions[0].id] = "somebody"
		}, disclosure},
		{"a stale look", func(t *testing.T, r *record) {
			id := busiest(r).id
			p := r.people[0]
			p.history = append(slices.Clone(p.history), operation{
				auction: id, call: p.ended[id] + 1, back: p.ended[id] + 2, result: resultShown, size: 2, amount: 1,
			})
		}, disorder},
		{"an accepted bid that a later look does not show", func(t *testing.T, r *record) {
			id := busiest(r).id
			for _, p := range r.people {
				for _, o := range p.history {
					if o.auction == id && o.result == resultAccepted {
						p.history = append(slices.Clone(p.history), operation{
							auction: id, call: o.back + 1, back: o.back + 2, result: resultShown, size: o.size - 1, amount: o.amount,
						})
						return
					}
				}
			}
			t.Fatal("nobody's bid was accepted")
		}, disorder},
		{"the house says what cannot be", func(_ *testing.T, r *record) {
			r.people[0].oddities = []string{"that its history has changed"}
		}, odd},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := sound.clone()
			tt.damage(t, r)
			if found := audit(r); found.count(tt.want) == 0 {
				t.Errorf("found %v, want something %s", found, tt.want)
			}
		})
	}
}

// clone copies a record as far as damage goes.
func (r *record) clone() *record {
	out := *r
	out.house = slices.Clone(r.house)
	out.auctions = slices.Clone(r.auctions)
	for i := range out.auctions {
		out.auctions[i].entries = slices.Clone(out.auctions[i].entries)
	}
	out.people = slices.Clone(r.people)
	for i, p := range out.people {
		c := *p
		c.events, c.items, c.theirs, c.refused = maps.Clone(p.events), maps.Clone(p.items), maps.Clone(p.theirs), maps.Clone(p.refused)
		out.people[i] = &c
	}
	return &out
}

// busiest returns the log with the most entries: a listing, bids and the close.
func busiest(r *record) *logged {
	best := &r.auctions[0]
	for i := range r.auctions {
		if len(r.auctions[i].entries) > len(best.entries) {
			best = &r.auctions[i]
		}
	}
	return best
}

// follower returns somebody who followed the busiest auction.
func follower(t *testing.T, r *record) (*statement, auction.LogID) {
	t.Helper()
	log := auction.LogID(busiest(r).id)
	for _, p := range r.people {
		if len(p.events[log]) > 2 {
			return p, log
		}
	}
	t.Fatal("nobody followed the busiest auction")
	return nil, ""
}

// renumbered returns the entry as it would be so many places further on.
func renumbered(t *testing.T, e auction.Entry, by uint64) auction.Entry {
	t.Helper()
	event, err := auction.ParseEvent(e.Event)
	if err != nil {
		t.Fatal(err)
	}
	event.Seq += by
	e.Seq, e.Event = event.Seq, event.Encode()
	return e
}

// promised returns a log, and the place in it of a bid with a receipt.
func promised(t *testing.T, r *record) (*logged, uint64) {
	t.Helper()
	for _, p := range r.people {
		for _, done := range p.placed {
			for i := range r.auctions {
				if l := &r.auctions[i]; l.id == done.Receipt.Auction && done.Receipt.Seq > 1 {
					return l, done.Receipt.Seq
				}
			}
		}
	}
	t.Fatal("nobody has a receipt")
	return nil, 0
}

// crown makes a bid that lost the winner in the close record.
func crown(t *testing.T, l *logged) {
	t.Helper()
	last := &l.entries[len(l.entries)-1]
	record, err := auction.ParseEvent(last.Event)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.entries[1 : len(l.entries)-1] {
		bid, err := auction.ParseEvent(e.Event)
		if err != nil {
			t.Fatal(err)
		}
		if bid.Pseudonym != record.Winner {
			record.Winner, record.Amount = bid.Pseudonym, bid.Amount
			last.Event = record.Encode()
			return
		}
	}
	t.Fatal("nobody lost")
}
