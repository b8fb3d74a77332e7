package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
)

// kind says what is off.
type kind string

// What an audit can find.
const (
	lost       kind = "lost"       // a receipt is for an entry that the log has not
	doubled    kind = "doubled"    // a command stands twice
	gap        kind = "gap"        // a log has a hole, or does not follow from its entries
	closes     kind = "closes"     // an auction was not closed exactly once
	missed     kind = "missed"     // somebody did not see every event once and in order
	verdict    kind = "verdict"    // the log is not what the rules give: a false winner, say
	differs    kind = "differs"    // the house shows or decides something else than the log
	disclosure kind = "disclosure" // one side has the other's name, and not the other way round
	disorder   kind = "disorder"   // no order of what was done explains the answers
	odd        kind = "odd"        // an answer that no honest house gives
	silent     kind = "silent"     // a loss of which somebody is not told
)

// A finding is something that is off.
type finding struct {
	kind kind
	what string
}

func (f finding) String() string { return string(f.kind) + ": " + f.what }

// findings collects what an audit finds.
type findings []finding

func (f *findings) add(k kind, format string, args ...any) {
	*f = append(*f, finding{k, fmt.Sprintf(format, args...)})
}

func (f findings) count(k kind) int {
	n := 0
	for _, one := range f {
		if one.kind == k {
			n++
		}
	}
	return n
}

// audit compares the logs of a round with what everybody holds and saw. It is a
// pure function of the record.
func audit(r *record) findings {
	var f findings
	policies := f.houseLog(r)
	stands := make(map[auction.Pseudonym]auction.ID) // every command of the logs
	digests := make(map[auction.Hash]bool)
	for _, l := range r.auctions {
		if len(l.entries) == 0 { // and with it all that was promised of it
			f.add(gap, "auction %s has no log", l.id)
			for _, p := range r.people {
				f.kept(p, l, stands)
			}
			continue
		}
		f.chain(l)
		f.unique(l, stands, digests)
		if state, err := auction.Replay(policies, l.entries); err != nil {
			f.add(gap, "auction %s does not replay: %v", l.id, err)
		} else {
			f.outcome(r, l, state)
		}
		for _, p := range r.people {
			f.seen(p, auction.LogID(l.id), l.entries)
			f.kept(p, l, stands)
		}
		f.disclosed(r, l)
		f.order(r, l)
	}
	for _, p := range r.people {
		f.seen(p, auction.HouseLog, r.house)
		for _, what := range p.oddities {
			f.add(odd, "%s is told %s", p.name, what)
		}
	}
	return f
}

// houseLog replays the house log, and returns the policies in it.
func (f *findings) houseLog(r *record) map[auction.Hash]auction.Policy {
	house := new(auction.House)
	for _, e := range r.house {
		if err := house.Apply(e); err != nil {
			f.add(gap, "the house log does not replay: entry %d: %v", e.Seq, err)
			break
		}
	}
	for _, l := range r.auctions {
		if n := countOf(house.Listings, l.id); n != 1 {
			f.add(doubled, "auction %s stands %d times in the house log", l.id, n)
		}
	}
	return house.Policies
}

func countOf[T comparable](list []T, one T) int {
	n := 0
	for _, v := range list {
		if v == one {
			n++
		}
	}
	return n
}

// chain checks that the entries are numbered without gaps.
func (f *findings) chain(l logged) {
	for i, e := range l.entries {
		if e.Seq != uint64(i)+1 {
			f.add(gap, "auction %s has entry %d in place %d", l.id, e.Seq, i+1)
			return
		}
	}
}

// unique checks that no command stands twice, under its pseudonym or with its
// bytes, and that there is one close record, the last entry.
func (f *findings) unique(l logged, stands map[auction.Pseudonym]auction.ID, digests map[auction.Hash]bool) {
	records := 0
	for i, e := range l.entries {
		event, err := auction.ParseEvent(e.Event)
		if err != nil {
			f.add(gap, "auction %s, entry %d: %v", l.id, e.Seq, err)
			continue
		}
		if event.Kind == auction.AuctionClosed {
			records++
			if i != len(l.entries)-1 {
				f.add(closes, "auction %s goes on after its close", l.id)
			}
			continue
		}
		private, err := e.Open()
		if err != nil {
			f.add(gap, "auction %s, entry %d: %v", l.id, e.Seq, err)
			continue
		}
		digest := auction.Hash(sha256.Sum256(private.JWS))
		if _, again := stands[event.Pseudonym]; again || digests[digest] {
			f.add(doubled, "auction %s, entry %d: the command stands in the logs before", l.id, e.Seq)
		}
		stands[event.Pseudonym], digests[digest] = l.id, true
	}
	if records != 1 {
		f.add(closes, "auction %s has %d close records", l.id, records)
	}
}

