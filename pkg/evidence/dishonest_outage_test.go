package evidence

import (
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// TestDishonestOutage holds that an outage moves an end only if the house signs it,
// once, as far as its policy says, and not where the log has a bid of that time.
// Times are cut at 0.25 s before at(n).
func TestDishonestOutage(t *testing.T) {
	h := newHouse(t, houseOptions{outages: true})
	stranger, _ := testLogKey(t, 2)
	said := func(l *log, signer *LogSigner, now, from, to, ends float64) {
		l.notice(signer, at(now), auction.Event{
			Kind: auction.AuctionExtended, Ends: at(ends), Cause: auction.CauseOutage,
			Outage: &auction.Outage{From: at(from), To: at(to)},
		})
	}
	const none = "does not count"
	for _, c := range []dishonesty{
		{"over the end", "", "", func(l *log) {
			l.bid(l.person(), 1000, at(40), at(40.1))
			said(l, l.signer, 70, 40.5, 70, 130)
			l.bid(l.person(), 2000, at(129), at(129.1))
			l.record(l.person(), 3000, at(129.5), at(131))
			l.close(at(136), nil)
		}},
		{"before the end, and again", "", "", func(l *log) {
			said(l, l.signer, 50, 10, 50, 110)
			said(l, l.signer, 90, 60, 90, 150)
			l.close(at(156), nil)
		}},
		{"by a stranger", "bad_signature", "bad_signature", func(l *log) { said(l, stranger, 70, 40, 70, 130) }},
		{"twice", none, none, func(l *log) {
			said(l, l.signer, 70, 40, 70, 130)
			said(l, l.signer, 71, 40, 71, 131)
		}},
		{"too far", none, none, func(l *log) { said(l, l.signer, 70, 40, 70, 140) }},
		{"too short", none, none, func(l *log) { said(l, l.signer, 59.9, 40, 59.9, 119.9) }},

		{"after the end", none, none, func(l *log) { said(l, l.signer, 90, 60, 90, 150) }},
		{"before the listing", none, none, func(l *log) { said(l, l.signer, 10, -20, 10, 70) }},
		{"before the listing, in its second", none, "", func(l *log) { said(l, l.signer, 30, -0.2, 30, 90) }},
		{"a bid in it", none, none, func(l *log) {
			l.bid(l.person(), 1000, at(55), at(55.1))
			said(l, l.signer, 70, 40, 70, 130)
		}},
		{"a bid in it, within a second", none, "", func(l *log) {
			l.bid(l.person(), 1000, at(50.6), at(50.7))
			said(l, l.signer, 70, 40, 70, 130)
		}},
		{"after a bid was recorded", none, none, func(l *log) {
			l.record(l.person(), 1000, at(59), at(61))
			said(l, l.signer, 70, 40, 70, 130)
		}},
		{"not over yet", "not over", "not over", func(l *log) { said(l, l.signer, 65, 40, 70, 130) }},
		{"not over yet, within a second", "not over", "", func(l *log) { said(l, l.signer, 69.8, 40, 70, 130) }},
		{"a close before the end that was moved", "auction_open", "auction_open", func(l *log) {
			said(l, l.signer, 70, 40, 70, 130)
			l.close(at(76), nil)
		}},
		{"something private", "its time and nothing else", "", func(l *log) {
			l.change = func(_ *auction.Event, p *auction.Private) { p.CRL = 7 }
			said(l, l.signer, 70, 40, 70, 130)
		}},
	} {
		c.run(t, h, testTerms(h))
	}
}
