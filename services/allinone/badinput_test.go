package allinone_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A row is something that a house must refuse, with its code, and that changes
// nothing.
type row struct {
	name    string
	code    auction.Code
	prepare func(*world) // brings about the circumstances
	send    func(*world) reply

	// judged rows are refused by the rules of the auction, which the house
	// remembers of their pseudonym: then the logs are compared, and how the
	// auctions stand. For all others the whole of Redis stays as it is.
	judged bool
	status int // of HTTP, where it is not the code's
}

// TestBadInput sends each row over real sockets to one running house.
func TestBadInput(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	w := newWorld(t, ctx)
	rows := slices.Concat(transcriptRows(), credentialRows(), frameRows(), messageRows(), payloadRows(), listingRows(),
		signatureRows(), stampRows(), headRows(), ruleRows(), logRows(), queryRows(), signRows(), issueRows(), otherHTTPRows(), lateRows())
	for _, row := range rows {
		if !t.Run(row.name, func(t *testing.T) { w.refuses(t, row) }) && ctx.Err() != nil {
			return
		}
	}
	// The table proves something only if what it spoils was good.
	w.t = t
	w.accept(w.bruno, w.bid(w.bruno, w.open, 1700), w.now())
	reached(t, rows)
}

func (w *world) refuses(t *testing.T, row row) {
	w.t = t
	if row.prepare != nil {
		row.prepare(w)
	}
	before := w.whole(row)
	r := row.send(w)
	if r.code != row.code {
		t.Fatalf("got code %q (%T), want %q", r.code, r.m, row.code)
	}
	switch want := int(wire.CloseCodeOf(r.code)); {
	case r.end != 0 && r.end != want && r.code != auction.CodeTooLarge:
		t.Errorf("closed with %d, want %d", r.end, want)
	case r.http != 0 && row.status == 0 && r.http != ops.HTTPStatus(r.code):
		t.Errorf("status %d, want %d", r.http, ops.HTTPStatus(r.code))
	case row.status != 0 && r.http != row.status:
		t.Errorf("status %d, want %d", r.http, row.status)
	}
	if after := w.whole(row); after != before {
		t.Errorf("the state changed:\n%q\n%q", before, after)
	}
}

// whole is the state that a row must leave as it is.
func (w *world) whole(row row) string {
	if row.judged {
		return w.state()
	}
	dump, err := w.h.Dump()
	if err != nil {
		w.t.Fatal(err)
	}
	return heartbeats.ReplaceAllString(string(dump), "")
}

// heartbeats are the keys that change by themselves.
var heartbeats = regexp.MustCompile(`sigilo:\{[a-z]+\}:(beat|outages)\n([0-9 ]+\n)+`)

// elsewhere says which test reaches a code that no row of the table can.
var elsewhere = map[auction.Code][2]string{
	auction.CodeUnavailable:   {"services/dms/trust_test.go", "TestNoSessionWithoutTheCA"},
	auction.CodeOverloaded:    {"services/dms/gate_test.go", "TestCommandIsShedBeforeItsSignature"},
	auction.CodeUnknownResult: {"pkg/store/crash_test.go", "TestUnknownResult"},
	auction.CodeSuspended:     {"services/allinone/restore_test.go", "TestRestore"},
	auction.CodeInternal:      {"services/dms/page_test.go", "TestMessageLargerThanAFrame"},
	auction.CodeTooOld:        {"services/dms/follow_test.go", "TestArchivedIsShownLast"},
}

// reached fails for a code that nothing is known to be refused with.
func reached(t *testing.T, rows []row) {
	for _, code := range auction.Codes() {
		if slices.ContainsFunc(rows, func(r row) bool { return r.code == code }) {
			continue
		}
		test, ok := elsewhere[code]
		if !ok {
			t.Errorf("no row reaches %s", code)
			continue
		}
		source, err := os.ReadFile("../../" + test[0])
		if err != nil {
			t.Errorf("%s: %v", code, err)
		} else if !strings.Contains(string(source), "func "+test[1]+"(") {
			t.Errorf("%s is reached nowhere: %s has no %s", code, test[0], test[1])
		}
	}
}