// outcome judges every entry again by the rules, checks the outcome and the
// signatures as anybody could, and compares with what everybody is shown.
func (f *findings) outcome(r *record, l logged, state *auction.State) {
	signed := ""
	for _, p := range r.people {
		shown, ok := p.items[l.id]
		if !ok {
			continue
		}
		signed = shown.Note
		if shown.Head != state.Head() {
			f.add(differs, "%s is shown another head of auction %s than its log's", p.name, l.id)
		}
		if state.Closed == nil || shown.Item.Outcome != state.Closed.Outcome || shown.Item.Winner != state.Closed.Winner {
			f.add(differs, "%s is shown another outcome of auction %s than its log's", p.name, l.id)
		}
	}
	f.verify(r, l, signed)
}

// verify does what `sigilo verify` does with the evidence of an audit.
func (f *findings) verify(r *record, l logged, head string) {
	event, err := auction.ParseEvent(l.entries[0].Event)
	if err != nil {
		return // found already
	}
	terms, err := auction.ParseTerms([]byte(event.Terms))
	if err != nil {
		f.add(verdict, "auction %s: %v", l.id, err)
		return
	}
	b := evidence.Bundle{
		Kind: evidence.Audit, Roots: r.roots, Policy: policyOf(r.house, terms.Policy), Head: head,
		Entries: l.entries, Certificates: l.certificates,
	}
	data, err := b.Encode()
	if err == nil {
		_, err = evidence.Verify(data, &r.trust)
	}
	if err != nil {
		f.add(verdict, "auction %s: %v", l.id, err)
	}
}

// policyOf returns the document of a policy in the house log, nil if it is not there.
func policyOf(house []auction.Entry, hash auction.Hash) []byte {
	for _, e := range house {
		if event, err := auction.ParseEvent(e.Event); err == nil && event.Policy != "" &&
			auction.PolicyHash([]byte(event.Policy)) == hash {
			return []byte(event.Policy)
		}
	}
	return nil
}

// seen checks that somebody who followed a log saw every event once and in order.
func (f *findings) seen(p *statement, log auction.LogID, entries []auction.Entry) {
	events, followed := p.events[log]
	if !followed {
		return
	}
	for i, e := range events {
		if i >= len(entries) || !bytes.Equal(e.Encode(), entries[i].Event) {
			f.add(missed, "%s sees in place %d of log %s what does not stand there", p.name, i+1, log)
			return
		}
	}
	if len(events) < len(entries) {
		f.add(missed, "%s has seen %d of %d events of log %s", p.name, len(events), len(entries), log)
	}
}

// kept checks that every receipt is for the entry that stands there, and that
// what was refused stands nowhere.
func (f *findings) kept(p *statement, l logged, stands map[auction.Pseudonym]auction.ID) {
	for _, done := range p.placed {
		r := done.Receipt
		if r.Auction != l.id {
			continue
		}
		if r.Seq < 1 || r.Seq > uint64(len(l.entries)) || l.entries[r.Seq-1].Leaf() != r.Leaf {
			f.add(lost, "%s has a receipt for entry %d of auction %s, which is not there", p.name, r.Seq, l.id)
		}
	}
	for name, code := range p.refused {
		if stands[name] == l.id {
			f.add(differs, "%s was refused (%s) what stands in auction %s", p.name, code, l.id)
		}
	}
}

// disclosed checks that seller and winner have each other's name, or neither.
func (f *findings) disclosed(r *record, l logged) {
	var sides []string
	both := 0
	for _, p := range r.people {
		if name, ok := p.theirs[l.id]; ok {
			sides = append(sides, p.name+" knows "+name)
		}
		if p.sent[l.id] {
			both++
		}
	}
	slices.Sort(sides)
	switch {
	case len(sides) == 0 && both < 2, len(sides) == 2 && both == 2 && crossed(r, l.id):
	default:
		f.add(disclosure, "auction %s: %d disclosed; %s", l.id, both, strings.Join(sides, ", "))
	}
}

// crossed reports whether the two who know a name know each other's.
func crossed(r *record, id auction.ID) bool {
	names := make(map[string]string)
	for _, p := range r.people {
		if name, ok := p.theirs[id]; ok {
			names[p.name] = name
		}
	}
	for name, theirs := range names {
		if names[theirs] != name {
			return false
		}
	}
	return true
}

// order checks that one order of all bids, looks and the close explains every
// answer, with each between its call and its answer.
func (f *findings) order(r *record, l logged) {
	closed := operation{auction: l.id, back: never, result: resultClosed}
	var history []operation
	for i, p := range r.people {
		for _, o := range p.history {
			if o.auction == l.id {
				o.client = i
				history = append(history, o)
			}
		}
		if at, ok := p.ended[l.id]; ok {
			closed.back = min(closed.back, at)
		}
	}
	closed.client = len(r.people)
	event, err := auction.ParseEvent(l.entries[0].Event)
	if err != nil {
		return // found already
	}
	terms, err := auction.ParseTerms([]byte(event.Terms))
	if err != nil {
		return
	}
	setting := setting{terms.Minimum, terms.Increment, time.UnixMicro(int64(terms.Closes)).Sub(r.start)}
	if got := linearizable(append(history, closed), setting); got != porcupine.Ok {
		f.add(disorder, "auction %s: no order explains the answers (%s)", l.id, got)
	}
}
