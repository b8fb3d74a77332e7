package allinone_test

import (
	"crypto/sha256"
	"time"

	"github.com/google/uuid"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// stampRows are good bids with stamps that do not hold, each of somebody else:
// whoever sends several such is cut off.
func stampRows() []row {
	type stamper func(w *world, digest auction.Hash, at auction.Time) []auction.Blob
	bad := func(name string, code auction.Code, stamps stamper) row {
		return row{name: "stamps/" + name, code: code, send: func(w *world) reply {
			liar := w.newPerson("liar with stamps "+name, identity.RoleParticipant)
			jws := signed(w.t, liar.key, liar.cert.Thumbprint, w.bid(liar, w.open, 1700))
			return w.sendCommand(liar.conn, jws, stamps(w, sha256.Sum256([]byte(jws)), w.now()))
		}}
	}
	by := func(order ...int) stamper {
		return func(w *world, digest auction.Hash, at auction.Time) []auction.Blob {
			var out []auction.Blob
			for _, i := range order {
				out = append(out, w.tsa[i-1].stamp(digest, at))
			}
			return out
		}
	}
	// spoilt takes good stamps and changes the last.
	spoilt := func(change func(w *world, stamp auction.Blob) auction.Blob) stamper {
		return func(w *world, digest auction.Hash, at auction.Time) []auction.Blob {
			out := by(1, 2, 3)(w, digest, at)
			out[2] = change(w, out[2])
			return out
		}
	}
	other := func(w *world, digest auction.Hash, at auction.Time, issuer *identity.Issuer, name string) []auction.Blob {
		key := newKey(w.t)
		chain := w.certify(issuer, key, identity.Profile{Role: identity.RoleTSA, Authority: name, Simulated: true})
		out := by(1, 2)(w, digest, at)
		return append(out, (&clockwork{w.t, key, chain}).stamp(digest, at))
	}
	return []row{
		bad("none", auction.CodeWrongStamps, by()),
		bad("too few", auction.CodeWrongStamps, by(1, 2)),
		bad("too many", auction.CodeWrongStamps, by(1, 2, 3, 4)),
		bad("twice the same", auction.CodeWrongStamps, by(1, 2, 2)),
		bad("out of order", auction.CodeWrongStamps, by(1, 3, 2)),
		bad("over other bytes", auction.CodeBadStamp, func(w *world, digest auction.Hash, at auction.Time) []auction.Blob {
			digest[0] ^= 1
			return by(1, 2, 3)(w, digest, at)
		}),
		bad("of an authority that the policy does not name", auction.CodeBadStamp,
			func(w *world, digest auction.Hash, at auction.Time) []auction.Blob {
				return other(w, digest, at, w.houseRoot(), "tsa9")
			}),
		bad("of another root", auction.CodeBadStamp, func(w *world, digest auction.Hash, at auction.Time) []auction.Blob {
			return other(w, digest, at, w.foreignRoot(), "tsa3")
		}),
		bad("bytes after one", auction.CodeBadStamp, spoilt(func(_ *world, s auction.Blob) auction.Blob { return append(s, 0) })),
		bad("one changed", auction.CodeBadStamp, spoilt(func(_ *world, s auction.Blob) auction.Blob { s[len(s)-1] ^= 1; return s })),
		bad("one that is none", auction.CodeBadStamp, spoilt(func(*world, auction.Blob) auction.Blob { return auction.Blob("none") })),
	}
}

// headRows are good bids that name a head which they may not, or are stamped
// when they may not be.
func headRows() []row {
	bid := func(name string, code auction.Code, head func(w *world) auction.Head, at func(w *world) auction.Time) row {
		return row{name: "time/" + name, code: code, judged: true, send: func(w *world) reply {
			item := w.item(w.open).Item
			payload := w.payload(w.bruno, wire.Command{
				Kind: auction.KindBid, Auction: w.open, Head: head(w), Amount: 1700, Currency: "EUR", TermsHash: item.TermsHash,
			})
			return w.command(w.bruno, payload, at(w))
		}}
	}
	latest := func(w *world) auction.Head { return w.item(w.open).Item.Head }
	// listing is the head of the log with nothing but the listing in it.
	listing := func(id func(*world) auction.ID) func(*world) auction.Head {
		return func(w *world) auction.Head { return w.headAt(id(w), 1) }
	}
	open := listing(func(w *world) auction.ID { return w.open })
	second := listing(func(w *world) auction.ID { return w.second })
	now := func(w *world) auction.Time { return w.now() }
	ago := func(d time.Duration) func(*world) auction.Time {
		return func(w *world) auction.Time { return w.now().Add(-d) }
	}
	listed := func(w *world) auction.Time { return w.listedAt(w.open) }
	return []row{
		bid("head of nothing", auction.CodeBadHead, func(*world) auction.Head { return auction.Head{} }, now),
		bid("head with another root", auction.CodeBadHead, func(w *world) auction.Head {
			h := latest(w)
			h.Root[0] ^= 1
			return h
		}, now),
		bid("head beyond the log", auction.CodeBadHead, func(w *world) auction.Head {
			h := latest(w)
			h.Size++
			return h
		}, now),
		bid("head of another log", auction.CodeBadHead, second, now),
		bid("stale head", auction.CodeStaleHead, open, now),
		bid("head younger than the stamp", auction.CodeHeadInFuture, latest, listed),
		bid("stamped with the listing", auction.CodeBeforeListing, open, listed),
		bid("stamped too long ago", auction.CodeStampTooOld, latest, ago(6*time.Second)),
		bid("stamped ahead", auction.CodeStampInFuture, latest, ago(-time.Minute)),
		{name: "time/listing with a head of another log", code: auction.CodeBadHead, judged: true, send: func(w *world) reply {
			doc, err := w.terms(time.Hour).Encode()
			if err != nil {
				w.t.Fatal(err)
			}
			return w.command(w.sofia, w.payload(w.sofia, wire.Command{Kind: auction.KindList, Head: latest(w), Terms: doc}), w.now())
		}},
	}
}

// chainOf replays the public log of an auction.
func (w *world) chainOf(id auction.ID) *auction.State {
	w.t.Helper()
	policy, err := auction.ParsePolicy(w.policy())
	if err != nil {
		w.t.Fatal(err)
	}
	state := new(auction.State)
	for _, e := range w.log(auction.LogID(id)).Entries {
		entry, err := e.Entry()
		if err != nil {
			w.t.Fatal(err)
		}
		if err := state.Apply(map[auction.Hash]auction.Policy{auction.PolicyHash(w.policy()): policy}, entry); err != nil {
			w.t.Fatal(err)
		}
	}
	return state
}

func (w *world) headAt(id auction.ID, size uint64) auction.Head { return w.chainOf(id).HeadAt(size) }

// listedAt returns the time of an auction's listing, which the public sees to
// the second alone: its seller may see all of it.
func (w *world) listedAt(id auction.ID) auction.Time {
	w.t.Helper()
	page, ok := w.entries(w.sofia.conn, auction.LogID(id), wire.ViewOwn).m.(*wire.EntriesAnswer)
	if !ok {
		w.t.Fatal("the seller does not see the own listing")
	}
	private, err := auction.ParsePrivate(page.Entries[0].Private)
	if err != nil {
		w.t.Fatal(err)
	}
	return private.TS
}

// ruleRows are good commands that the auction is against.
func ruleRows() []row {
	low := func(name string, amount, least auction.Amount, id func(*world) auction.ID) row {
		return row{name: "rules/" + name, code: auction.CodeBidTooLow, judged: true, send: func(w *world) reply {
			r := w.command(w.olga, w.bid(w.olga, id(w), amount), w.now())
			if r.least != least {
				w.t.Errorf("the least acceptable amount is %d, want %d", r.least, least)
			}
			return r
		}}
	}
	open := func(w *world) auction.ID { return w.open }
	pseudonym := auction.Pseudonym(uuid.NewString())
	return []row{
		low("under the minimum", 999, 1000, func(w *world) auction.ID { return w.second }),
		low("under the highest", 1400, 1600, open),
		low("as high, and later", 1500, 1600, open),
		low("under the increment", 1599, 1600, open),
		{name: "rules/own item", code: auction.CodeOwnAuction, judged: true, send: func(w *world) reply {
			return w.command(w.sofia, w.bid(w.sofia, w.open, 1700), w.now())
		}},
		{name: "rules/withdrawn by another", code: auction.CodeNotYourAuction, judged: true, send: func(w *world) reply {
			return w.command(w.bruno, w.withdrawal(w.bruno, w.second), w.now())
		}},
		{name: "rules/withdrawn after a bid", code: auction.CodeHasBids, judged: true, send: func(w *world) reply {
			return w.command(w.sofia, w.withdrawal(w.sofia, w.open), w.now())
		}},
		{name: "rules/closed", code: auction.CodeAuctionEnded, judged: true, send: func(w *world) reply {
			return w.command(w.olga, w.bid(w.olga, w.sold, 1700), w.now())
		}},
		{
			name: "rules/pseudonym of other bytes", code: auction.CodePseudonymUsed, judged: true,
			prepare: func(w *world) { w.accept(w.olga, w.bidAs(w.olga, pseudonym, 1000), w.now()) },
			send: func(w *world) reply {
				return w.command(w.olga, w.bidAs(w.olga, pseudonym, 1100), w.now())
			},
		},
		{name: "rules/pseudonym of somebody else", code: auction.CodePseudonymUsed, judged: true, send: func(w *world) reply {
			return w.command(w.bruno, w.bidAs(w.bruno, pseudonym, 1100), w.now())
		}},
		{name: "rules/pseudonym of a listing", code: auction.CodePseudonymUsed, judged: true, send: func(w *world) reply {
			doc, err := w.terms(time.Hour).Encode()
			if err != nil {
				w.t.Fatal(err)
			}
			return w.command(w.sofia, w.payload(w.sofia, wire.Command{
				Kind: auction.KindList, Pseudonym: auction.Pseudonym(w.open), Head: w.houseHead(), Terms: doc,
			}), w.now())
		}},
	}
}

func (w *world) withdrawal(who *person, id auction.ID) string {
	return w.payload(who, wire.Command{Kind: auction.KindWithdraw, Auction: id, Head: w.item(id).Item.Head})
}

// bidAs is a bid in the second auction under a given pseudonym.
func (w *world) bidAs(who *person, pseudonym auction.Pseudonym, amount auction.Amount) string {
	item := w.item(w.second).Item
	return w.payload(who, wire.Command{
		Kind: auction.KindBid, Auction: w.second, Pseudonym: pseudonym, Head: item.Head, Amount: amount,
		Currency: "EUR", TermsHash: item.TermsHash,
	})
}

// lateRows move the time, or take somebody away, and so come last.
func lateRows() []row {
	var ending auction.ID
	var bid func(w *world, amount auction.Amount) reply
	return []row{
		{
			name: "late/too many between end and close", code: auction.CodeTooManyRecorded, judged: true,
			prepare: func(w *world) {
				ending = w.list(time.Minute)
				item := w.item(ending).Item
				bid = func(w *world, amount auction.Amount) reply {
					return w.command(w.bruno, w.payload(w.bruno, wire.Command{
						Kind: auction.KindBid, Auction: ending, Head: item.Head, Amount: amount, Currency: "EUR", TermsHash: item.TermsHash,
					}), item.Closes-1)
				}
				if err := w.h.SetTime(w.ctx, item.Closes); err != nil {
					w.t.Fatal(err)
				}
				for i := range auction.Amount(3) {
					if r := bid(w, 1000+i); r.code != "" {
						w.t.Fatalf("a recorded bid is refused: %s", r.code)
					}
				}
			},
			send: func(w *world) reply { return bid(w, 5000) },
		},
		{name: "late/certificate revoked", code: auction.CodeCertificateRevoked, judged: true, send: revoked},
		{
			name: "late/token ended in a session", code: auction.CodeTokenExpired, judged: true,
			prepare: func(w *world) {
				w.sofia.conn = w.fresh(w.sofia)
			},
			send: tokenEnds,
		},
	}
}

// revoked has the CA revoke a key whose certificate and token are good. The DMS
// looks anew at whom it may trust when it meets a token of an unknown key.
func revoked(w *world) reply {
	w.t.Helper()
	rita := w.newPerson("rita", identity.RoleParticipant)
	w.postFor(w.h.Ready.CA+"/api/revoke", w.h.Ready.OperatorToken, map[string]string{
		"participant": rita.cert.Participant.String(), "reason": "key_compromise",
	}, nil)
	for w.ctx.Err() == nil {
		unknown := w.forgeToken("demo", newKey(w.t), w.now())
		w.connect(dialing{person: w.bruno, token: unknown})
		if _, r := w.connect(dialing{person: rita}); r.code != "" {
			return r
		}
	}
	return reply{}
}

// tokenEnds moves the time to where a session's token is no longer good.
func tokenEnds(w *world) reply {
	w.t.Helper()
	w.pass(identity.TokenLife + time.Second)
	for w.ctx.Err() == nil {
		r := w.query(w.sofia, wire.Command{Kind: auction.KindInbox})
		if r.code != "" && r.code != auction.CodeRateLimited {
			w.renewTokens()
			return r
		}
	}
	return reply{}
}

// renewTokens gives everybody a session again.
func (w *world) renewTokens() {
	w.t.Helper()
	for _, p := range []*person{w.sofia, w.bruno, w.olga, w.ada, w.emil} {
		p.token = w.tokenFor(p)
		p.conn = w.fresh(p)
	}
}