// fresh opens another connection of somebody, to be spoilt.
func (w *world) fresh(p *person) *rawConn {
	w.t.Helper()
	c, r := w.connect(dialing{person: p})
	if r.code != "" {
		w.t.Fatalf("no session: %s", r.code)
	}
	return c
}

// replace changes one place of a text, which must be there once.
func (w *world) replace(text, old, with string) string {
	w.t.Helper()
	if n := strings.Count(text, old); n != 1 {
		w.t.Fatalf("%q is there %d times in %s", old, n, text)
	}
	return strings.Replace(text, old, with, 1)
}

// payloadRows are bids that are well but for one place.
func payloadRows() []row {
	bad := func(name string, code auction.Code, old, with string) row {
		return row{name: "bid/" + name, code: code, send: func(w *world) reply {
			return w.command(w.bruno, w.replace(w.bid(w.bruno, w.open, 1700), old, with), w.now())
		}}
	}
	amount := func(name, with string) row {
		return bad("amount "+name, auction.CodeBadAmount, `"amount":1700`, `"amount":`+with)
	}
	judged := func(r row) row { r.judged = true; return r }
	return []row{
		bad("version 2", auction.CodeBadVersion, `"v":1`, `"v":2`),
		bad("no version", auction.CodeBadVersion, `"v":1,`, ``),
		bad("unknown field", auction.CodeBadRequest, `"v":1`, `"v":1,"x":1`),
		bad("field of another kind", auction.CodeBadRequest, `"amount":1700`, `"amount":1700,"after":"00000000-0000-4000-8000-000000000000"`),
		bad("doubled key", auction.CodeBadRequest, `"v":1`, `"v":1,"v":1`),
		bad("other case of a key", auction.CodeBadRequest, `"amount"`, `"Amount"`),
		bad("null", auction.CodeBadRequest, `"amount":1700`, `"amount":null`),
		bad("bytes after the object", auction.CodeBadRequest, `"body":{`, `"body":{}}{"body":{`),
		bad("unknown kind", auction.CodeBadRequest, `"kind":"bid"`, `"kind":"buy"`),
		bad("another house", auction.CodeWrongAudience, `"aud":"demo"`, `"aud":"domo"`),
		bad("pseudonym that is no UUIDv4", auction.CodeBadRequest, `"pseudonym":"`, `"pseudonym":"x`),
		bad("disclosure key on another curve", auction.CodeBadRequest, `"disclosure_key":"`, `"disclosure_key":"BBBBBBBB`),
		amount("negative", "-1700"), amount("fractional", "1700.5"), amount("exponent", "17e2"),
		amount("zero", "0"), amount("too big", "9007199254740992"), amount("huge", "1"+strings.Repeat("0", 400)),
		bad("amount as text", auction.CodeBadRequest, `"amount":1700`, `"amount":"1700"`),
		bad("no currency", auction.CodeWrongCurrency, `"EUR"`, `"XXX"`),
		judged(bad("other currency", auction.CodeWrongCurrency, `"EUR"`, `"USD"`)),
		judged(row{name: "bid/other terms", code: auction.CodeWrongTerms, send: func(w *world) reply {
			hash := w.item(w.open).Item.TermsHash.String()
			return w.command(w.bruno, w.replace(w.bid(w.bruno, w.open, 1700), hash, strings.Repeat("ab", 32)), w.now())
		}}),
		{name: "bid/unknown auction", code: auction.CodeUnknownAuction, send: func(w *world) reply {
			payload := w.replace(w.bid(w.bruno, w.open, 1700), string(w.open), "00000000-0000-4000-8000-000000000000")
			return w.command(w.bruno, payload, w.now())
		}},
	}
}

