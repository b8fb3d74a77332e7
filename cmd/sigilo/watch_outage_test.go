package main

import (
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// A person who watches an auction is told why its end moved.
func TestOutageLine(t *testing.T) {
	from, to := auction.Time(1_893_456_000_000_000), auction.Time(1_893_456_060_000_000)
	line := eventLine(auction.Event{
		Kind: auction.AuctionExtended, Time: 1_893_456_060, Ends: to + 60_000_000, Cause: auction.CauseOutage,
		Outage: &auction.Outage{From: from, To: to},
	}, auction.Terms{})
	want := "as the house was out of order from " + clock(from.Std()) + " to " + clock(to.Std())
	if !strings.HasSuffix(line, want) {
		t.Errorf("%q does not end with %q", line, want)
	}
}
