package evidence

import (
	"strings"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// TestDishonestHouse holds that a house cannot sign its way around the rules:
// each log here has a true head, and something wrong in it. The public bundle
// shows less, and so lets some pass; the verdict says so.
func TestDishonestHouse(t *testing.T) {
	cases := []dishonesty{
		{"a bid below the minimum", "bid_too_low", "bid_too_low", func(l *log) {
			l.bid(l.person(), 999, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a bid that does not outbid", "bid_too_low", "bid_too_low", func(l *log) {
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.bid(l.person(), 1099, at(3), at(3.1))
			l.close(at(66), nil)
		}},
		{"a later stamp that takes the tie", "bid_too_low", "bid_too_low", func(l *log) {
			head := l.head()
			l.bidAt(l.person(), 1000, head, at(2), at(2.1), false)
			l.bidAt(l.person(), 1000, head, at(3), at(3.1), false)
			l.close(at(66), nil)
		}},
		{"a tie within a second that the later stamp takes", "bid_too_low", "", func(l *log) {
			head := l.head()
			l.bidAt(l.person(), 1000, head, at(2), at(2.3), false)
			l.bidAt(l.person(), 1000, head, at(2.1), at(2.4), false)
			l.close(at(66), nil)
		}},
		{"a tie that arrives after the window", "bid_too_low", "", func(l *log) {
			head := l.head()
			l.bidAt(l.person(), 1000, head, at(2), at(2.1), false)
			l.bidAt(l.person(), 1000, head, at(1.9), at(3.2), false)
			l.close(at(66), nil)
		}},
		{"a bid of the seller", "own_auction", "", func(l *log) {
			l.bid(l.lister, 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a stamp before the listing", "before_listing", "before_listing", func(l *log) {
			l.bid(l.person(), 1000, at(-0.26), at(0.1))
			l.close(at(66), nil)
		}},
		{"a stamp after the end", "auction_ended", "auction_ended", func(l *log) {
			l.bid(l.person(), 1000, at(61), at(61.1))
			l.close(at(66), nil)
		}},
		{"a stamp hoarded", "stamp_too_old", "", func(l *log) {
			l.bid(l.person(), 1000, at(2), at(7.1))
			l.close(at(66), nil)
		}},
		{"a stamp from the future", "stamp_in_future", "", func(l *log) {
			l.bid(l.person(), 1000, at(4), at(3.4))
			l.close(at(66), nil)
		}},
		{"a stale head", "stale_head", "", func(l *log) {
			head := l.head()
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.bidAt(l.person(), 2000, head, at(7.2), at(7.3), false)
			l.close(at(66), nil)
		}},
		{"a head of another log", "bad_head", "", func(l *log) {
			l.fake = func(c *wire.Command) { c.Head.Root[0] ^= 1 }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a bid on other terms", "wrong_terms", "", func(l *log) {
			l.fake = func(c *wire.Command) { c.TermsHash[0] ^= 1 }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a bid in another currency", "wrong_currency", "", func(l *log) {
			l.fake = func(c *wire.Command) { c.Currency = "USD" }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a bid made for another house", "wrong_audience", "", func(l *log) {
			l.fake = func(c *wire.Command) { c.House = "other" }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"an event of another amount than was bid", "the event does not say what the command says", "", func(l *log) {
			l.change = func(ev *auction.Event, _ *auction.Private) { ev.Amount = 1200 }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a command with another signer's certificate", "not_your_command", "", func(l *log) {
			other := l.person()
			l.chains[other.thumbprint] = blobs(other.chain)
			l.change = func(_ *auction.Event, p *auction.Private) { p.Certificate = other.thumbprint }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"another participant written under a command", "the signer, the certificate or the time", "", func(l *log) {
			l.change = func(_ *auction.Event, p *auction.Private) { p.Participant[0] ^= 1 }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"another time written under a command", "the signer, the certificate or the time", "", func(l *log) {
			l.change = func(_ *auction.Event, p *auction.Private) { p.TS++ }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a command with its signature broken", "bad_signature", "", func(l *log) {
			l.change = func(_ *auction.Event, p *auction.Private) {
				c := &p.JWS[len(p.JWS)-10]
				*c = map[bool]byte{true: 'B', false: 'A'}[*c == 'A']
				p.Tokens = l.stamps(hash(p.JWS), p.TS)
			}
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a bid with another bid's stamp", "bad_stamp", "", func(l *log) {
			l.change = func(_ *auction.Event, p *auction.Private) { p.Tokens = l.stamps(hash([]byte("else")), p.TS) }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a bid without a stamp", "wrong_stamps", "", func(l *log) {
			l.change = func(_ *auction.Event, p *auction.Private) { p.Tokens = nil }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a bid with one stamp twice", "wrong_stamps", "", func(l *log) {
			l.change = func(_ *auction.Event, p *auction.Private) { p.Tokens = append(p.Tokens, p.Tokens[0]) }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a stamp of a foreign authority", "bad_stamp", "", func(l *log) {
			foreign := newHouse(l.t, houseOptions{})
			l.change = func(_ *auction.Event, p *auction.Private) { p.Tokens = foreign.stamps(hash(p.JWS), p.TS) }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a stamp of simulated time", "bad_stamp", "", func(l *log) {
			a := l.authority(l.policy.Authorities[0].Name, true)
			l.change = func(_ *auction.Event, p *auction.Private) { p.Tokens = [][]byte{a.stamp(l.t, hash(p.JWS), p.TS)} }
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a bidder certified by a foreign root", "bad_certificate", "", func(l *log) {
			foreign := newHouse(l.t, houseOptions{})
			l.bid(foreign.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a bidder whose certificate had ended", "bad_certificate", "", func(l *log) {
			l.bid(l.personOf(l.ca, identity.RoleParticipant, at(-600).Std(), at(-60).Std()), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"an auditor who bids", "bad_certificate", "", func(l *log) {
			l.bid(l.personOf(l.ca, identity.RoleAuditor, at(-600).Std(), at(600).Std()), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"the house itself that bids", "bad_certificate", "", func(l *log) {
			l.bid(l.personOf(l.root, identity.RoleDMS, at(-600).Std(), at(600).Std()), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a bid twice in the log", "pseudonym_used", "pseudonym_used", func(l *log) {
			p := l.person()
			l.bid(p, 1000, at(2), at(2.1))
			l.names--
			l.bid(p, 1200, at(3), at(3.1))
			l.close(at(66), nil)
		}},
		{"a bid recorded that came in time", "do not record", "", func(l *log) {
			l.record(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), nil)
		}},
		{"a bid judged that came after the end", "do not record", "", func(l *log) {
			l.bid(l.person(), 1000, at(59), at(61))
			l.close(at(66), nil)
		}},
		{"a bid judged after one was recorded", "do not record", "auction_ended", func(l *log) {
			head := l.head()
			l.bidAt(l.person(), 1000, head, at(59), at(61), true)
			l.bidAt(l.person(), 1500, head, at(59), at(59.9), false)
			l.close(at(66), nil)
		}},
		{"more recorded bids than the policy lets one have", "too_many_recorded", "", func(l *log) {
			p, head := l.person(), l.head()
			for i := range 4 {
				l.bidAt(p, 1000, head, at(59), at(61+float64(i)/10), true)
			}
			l.close(at(66), nil)
		}},
		{"a close before end and grace", "auction_open", "auction_open", func(l *log) {
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(65), nil)
		}},
		{"a close with another winner", "the winner", "the winner", func(l *log) {
			loser := l.bid(l.person(), 1000, at(2), at(2.1))
			l.bid(l.person(), 1500, at(3), at(3.1))
			l.close(at(66), func(ev *auction.Event) { ev.Winner, ev.Amount = loser, 1000 })
		}},
		{"a close at another price", "the winner", "the winner", func(l *log) {
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), func(ev *auction.Event) { ev.Amount = 2000 })
		}},
		{"a close that does not sell", "the winner", "the winner", func(l *log) {
			l.bid(l.person(), 1000, at(2), at(2.1))
			l.close(at(66), func(ev *auction.Event) { ev.Outcome, ev.Winner, ev.Amount = auction.Unsold, "", 0 })
		}},
		{"a close that sells to nobody who bid", "the winner", "the winner", func(l *log) {
			l.close(at(66), func(ev *auction.Event) { ev.Outcome, ev.Winner, ev.Amount = auction.Sold, l.name(), 1000 })
		}},
		{"a close that says another second", "another time than its stamps", "when its stamps were made", func(l *log) {
			l.close(at(66), func(ev *auction.Event) { ev.Time++ })
		}},
		{"a close that says another second, twice", "its times and nothing else", "when its stamps were made", func(l *log) {
			l.change = func(ev *auction.Event, p *auction.Private) { ev.Time, p.TS = ev.Time+1, p.TS+second }
			l.close(at(66), nil)
		}},
		{"a close with stamps over another head", "bad_stamp", "bad_stamp", func(l *log) {
			l.close(at(66), func(ev *auction.Event) { ev.Stamps = blobs(l.stamps(hash([]byte("else")), at(66))) })
		}},
		{"a close with too many stamps", "wrong_stamps", "wrong_stamps", func(l *log) {
			l.close(at(66), func(ev *auction.Event) { ev.Stamps = append(ev.Stamps, ev.Stamps[0]) })
		}},
		{"a recorded bid passed over", "the winner", "the winner", func(l *log) {
			leader := l.bid(l.person(), 1000, at(2), at(2.1))
			l.record(l.person(), 1500, at(59), at(61))
			l.close(at(66), func(ev *auction.Event) { ev.Winner, ev.Amount = leader, 1000 })
		}},
		{"recorded bids judged in the wrong order", "the winner", "", func(l *log) {
			head := l.head()
			l.bidAt(l.person(), 1000, head, at(59), at(61), true)
			wrong := l.bidAt(l.person(), 1050, head, at(59.5), at(61.1), true)
			l.close(at(66), func(ev *auction.Event) { ev.Winner, ev.Amount = wrong, 1050 })
		}},
		{"something of a participant under the close", "its times and nothing else", "", func(l *log) {
			l.change = func(_ *auction.Event, p *auction.Private) { p.CRL = 1 }
			l.close(at(66), nil)
		}},
		{"an entry after the close", "out of its place", "out of its place", func(l *log) {
			l.close(at(66), nil)
			l.bid(l.person(), 1000, at(59), at(61))
		}},
	}
	h := newHouse(t, houseOptions{})
	for _, c := range cases {
		c.run(t, h, testTerms(h))
	}
}

// dishonesty is a log that a house signs and that is none by the rules.
type dishonesty struct {
	name   string
	audit  string // what the error says
	public string // "" if the public cannot see it
	make   func(*log)
}

// run makes the log after a listing of the terms, and has it verified.
func (c dishonesty) run(t *testing.T, h *house, terms auction.Terms) {
	t.Run(c.name, func(t *testing.T) {
		here := *h
		here.t = t
		l := newLog(&here)
		l.list(l.person(), terms)
		c.make(l)
		for kind, want := range map[Kind]string{Audit: c.audit, Public: c.public} {
			_, err := Verify(encode(t, l.bundle(kind)), h.trust())
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %v, want %q", kind, err, want)
			}
			if err != nil && auction.CodeOf(err) == auction.CodeInternal {
				t.Errorf("%s: no refusal in the chain of %v", kind, err)
			}
		}
	})
}

// With several authorities, each counts once and in its place.
func TestStampsOfSeveral(t *testing.T) {
	for name, change := range map[string]func([][]byte) [][]byte{
		"one too few":   func(s [][]byte) [][]byte { return s[:2] },
		"one twice":     func(s [][]byte) [][]byte { return [][]byte{s[0], s[0], s[2]} },
		"out of order":  func(s [][]byte) [][]byte { return [][]byte{s[0], s[2], s[1]} },
		"none dropped":  func(s [][]byte) [][]byte { return append(s, s[2]) },
		"all from last": func(s [][]byte) [][]byte { return [][]byte{s[2], s[2], s[2]} },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog(newHouse(t, houseOptions{authorities: 4, quorum: 3}))
			l.list(l.person(), testTerms(l.house))
			l.change = func(_ *auction.Event, p *auction.Private) { p.Tokens = change(p.Tokens) }
			l.bid(l.person(), 1000, start+2*second, start+2*second)
			if _, err := Verify(encode(t, l.bundle(Audit)), nil); auction.CodeOf(err) != auction.CodeWrongStamps {
				t.Errorf("%v", err)
			}
		})
	}
}

// In a party's bundle the commands that are shown are held to all that does not
// depend on the others.
func TestDishonestToParty(t *testing.T) {
	h := newHouse(t, houseOptions{})
	for name, c := range map[string]struct {
		want string
		make func(*log)
	}{
		"the own bid, rightly": {"", func(l *log) { l.bid(l.person(), 1000, at(2), at(2.1)) }},
		"hoarded":              {"stamp_too_old", func(l *log) { l.bid(l.person(), 1000, at(2), at(7.1)) }},
		"from the future":      {"stamp_in_future", func(l *log) { l.bid(l.person(), 1000, at(4), at(3.4)) }},
		"before the listing":   {"before_listing", func(l *log) { l.bid(l.person(), 1000, at(-1), at(1)) }},
		"after the end":        {"auction_ended", func(l *log) { l.bid(l.person(), 1000, at(60), at(60.1)) }},
		"of the seller":        {"own_auction", func(l *log) { l.bid(l.lister, 1000, at(2), at(2.1)) }},
		"another head": {"bad_head", func(l *log) {
			l.fake = func(c *wire.Command) { c.Head.Size++ }
			l.bid(l.person(), 1000, at(2), at(2.1))
		}},
		"other terms": {"wrong_terms", func(l *log) {
			l.fake = func(c *wire.Command) { c.TermsHash[0] ^= 1 }
			l.bid(l.person(), 1000, at(2), at(2.1))
		}},
		"another currency": {"wrong_currency", func(l *log) {
			l.fake = func(c *wire.Command) { c.Currency = "USD" }
			l.bid(l.person(), 1000, at(2), at(2.1))
		}},
		"too low": {"bid_too_low", func(l *log) { l.bid(l.person(), 1, at(2), at(2.1)) }},
	} {
		t.Run(name, func(t *testing.T) {
			here := *h
			here.t = t
			l := newLog(&here)
			l.list(l.person(), testTerms(&here))
			c.make(l)
			_, err := Verify(encode(t, l.bundle(Party, 1, 2)), h.trust())
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestDishonestListing(t *testing.T) {
	h := newHouse(t, houseOptions{})
	for name, c := range map[string]struct {
		want   string
		change func(*auction.Terms)
		of     *identity.Issuer
		late   time.Duration // that it arrived after its stamp
	}{
		"too short":            {"bad_terms", func(t *auction.Terms) { t.Closes = start + 9*second }, h.ca, 0},
		"too long":             {"bad_terms", func(t *auction.Terms) { t.Closes = start.Add(auction.MaxOpen + time.Microsecond) }, h.ca, 0},
		"under another policy": {"unknown_policy", func(t *auction.Terms) { t.Policy[0] ^= 1 }, h.ca, 0},
		"of a stranger":        {"bad_certificate", func(*auction.Terms) {}, newHouse(t, houseOptions{}).ca, 0},
		"hoarded":              {"stamp_too_old", func(*auction.Terms) {}, h.ca, 5*time.Second + time.Microsecond},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog(h)
			terms := testTerms(h)
			c.change(&terms)
			l.change = func(_ *auction.Event, p *auction.Private) { p.Arrival = start.Add(c.late) }
			l.list(h.personOf(c.of, identity.RoleParticipant, start.Std().Add(-time.Hour), start.Std().Add(time.Hour)), terms)
			b := &Bundle{Kind: Audit, Roots: []auction.Blob{h.rootDER}, Policy: h.policyDoc, Certificates: l.chains, Entries: l.entries}
			b.Head = must(h.signer.SignHead(testHouse, auction.LogID(l.id), auction.Head{Size: 1, Root: l.leaves[0]}))(t)
			if _, err := Verify(encode(t, b), h.trust()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
