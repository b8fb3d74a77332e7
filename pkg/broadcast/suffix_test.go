package broadcast

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
)

// What tells a recorded bid by its last bytes agrees with the parser about
// every event that the parser takes.
func TestRecordedIsWhatTheParserSays(t *testing.T) {
	id := "6f1f6f30-6c39-4c52-9d0c-2a1c1f6d3a01"
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom([]string{`x`, `,"recorded":true}`, `{"a":1,"recorded":true}`, `"`}).Draw(t, "text")
		e := auction.Event{
			Seq: rapid.Uint64Range(1, 1<<53-1).Draw(t, "seq"), Time: 1_750_000_000, Auction: auction.ID(id),
			Kind: rapid.SampledFrom([]auction.EventKind{
				auction.SomeoneListed, auction.SomeoneBid, auction.AuctionClosed,
				auction.PolicyAdopted, auction.AuditApproved, auction.AuditDisclosed,
			}).Draw(t, "kind"),
		}
		switch e.Kind {
		case auction.SomeoneListed:
			e.Pseudonym, e.Terms = auction.Pseudonym(id), text
		case auction.SomeoneBid:
			e.Pseudonym, e.Amount, e.Recorded = auction.Pseudonym(id), 1, rapid.Bool().Draw(t, "recorded")
		case auction.AuctionClosed:
			e.Outcome, e.Head, e.Stamps = auction.Unsold, &auction.Head{}, []auction.Blob{auction.Blob(text)}
		case auction.PolicyAdopted:
			e.Auction, e.Policy = "", text
		default:
			e.Auditor = &auction.Hash{}
		}
		parsed, err := auction.ParseEvent(e.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if got := recorded(auction.Entry{Event: e.Encode()}); got != parsed.Recorded {
			t.Errorf("%s: recorded is %v", e.Encode(), got)
		}
	})
}