// listingRows are listings that are well but for one place.
func listingRows() []row {
	bad := func(name string, code auction.Code, old, with string) row {
		return row{name: "list/" + name, code: code, send: func(w *world) reply {
			return w.command(w.sofia, w.replace(w.listing(w.terms(time.Hour)), old, with), w.now())
		}}
	}
	judged := func(name string, code auction.Code, change func(*auction.Terms)) row {
		return row{name: "list/" + name, code: code, judged: true, send: func(w *world) reply {
			terms := w.terms(time.Hour)
			change(&terms)
			return w.command(w.sofia, w.listing(terms), w.now())
		}}
	}
	return []row{
		bad("terms of version 2", auction.CodeBadVersion, `{\"v\":1`, `{\"v\":2`),
		bad("unknown field in the terms", auction.CodeBadRequest, `{\"v\":1`, `{\"v\":1,\"x\":1`),
		bad("terms that are not canonical", auction.CodeBadRequest, `{\"v\":1`, `{ \"v\":1`),
		bad("no title", auction.CodeBadTerms, `A clock`, ``),
		bad("title with a line end", auction.CodeBadTerms, `A clock`, `A\\nclock`),
		bad("title too long", auction.CodeBadTerms, `A clock`, strings.Repeat("x", auction.MaxTitle+1)),
		bad("minimum zero", auction.CodeBadAmount, `\"minimum\":1000`, `\"minimum\":0`),
		bad("increment negative", auction.CodeBadAmount, `\"increment\":100`, `\"increment\":-1`),
		bad("no currency", auction.CodeWrongCurrency, `EUR`, `EUX`),
		bad("tie window too long", auction.CodeBadTerms, `\"tie_window\":1000000`, `\"tie_window\":10000001`),
		bad("claim twice", auction.CodeBadTerms, `[\"username\"]`, `[\"username\",\"username\"]`),
		judged("closes too soon", auction.CodeBadTerms, func(t *auction.Terms) { t.Closes = t.Closes.Add(5*time.Second - time.Hour) }),
		judged("closes too late", auction.CodeBadTerms, func(t *auction.Terms) { t.Closes = t.Closes.Add(91 * 24 * time.Hour) }),
		judged("policy that is not in force", auction.CodeUnknownPolicy, func(t *auction.Terms) { t.Policy[0]++ }),
	}
}

// signatureRows are commands whose bytes or signature are wrong.
func signatureRows() []row {
	bad := func(name string, code auction.Code, send func(w *world, payload string) reply) row {
		return row{name: "signature/" + name, code: code, send: func(w *world) reply {
			return send(w, w.bid(w.bruno, w.open, 1700))
		}}
	}
	header := func(name, old, with string) row {
		return bad(name, auction.CodeBadRequest, func(w *world, payload string) reply {
			head := fmt.Sprintf(`{"alg":"ES256","typ":"sigilo-command+jwt","x5t#S256":"%s"}`, b64(w.bruno.cert.Thumbprint[:]))
			jws := signedAs(w.t, w.bruno.key, w.replace(head, old, with), payload)
			return w.sendCommand(w.bruno.conn, jws, w.stamps(jws, w.now()))
		})
	}
	return []row{
		header("algorithm none", "ES256", "none"),
		header("member in the header", `{"alg"`, `{"jwk":{},"alg"`),
		header("other type", "sigilo-command+jwt", "JWT"),
		bad("of another key", auction.CodeBadSignature, func(w *world, payload string) reply {
			jws := signed(w.t, w.olga.key, w.bruno.cert.Thumbprint, payload)
			return w.sendCommand(w.bruno.conn, jws, w.stamps(jws, w.now()))
		}),
		bad("over another payload", auction.CodeBadSignature, func(w *world, payload string) reply {
			jws := signed(w.t, w.bruno.key, w.bruno.cert.Thumbprint, payload)
			other := b64([]byte(w.replace(payload, `"amount":1700`, `"amount":1800`)))
			jws = w.replace(jws, b64([]byte(payload)), other)
			return w.sendCommand(w.bruno.conn, jws, w.stamps(jws, w.now()))
		}),
		bad("bytes after it", auction.CodeBadRequest, func(w *world, payload string) reply {
			jws := signed(w.t, w.bruno.key, w.bruno.cert.Thumbprint, payload) + "AA"
			return w.sendCommand(w.bruno.conn, jws, w.stamps(jws, w.now()))
		}),
		bad("another participant's command", auction.CodeNotYourCommand, func(w *world, payload string) reply {
			jws := signed(w.t, w.olga.key, w.olga.cert.Thumbprint, w.bid(w.olga, w.open, 1700))
			return w.sendCommand(w.bruno.conn, jws, w.stamps(jws, w.now()))
		}),
	}
}
