package evidence

import (
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// at is so many seconds after the listing of a test's log.
func at(seconds float64) auction.Time { return start + auction.Time(seconds*1e6) }

// TestDishonestSoftClose holds that a house cannot move a soft end but where the
// rules move it: from 100 s, by bids stamped in the 60 s before it, to 60 s after
// their arrival, and not past 240 s.
func TestDishonestSoftClose(t *testing.T) {
	h := newHouse(t, houseOptions{})
	cases := []dishonesty{
		{"an end that moves as it must", "", "", func(l *log) {
			l.bid(l.person(), 1000, at(99), at(99.1))
			l.extend(at(159.1), nil)
			l.bid(l.person(), 2000, at(159), at(160)) // after the end, which was not final
			l.extend(at(220), nil)
			l.bid(l.person(), 3000, at(219), at(219.5))
			l.extend(at(240), nil)
			l.record(l.person(), 4000, at(239), at(240.5))
			l.close(at(246), nil)
		}},
		{"an end that does not move", "where the rules move it", "", func(l *log) {
			l.bid(l.person(), 1000, at(99), at(99.1))
			l.close(at(246), nil)
		}},
		{"an end that moves too far", "where the rules move it", "terms do not allow", func(l *log) {
			l.bid(l.person(), 1000, at(99), at(99.1))
			l.extend(at(165.1), nil)
			l.close(at(246), nil)
		}},
		{"an end that moves not far enough", "where the rules move it", "", func(l *log) {
			l.bid(l.person(), 1000, at(99), at(99.1))
			l.extend(at(159), nil)
			l.close(at(246), nil)
		}},
		{"an end that moves past the latest", "where the rules move it", "terms do not allow", func(l *log) {
			l.bid(l.person(), 1000, at(99), at(99.1))
			l.extend(at(241), nil)
			l.close(at(247), nil)
		}},
		{"a bid before the window that extends", "where the rules move it", "terms do not allow", func(l *log) {
			l.bid(l.person(), 1000, at(38), at(38.1))
			l.extend(at(101), nil)
			l.close(at(246), nil)
		}},
		{"a tie that extends", "where the rules move it", "", func(l *log) {
			head := l.head()
			l.bidAt(l.person(), 1000, head, at(99), at(99.1), false)
			l.extend(at(159.1), nil)
			l.bidAt(l.person(), 1000, head, at(98.9), at(99.2), false)
			l.extend(at(159.2), nil)
			l.close(at(246), nil)
		}},
		{"an extension of no bid", "where the rules move it", "the bid before it", func(l *log) {
			l.bid(l.person(), 1000, at(99), at(99.1))
			l.extend(at(159.1), nil)
			l.extend(at(160), nil)
			l.close(at(246), nil)
		}},
		{"an extension backwards", "does not extend", "does not extend", func(l *log) {
			l.bid(l.person(), 1000, at(99), at(99.1))
			l.extend(at(100), nil)
		}},
		{"a recorded bid at an end that is not final", "do not record", "", func(l *log) {
			l.record(l.person(), 1000, at(99), at(100.1))
			l.close(at(246), nil)
		}},
		{"a close before the end that moved", "auction_open", "auction_open", func(l *log) {
			l.bid(l.person(), 1000, at(99), at(99.1))
			l.extend(at(159.1), nil)
			l.close(at(150), nil)
		}},
	}
	for _, c := range cases {
		c.run(t, h, softTerms(h))
	}
}

// TestDishonestWithdrawal holds that a house cannot end an auction by a
// withdrawal that the rules refuse.
func TestDishonestWithdrawal(t *testing.T) {
	h := newHouse(t, houseOptions{})
	for _, c := range []dishonesty{
		{"rightly", "", "", func(l *log) { l.withdraw(l.lister, at(2), at(2.1)) }},
		{"by somebody else", "not_your_auction", "", func(l *log) { l.withdraw(l.person(), at(2), at(2.1)) }},
		{"after a bid", "has_bids", "has_bids", func(l *log) {
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.withdraw(l.lister, at(3), at(3.1))
		}},
		{"before the listing", "before_listing", "before_listing", func(l *log) { l.withdraw(l.lister, at(-0.26), at(0.3)) }},
		{"after the end", "auction_ended", "auction_ended", func(l *log) { l.withdraw(l.lister, at(61), at(61.1)) }},
		{"hoarded", "stamp_too_old", "", func(l *log) { l.withdraw(l.lister, at(2), at(8)) }},
		{"made up", "says", "", func(l *log) {
			l.change = func(ev *auction.Event, _ *auction.Private) {
				ev.Kind, ev.Outcome, ev.Amount = auction.AuctionClosed, auction.Withdrawn, 0
			}
			l.bid(l.lister, 1000, at(2), at(2.1))
		}},
	} {
		c.run(t, h, testTerms(h))
	}
}

// TestDishonestReserve holds that a house cannot sell below a reserve, nor refuse
// to sell above, nor say that it was another.
func TestDishonestReserve(t *testing.T) {
	h := newHouse(t, houseOptions{})
	sold := func(amount auction.Amount) func(*auction.Event) {
		return func(ev *auction.Event) {
			ev.Outcome, ev.Winner, ev.Amount = auction.Sold, "00000000-0000-4000-8000-000000000002", amount
		}
	}
	unsold := func(ev *auction.Event) { ev.Outcome, ev.Winner, ev.Amount = auction.Unsold, "", 0 }
	bid := func(l *log, amount auction.Amount) { l.bid(l.person(), amount, at(2), at(2.1)) }
	for _, c := range []dishonesty{
		{"met", "", "", func(l *log) { bid(l, 5000); l.close(at(66), nil) }},
		{"not met", "", "", func(l *log) { bid(l, 4999); l.close(at(66), nil) }},
		{"sold below", "the winner", "the winner", func(l *log) { bid(l, 4999); l.close(at(66), sold(4999)) }},
		{"not sold above", "the winner", "the winner", func(l *log) { bid(l, 5000); l.close(at(66), unsold) }},
		{"not opened", "does not open the reserve", "does not open the reserve", func(l *log) {
			bid(l, 4999)
			l.close(at(66), func(ev *auction.Event) { ev.Reserve = nil })
		}},
		{"another", "does not open the reserve", "does not open the reserve", func(l *log) {
			bid(l, 4999)
			l.close(at(66), func(ev *auction.Event) { ev.Reserve = &auction.Opening{Amount: 4000, Salt: ev.Reserve.Salt} })
		}},
		{"a recorded bid that met it passed over", "the winner", "the winner", func(l *log) {
			l.record(l.person(), 6000, at(59), at(61))
			l.close(at(66), unsold)
		}},
		{"a recorded bid that did not meet it", "the winner", "the winner", func(l *log) {
			l.record(l.person(), 4000, at(59), at(61))
			l.close(at(66), sold(4000))
		}},
		{"recorded bids, rightly", "", "", func(l *log) {
			bid(l, 4999)
			l.record(l.person(), 5050, at(59), at(61)) // not an increment more
			l.close(at(66), nil)
		}},
	} {
		c.run(t, h, reserveTerms(h))
	}
}

// TestDishonestOperator holds that what an operator does is signed, and what no
// operator may do does not verify.
func TestDishonestOperator(t *testing.T) {
	h := newHouse(t, houseOptions{})
	stranger, _ := testLogKey(t, 2)
	extend := func(l *log, signer *LogSigner, now, ends auction.Time) {
		l.notice(signer, now, auction.Event{Kind: auction.AuctionExtended, Ends: ends, Cause: auction.CauseOperator})
	}
	cancel := func(l *log, signer *LogSigner, now auction.Time) {
		l.notice(signer, now, auction.Event{Kind: auction.AuctionClosed, Outcome: auction.Cancelled})
	}
	for _, c := range []dishonesty{
		{"rightly", "", "", func(l *log) {
			extend(l, l.signer, at(10), at(100))
			l.bid(l.person(), 1000, at(90), at(90.1))
			cancel(l, l.signer, at(99))
		}},
		{"an extension and a close", "", "", func(l *log) {
			extend(l, l.signer, at(10), at(100))
			l.bid(l.person(), 1000, at(90), at(90.1))
			l.close(at(106), nil)
		}},
		{"an extension by a stranger", "bad_signature", "bad_signature", func(l *log) { extend(l, stranger, at(10), at(100)) }},
		{"a cancellation by a stranger", "bad_signature", "bad_signature", func(l *log) { cancel(l, stranger, at(10)) }},
		{"a signature of something else", "bad_signature", "bad_signature", func(l *log) {
			l.change = func(ev *auction.Event, _ *auction.Private) { ev.Ends++ }
			extend(l, l.signer, at(10), at(100))
		}},
		{"an end that had passed", "auction_ended", "auction_ended", func(l *log) { extend(l, l.signer, at(61), at(100)) }},
		{"an extension backwards", "does not extend", "does not extend", func(l *log) { extend(l, l.signer, at(10), at(60)) }},
		{"an extension again", "does not extend", "does not extend", func(l *log) {
			extend(l, l.signer, at(10), at(100))
			extend(l, l.signer, at(10), at(100))
		}},
		{"a bid after the cancellation", "out of its place", "out of its place", func(l *log) {
			cancel(l, l.signer, at(10))
			l.bid(l.person(), 1000, at(11), at(11.1))
		}},
		{"a close before the end that was moved", "auction_open", "auction_open", func(l *log) {
			extend(l, l.signer, at(10), at(100))
			l.close(at(66), nil)
		}},
	} {
		c.run(t, h, testTerms(h))
	}
}

// TestDishonestSuspension holds that a house can neither make up a loss that is
// none, nor take or sell anything while an auction is suspended, nor keep time
// that it owes.
func TestDishonestSuspension(t *testing.T) {
	h := newHouse(t, houseOptions{})
	stranger, _ := testLogKey(t, 2)
	lost := auction.Lost{Seq: 2, Leaf: auction.Hash{1}}
	suspend := func(l *log, now auction.Time, lost auction.Lost) {
		l.notice(l.signer, now, auction.Event{Kind: auction.AuctionSuspended, Lost: &lost})
	}
	resume := func(l *log, now, ends auction.Time) {
		l.notice(l.signer, now, auction.Event{Kind: auction.AuctionResumed, Ends: ends, Lost: &lost})
	}
	more := auction.Lost{Seq: 9, Leaf: auction.Hash{2}}
	for _, c := range []dishonesty{
		{"rightly", "", "", func(l *log) {
			suspend(l, at(10), more)
			suspend(l, at(11), lost)
			resume(l, at(30), at(80))
			l.bid(l.person(), 1000, at(70), at(70.1))
			l.close(at(86), nil)
		}},
		{"still suspended", "", "", func(l *log) { suspend(l, at(10), lost) }},
		{"a loss by a stranger", "bad_signature", "bad_signature", func(l *log) {
			l.notice(stranger, at(10), auction.Event{Kind: auction.AuctionSuspended, Lost: &lost})
		}},
		{"a resumption by a stranger", "bad_signature", "bad_signature", func(l *log) {
			suspend(l, at(10), lost)
			l.notice(stranger, at(30), auction.Event{Kind: auction.AuctionResumed, Ends: at(80), Lost: &lost})
		}},
		{"an entry that is there", "not lost", "not lost", func(l *log) {
			suspend(l, at(10), auction.Lost{Seq: 1, Leaf: l.leaves[0]})
		}},
		{"a loss found twice", "found lost before", "found lost before", func(l *log) {
			suspend(l, at(10), lost)
			suspend(l, at(11), lost)
		}},
		{"a bid meanwhile", "suspended", "suspended", func(l *log) {
			suspend(l, at(10), lost)
			l.bid(l.person(), 1000, at(11), at(11.1))
		}},
		{"a close meanwhile", "suspended", "suspended", func(l *log) {
			suspend(l, at(10), lost)
			l.close(at(66), nil)
		}},
		{"a resumption of nothing", "not suspended", "not suspended", func(l *log) { resume(l, at(10), at(80)) }},
		{"a resumption of another loss", "another loss", "another loss", func(l *log) {
			suspend(l, at(10), lost)
			suspend(l, at(11), more)
			resume(l, at(30), at(80))
		}},
		{"a resumption again", "another loss", "another loss", func(l *log) {
			suspend(l, at(61), lost)
			resume(l, at(62), 0)
			suspend(l, at(63), more)
			resume(l, at(62), 0)
		}},
		{"no time", "bad_terms", "bad_terms", func(l *log) {
			suspend(l, at(10), lost)
			resume(l, at(30), 0)
		}},
		{"time since the last loss alone", "bad_terms", "bad_terms", func(l *log) {
			suspend(l, at(10), more)
			suspend(l, at(29), lost)
			resume(l, at(30), at(61))
		}},
		{"cut short for the leader", "bad_terms", "bad_terms", func(l *log) {
			l.bid(l.person(), 1000, at(2), at(2.1))
			suspend(l, at(10), lost)
			resume(l, at(61), 0)
			l.close(at(66), nil)
		}},
		{"an earlier end", "earlier end", "earlier end", func(l *log) {
			suspend(l, at(10), lost)
			resume(l, at(30), at(60)-1)
		}},
		{"an end that had passed", "auction_ended", "auction_ended", func(l *log) {
			suspend(l, at(61), lost)
			resume(l, at(90), at(200))
		}},
		{"after the end", "", "", func(l *log) {
			suspend(l, at(61), lost)
			resume(l, at(90), 0)
			l.close(at(96), nil)
		}},
	} {
		c.run(t, h, testTerms(h))
	}
}

// TestDishonestResumption holds that a resumption gives back the time that was
// lost: an audit sees a microsecond that is missing, and everybody what the seconds
// of both entries do not leave open. Here they are cut at 0.25 s before at(n).
func TestDishonestResumption(t *testing.T) {
	h := newHouse(t, houseOptions{})
	bid := func(ts, arrival float64) func(*log) {
		return func(l *log) { l.bid(l.person(), 1000, at(ts), at(arrival)) }
	}
	for _, c := range []struct {
		name           string
		before         func(*log)
		since, resumed auction.Time
		ends           auction.Time
		audit, public  string
	}{
		{"all of it", nil, at(10), at(30), at(80), "", ""},
		{"a microsecond less", nil, at(10), at(30), at(80) - 1, "bad_terms", ""},
		{"as little as seconds show", nil, at(10), at(30), at(79) + 1, "bad_terms", ""},
		{"less than seconds show", nil, at(10), at(30), at(79), "bad_terms", "bad_terms"},
		{"the same end", nil, at(10), at(30), at(60), "bad_terms", "bad_terms"},
		{"the same end, within a second", nil, at(10), at(10.5), at(60), "bad_terms", ""},
		{"the same end, in the next second", nil, at(10.7), at(10.8), at(60), "bad_terms", "bad_terms"},
		{"all of it, in the next second", nil, at(10.7), at(10.8), at(60.1), "", ""},

		// A bid may have arrived a freshness after its stamp, and what comes after it
		// no earlier, so nothing was lost before.
		{"after a bid, all of it", bid(9, 9.1), at(10), at(30), at(80), "", ""},
		{"after a bid that was late", bid(9, 14), at(10), at(30), at(76), "", ""},
		{"after a bid, as little as seconds show", bid(9, 9.1), at(10), at(30), at(75) + 1, "bad_terms", ""},
		{"after a bid, less than seconds show", bid(9, 9.1), at(10), at(30), at(75), "bad_terms", "bad_terms"},
		{"long after a bid, less than seconds show", bid(3, 3.1), at(10), at(30), at(79), "bad_terms", "bad_terms"},

		{"none, from the end on", nil, at(60), at(90), 0, "", ""},
		{"none, in the second of the end", nil, at(60) - 1, at(90), 0, "bad_terms", ""},
		{"none, in the second before", nil, at(59.75) - 1, at(90), 0, "bad_terms", "bad_terms"},
		{"some, in the second of the end", nil, at(60) - 1, at(90), at(90) + 1, "", ""},
		{"less, in the second of the end", nil, at(60) - 1, at(90), at(89.75), "bad_terms", "bad_terms"},
		{"some, from the end on", nil, at(60), at(90), at(90), "auction_ended", ""},
		{"some, from the second after on", nil, at(60.75), at(90), at(90), "auction_ended", "auction_ended"},
	} {
		dishonesty{c.name, c.audit, c.public, func(l *log) {
			if c.before != nil {
				c.before(l)
			}
			lost := auction.Lost{Seq: 99, Leaf: auction.Hash{1}}
			l.notice(l.signer, c.since, auction.Event{Kind: auction.AuctionSuspended, Lost: &lost})
			l.notice(l.signer, c.resumed, auction.Event{Kind: auction.AuctionResumed, Ends: c.ends, Lost: &lost})
		}}.run(t, h, testTerms(h))
	}
}

// notice appends what the house or its operator did.
func (l *log) notice(signer *LogSigner, now auction.Time, ev auction.Event) {
	l.t.Helper()
	ev.Auction, ev.Time = l.id, int64(now)/1_000_000
	ev.Signature = must(signer.SignNotice(ev.Notice()))(l.t)
	l.commit(ev, auction.Private{Arrival: now, TS: now})
}
