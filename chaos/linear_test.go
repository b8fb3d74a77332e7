package main

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Histories of one auction with a minimum of 100, an increment of 5, and an end at 50.
func TestLinearizable(t *testing.T) {
	at := func(call, back int, o operation) operation {
		o.auction, o.call, o.back = "a", time.Duration(call), time.Duration(back)
		if back < 0 {
			o.back = never
		}
		return o
	}
	accepted := func(amount auction.Amount, size uint64) operation {
		return operation{result: resultAccepted, amount: amount, size: size}
	}
	shown := func(size uint64, highest auction.Amount) operation {
		return operation{result: resultShown, size: size, amount: highest}
	}
	tooLow := func(amount, least auction.Amount) operation {
		return operation{result: resultTooLow, amount: amount, least: least}
	}
	unknown := func(amount auction.Amount) operation { return operation{amount: amount} }
	refused := func(code auction.Code) operation { return operation{result: resultRefused, amount: 105, code: code} }
	closed := operation{result: resultClosed}
	shownClosed := func(size uint64) operation { return operation{result: resultShown, size: size, closed: true} }

	tests := []struct {
		name    string
		history []operation
		want    porcupine.CheckResult
	}{
		{"nothing happens", nil, porcupine.Ok},
		{"bids one after the other", []operation{at(0, 1, accepted(100, 2)), at(2, 3, accepted(105, 3)), at(4, 5, shown(3, 105))}, porcupine.Ok},
		{"bids that cross, answered the other way round", []operation{at(0, 9, accepted(105, 3)), at(1, 2, accepted(100, 2))}, porcupine.Ok},
		{"a look during a bid, before or after it", []operation{at(0, 9, accepted(100, 2)), at(1, 2, shown(1, 0)), at(3, 4, shown(2, 100))}, porcupine.Ok},
		{"a bid without an answer that was carried out", []operation{at(0, -1, unknown(100)), at(2, 3, shown(2, 100))}, porcupine.Ok},
		{"a bid without an answer that was not", []operation{at(0, -1, unknown(100)), at(2, 3, shown(1, 0))}, porcupine.Ok},
		{"a bid without an answer that is carried out late", []operation{at(0, -1, unknown(100)), at(2, 3, shown(1, 0)), at(4, 5, shown(2, 100))}, porcupine.Ok},
		{"a tie", []operation{at(0, 1, accepted(100, 2)), at(2, 3, accepted(100, 3))}, porcupine.Ok},
		{"too low, and told how much", []operation{at(0, 1, accepted(100, 2)), at(2, 3, tooLow(104, 105))}, porcupine.Ok},
		{"recorded bids are hidden until the close", []operation{
			at(0, 1, accepted(100, 2)), at(2, 3, operation{result: resultRecorded, amount: 9, size: 3}),
			at(4, 5, shown(2, 100)), at(4, -1, closed), at(8, 9, shownClosed(4)),
		}, porcupine.Ok},

		{"refused for its age", []operation{at(0, 1, refused(auction.CodeStampTooOld)), at(2, 3, closed), at(4, 5, refused(auction.CodeStaleHead))}, porcupine.Ok},
		{"ended, and not closed yet", []operation{at(49, 50, refused(auction.CodeAuctionEnded)), at(51, -1, closed)}, porcupine.Ok},
		{"ended, as it was closed", []operation{at(0, 9, closed), at(1, 8, refused(auction.CodeAuctionEnded))}, porcupine.Ok},
		{"enough recorded", []operation{at(49, 50, refused(auction.CodeTooManyRecorded)), at(51, -1, closed)}, porcupine.Ok},

		{"ended before the end", []operation{at(48, 49, refused(auction.CodeAuctionEnded)), at(51, -1, closed)}, porcupine.Illegal},
		{"enough recorded before the end", []operation{at(48, 49, refused(auction.CodeTooManyRecorded)), at(51, -1, closed)}, porcupine.Illegal},
		{"enough recorded after the close", []operation{at(51, 52, closed), at(53, 54, refused(auction.CodeTooManyRecorded))}, porcupine.Illegal},
		{"refused for what it was not", []operation{at(0, 1, refused(auction.CodeOwnAuction))}, porcupine.Illegal},
		{"a stale look", []operation{at(0, 1, accepted(100, 2)), at(2, 3, shown(1, 0))}, porcupine.Illegal},
		{"a look back in time", []operation{at(0, -1, unknown(100)), at(2, 3, shown(2, 100)), at(4, 5, shown(1, 0))}, porcupine.Illegal},
		{"a lost bid", []operation{at(0, 1, accepted(100, 2)), at(2, 3, accepted(105, 2))}, porcupine.Illegal},
		{"an entry that nobody made", []operation{at(0, 1, accepted(100, 3))}, porcupine.Illegal},
		{"two bids in one place", []operation{at(0, 9, accepted(100, 2)), at(1, 8, accepted(105, 2))}, porcupine.Illegal},
		{"a bid below the increment", []operation{at(0, 1, accepted(100, 2)), at(2, 3, accepted(104, 3))}, porcupine.Illegal},
		{"too low, judged by a price of the past", []operation{
			at(0, 1, accepted(100, 2)), at(2, 3, accepted(200, 3)), at(4, 5, tooLow(101, 105)),
		}, porcupine.Illegal},
		{"a bid after the close", []operation{at(0, 1, closed), at(2, 3, accepted(100, 3))}, porcupine.Illegal},
		{"open again", []operation{at(0, 1, closed), at(2, 3, shown(2, 0))}, porcupine.Illegal},
		{"closed before anybody closed", []operation{at(0, 1, shownClosed(2)), at(2, -1, closed)}, porcupine.Illegal},
		{"closed twice", []operation{at(0, 1, closed), at(2, 3, closed)}, porcupine.Illegal},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := linearizable(tt.history, setting{minimum: 100, increment: 5, ends: 50}); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
