package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sigilo/sigilo/pkg/auction"
)

// result is what came of an operation.
type result int

const (
	resultUnknown  result = iota // no answer: it may be carried out or not
	resultAccepted               // a bid with its place in the log
	resultRecorded               // a bid after the end, judged at the close, with its place
	resultTooLow                 // a bid that was refused, with the least that would do
	resultRefused                // a bid that was refused for another reason
	resultShown                  // a look
	resultClosed                 // the close
)

// never is when an operation without an answer ended.
const never = time.Duration(math.MaxInt64)

// An operation is a bid, a look or the close of one auction, with when it was
// begun and when its answer came.
type operation struct {
	auction    auction.ID
	client     int           // who
	call, back time.Duration // since the start of the run

	amount auction.Amount // that was bid; else that was shown as the highest
	result result
	code   auction.Code   // of resultRefused
	size   uint64         // the place of a bid; the size of the log that was shown
	least  auction.Amount // of resultTooLow
	closed bool           // of resultShown
}

// A setting is what the terms of an auction say of it.
type setting struct {
	minimum, increment auction.Amount
	ends               time.Duration // since the start of the run
}

// standing is an auction as the model knows it.
type standing struct {
	size    uint64         // of the log
	shown   uint64         // of it, to everybody: what is recorded is hidden until the close
	highest auction.Amount // 0 before the first bid
	closed  bool
}

// model is an auction as if there were one copy of it, which does one thing at a
// time. The rules that depend on stamps are for [evidence.Verify], which has
// them: here a bid as high as the highest may be a tie or not.
func model(terms setting) porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: partition,
		Init:      func() []any { return []any{standing{size: 1, shown: 1}} },
		Step: func(state, in, _ any) []any {
			return in.(operation).step(state.(standing), terms)
		},
		DescribeOperation: func(in, _ any) string { return fmt.Sprintf("%+v", in) },
		DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
	}
	return m.ToModel()
}

func (o operation) step(s standing, terms setting) []any {
	least := terms.minimum
	if s.highest > 0 {
		least = s.highest + terms.increment
	}
	took := s
	took.size++
	accepted := took
	accepted.shown, accepted.highest = took.size, max(o.amount, s.highest)
	may := !s.closed && s.shown == s.size && (o.amount >= least || o.amount == s.highest)
	switch o.result {
	case resultUnknown:
		out := []any{s}
		if may {
			out = append(out, accepted)
		}
		if !s.closed {
			out = append(out, took)
		}
		return out
	case resultAccepted:
		if may && o.size == took.size {
			return []any{accepted}
		}
	case resultRecorded:
		if !s.closed && o.size == took.size {
			return []any{took}
		}
	case resultTooLow:
		if !s.closed && o.amount < least && o.least == least {
			return []any{s}
		}
	case resultRefused:
		if o.mayBeRefused(s, terms) {
			return []any{s}
		}
	case resultShown:
		if o.size == s.shown && o.closed == s.closed && (s.closed || o.amount == s.highest) {
			return []any{s}
		}
	case resultClosed:
		if !s.closed {
			took.shown, took.closed = took.size, true
			return []any{took}
		}
	}
	return nil
}

// mayBeRefused reports whether the reason of a refusal fits: a bid may be too old
// or too new at any time, which says nothing of the log.
func (o operation) mayBeRefused(s standing, terms setting) bool {
	switch o.code {
	case auction.CodeStampTooOld, auction.CodeStampInFuture, auction.CodeStaleHead, auction.CodeHeadInFuture:
		return true
	case auction.CodeAuctionEnded:
		return s.closed || o.back >= terms.ends
	case auction.CodeTooManyRecorded:
		return !s.closed && o.back >= terms.ends
	}
	return false
}

func partition(history []porcupine.Operation) [][]porcupine.Operation {
	by := make(map[auction.ID][]porcupine.Operation)
	for _, o := range history {
		id := o.Input.(operation).auction
		by[id] = append(by[id], o)
	}
	out := make([][]porcupine.Operation, 0, len(by))
	for _, part := range by {
		out = append(out, part)
	}
	return out
}

// checkTimeout bounds one check; past it, there is a finding. A sound round stays
// well below it, as places in the log leave few orders to try; to refute one with
// many bids that have no answer takes up to a quarter of it.
const checkTimeout = time.Minute

// linearizable reports whether a history of auctions could be that of a house
// with one copy of each, which did one thing at a time, each between its call and
// its answer.
func linearizable(history []operation, terms setting) porcupine.CheckResult {
	operations := make([]porcupine.Operation, len(history))
	for i, o := range history {
		operations[i] = porcupine.Operation{ClientId: o.client, Input: o, Call: int64(o.call), Return: int64(o.back)}
	}
	slices.SortFunc(operations, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return porcupine.CheckOperationsTimeout(model(terms), operations, checkTimeout)
}
