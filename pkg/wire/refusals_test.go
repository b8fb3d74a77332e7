package wire_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// refusal is an input that a parser refuses, with the code.
type refusal struct {
	Name  string       `json:"name"`
	What  string       `json:"what"` // command, client, server, frame or ready
	Input string       `json:"input"`
	Code  auction.Code `json:"code"`
}

func parse(what, input string) error {
	var err error
	switch what {
	case "command":
		_, err = wire.ParseCommand([]byte(input))
	case "client":
		_, err = wire.ParseClient([]byte(input))
	case "server":
		_, err = wire.ParseServer([]byte(input))
	case "frame":
		_, err = wire.SplitFrame([]byte(input))
	case "ready":
		_, err = wire.ParseReady([]byte(input))
	default:
		panic("no parser of " + what)
	}
	return err
}

func TestBadInputIsRefusedWithItsCode(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range refusals() {
		if seen[r.What+r.Name] {
			t.Errorf("%s %s: twice in the table", r.What, r.Name)
		}
		seen[r.What+r.Name] = true
		err := parse(r.What, r.Input)
		if auction.CodeOf(err) != r.Code {
			t.Errorf("%s %s: %v, want code %s", r.What, r.Name, err, r.Code)
		}
		if err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s %s: the refusal quotes the input: %v", r.What, r.Name, err)
		}
	}
}

// refusals is the table of bad input. What it changes are the good samples, so
// that each case has one thing wrong.
func refusals() []refusal {
	all := payloadRefusals()
	all = append(all, jwsRefusals()...)
	all = append(all, requestRefusals()...)
	all = append(all, answerRefusals()...)
	return append(all, frameRefusals()...)
}

const (
	goodHead   = `"head":{"size":12,"root":"6dd96f18eccf19a6d0db3f8bfcb1bd2b39d6c2a2b3b6b5d17e2d0ee5a5c8b2a7"}`
	goodHash   = `6dd96f18eccf19a6d0db3f8bfcb1bd2b39d6c2a2b3b6b5d17e2d0ee5a5c8b2a7`
	otherUUID  = `"11111111-2222-4333-8444-555555555555"`
	goodAmount = `"amount":1500`
)

// goodPayload returns a bid's payload.
func goodPayload() string {
	return `{"v":1,"aud":"demo","kind":"bid","auction":"` + string(lot) + `","pseudonym":"` + string(alice) + `",` +
		goodHead + `,"disclosure_key":"` + base64.RawURLEncoding.EncodeToString(point(disclosure)) +
		`","body":{"amount":1500,"currency":"EUR","terms":"` + goodHash + `"}}`
}

// jwsOf returns a JWS over a payload with a signature that nobody made.
func jwsOf(header, payload string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(header)) + "." + enc([]byte(payload)) + "." + enc(make([]byte, 64))
}

func goodHeader() string {
	return `{"alg":"ES256","typ":"sigilo-command+jwt","x5t#S256":"` +
		base64.RawURLEncoding.EncodeToString(thumbprint[:]) + `"}`
}

// swap replaces old, which must be there, once.
func swap(s, old, new string) string {
	if !strings.Contains(s, old) {
		panic("the sample has no " + old)
	}
	return strings.Replace(s, old, new, 1)
}

func payloadRefusals() []refusal {
	const bad, amount = auction.CodeBadRequest, auction.CodeBadAmount
	key := base64.RawURLEncoding.EncodeToString(point(disclosure))
	compressed := append([]byte{2}, point(disclosure)[1:33]...)
	var out []refusal
	for _, c := range []struct {
		name, old, new string
		code           auction.Code
	}{
		{"unknown member", `"v":1`, `"v":1,"SECRET":1`, bad},
		{"unknown member of the body", `"body":{`, `"body":{"SECRET":1,`, bad},
		{"doubled member", `"v":1`, `"v":1,"v":1`, bad},
		{"doubled member of the body", goodAmount, goodAmount + `,` + goodAmount, bad},
		{"name in another case", `"aud"`, `"Aud"`, bad},
		{"null member", `"auction":"` + string(lot) + `"`, `"auction":null`, bad},
		{"null head", goodHead, `"head":null`, bad},
		{"null in the head", `"size":12`, `"size":null`, bad},
		{"trailing brace", `"}}`, `"}}}`, bad},
		{"trailing object", `"}}`, `"}}{}`, bad},
		{"cut short", `"}}`, `"}`, bad},
		{"comment", `{"v":1`, `{/*SECRET*/"v":1`, bad},
		{"byte order mark", `{"v":1`, "\ufeff" + `{"v":1`, bad},
		{"lone surrogate", `"demo"`, `"\ud800"`, bad},
		{"an array", `{"v":1`, `[{"v":1`, bad},

		{"version 0", `"v":1`, `"v":0`, auction.CodeBadVersion},
		{"version 2", `"v":1`, `"v":2`, auction.CodeBadVersion},
		{"version 2 with members of its own", `"v":1`, `"v":2,"nonce":"SECRET"`, auction.CodeBadVersion},
		{"version as text", `"v":1`, `"v":"1"`, bad},
		{"version with a fraction", `"v":1`, `"v":1.0`, bad},
		{"no version", `"v":1,`, ``, auction.CodeBadVersion},

		{"no audience", `"aud":"demo",`, ``, bad},
		{"audience empty", `"aud":"demo"`, `"aud":""`, bad},
		{"audience in upper case", `"aud":"demo"`, `"aud":"SECRET"`, bad},
		{"no kind", `"kind":"bid",`, ``, bad},
		{"unknown kind", `"kind":"bid"`, `"kind":"SECRET"`, bad},
		{"kind in upper case", `"kind":"bid"`, `"kind":"Bid"`, bad},
		{"members of another kind", `"kind":"bid"`, `"kind":"disclose"`, bad},
		{"query with the members of a bid", `"kind":"bid"`, `"kind":"allitems"`, bad},

		{"no auction", `"auction":"` + string(lot) + `",`, ``, bad},
		{"auction empty", string(lot), ``, bad},
		{"auction in upper case", string(lot), strings.ToUpper(string(lot)), bad},
		{"no pseudonym", `"pseudonym":"` + string(alice) + `",`, ``, bad},
		{"pseudonym of version 7", string(alice), `0b9f3c52-8e1d-7f7a-a6b0-2d4c6e8f1a35`, bad},
		{"pseudonym in braces", string(alice), `{0b9f3c52-8e1d-4f7a-a6b0-2d4c6e8f1a35}`, bad},

		{"no head", goodHead + `,`, ``, bad},
		{"head without root", `,"root":"` + goodHash + `"`, ``, bad},
		{"head without size", `"size":12,`, ``, bad},
		{"head of negative size", `"size":12`, `"size":-12`, bad},
		{"head of size 2^53", `"size":12`, `"size":9007199254740992`, bad},
		{"root in upper case", goodHash, strings.ToUpper(goodHash), bad},
		{"root too short", goodHash, goodHash[2:], bad},

		{"no disclosure key", `"disclosure_key":"` + key + `",`, ``, bad},
		{"disclosure key empty", key, ``, bad},
		{"disclosure key compressed", key, base64.RawURLEncoding.EncodeToString(compressed), bad},
		{"disclosure key at infinity", key, `AA`, bad},
		{"disclosure key off the curve", key, key[:len(key)-5] + `AAAAA`, bad},
		{"disclosure key with padding", key, key + `=`, bad},
		{"disclosure key in standard base64", key, base64.StdEncoding.EncodeToString(point(disclosure)), bad},
		{"disclosure key with a line break", key, key[:8] + `\n` + key[8:], bad},

		{"no body", `,"body":{"amount":1500,"currency":"EUR","terms":"` + goodHash + `"}`, ``, bad},
		{"body empty", `{"amount":1500,"currency":"EUR","terms":"` + goodHash + `"}`, `{}`, bad},
		{"body a list", `{"amount":1500,"currency":"EUR","terms":"` + goodHash + `"}`, `[]`, bad},

		{"no amount", goodAmount + `,`, ``, bad},
		{"amount as text", goodAmount, `"amount":"1500"`, bad},
		{"amount true", goodAmount, `"amount":true`, bad},
		{"amount null", goodAmount, `"amount":null`, bad},
		{"amount with a leading zero", goodAmount, `"amount":01500`, amount},
		{"amount with a plus", goodAmount, `"amount":+1500`, bad},
		{"amount in hexadecimal", goodAmount, `"amount":0x10`, amount},
		{"amount NaN", goodAmount, `"amount":NaN`, bad},
		{"amount zero", goodAmount, `"amount":0`, amount},
		{"amount minus zero", goodAmount, `"amount":-0`, amount},
		{"amount negative", goodAmount, `"amount":-1500`, amount},
		{"amount with a fraction", goodAmount, `"amount":1500.5`, amount},
		{"amount with a zero fraction", goodAmount, `"amount":1500.0`, amount},
		{"amount with an exponent", goodAmount, `"amount":15e2`, amount},
		{"amount of 2^53", goodAmount, `"amount":9007199254740992`, amount},
		{"amount of 2^64", goodAmount, `"amount":18446744073709551616`, amount},
		{"amount of a thousand digits", goodAmount, `"amount":` + strings.Repeat("9", 1000), amount},

		{"no currency", `"currency":"EUR",`, ``, bad},
		{"currency unknown", `"EUR"`, `"XXX"`, auction.CodeWrongCurrency},
		{"currency in lower case", `"EUR"`, `"eur"`, auction.CodeWrongCurrency},
		{"currency empty", `"EUR"`, `""`, auction.CodeWrongCurrency},
		{"terms that are no hash", `"terms":"` + goodHash, `"terms":"SECRET`, bad},
		{"sealed in a bid", `"body":{`, `"body":{"sealed":"` + goodHash + `",`, bad},
		{"after in a bid", `"body":{`, `"body":{"after":` + otherUUID + `,`, bad},
	} {
		out = append(out, refusal{"bid: " + c.name, "command", jwsOf(goodHeader(), swap(goodPayload(), c.old, c.new)), c.code})
	}
	start := `{"v":1,"aud":"demo","kind":"`
	end := `"pseudonym":"` + string(alice) + `","body":`
	for _, c := range []struct {
		name, payload string
		code          auction.Code
	}{
		{"list: an auction beside its pseudonym", swap(goodPayload(), `"kind":"bid"`, `"kind":"list"`), bad},
		{"list: terms out of range", listPayload(`{}`), auction.CodeBadRequest},
		{"list: terms of version 2", listPayload(swap(string(terms()), `"v":1`, `"v":2`)), auction.CodeBadVersion},
		{"list: terms not canonical", listPayload(swap(string(terms()), `"v":1`, `"v": 1`)), bad},
		{"list: tie window too long", listPayload(swap(string(terms()), `"tie_window":1000000`, `"tie_window":11000000`)), auction.CodeBadTerms},
		{"list: minimum zero", listPayload(swap(string(terms()), `"minimum":1000`, `"minimum":0`)), amount},
		{"disclose: no hash", start + `disclose","auction":"` + string(lot) + `",` + end + `{}}`, bad},
		{"disclose: no auction", start + `disclose",` + end + `{"sealed":"` + goodHash + `"}}`, bad},
		{"allitems: an empty after", start + `allitems",` + end + `{"after":""}}`, bad},
		{"allitems: a house log after", start + `allitems",` + end + `{"after":"house"}}`, bad},
		{"allitems: an auction", start + `allitems","auction":"` + string(lot) + `",` + end + `{}}`, bad},
		{"item: no auction", start + `item",` + end + `{}}`, bad},
		{"item: an after", start + `item","auction":"` + string(lot) + `",` + end + `{"after":` + otherUUID + `}}`, bad},
		{"inbox: a head", start + `inbox",` + goodHead + `,` + end + `{}}`, bad},
		{"inbox: an after", start + `inbox",` + end + `{"after":` + otherUUID + `}}`, bad},
		{"payload empty", ``, bad},
		{"payload of no object", `"bid"`, bad},
		{"payload not UTF-8", swap(goodPayload(), `demo`, "\xff"), bad},
		{"payload nested deep", strings.Repeat(`{"body":`, 1000) + `1` + strings.Repeat(`}`, 1000), bad},
	} {
		out = append(out, refusal{c.name, "command", jwsOf(goodHeader(), c.payload), c.code})
	}
	return out
}

// listPayload returns the payload of a list command with the given terms.
func listPayload(terms string) string {
	text, err := wire.Marshal(terms)
	if err != nil {
		panic(err)
	}
	p := swap(goodPayload(), `"kind":"bid","auction":"`+string(lot)+`"`, `"kind":"list"`)
	return swap(p, `{"amount":1500,"currency":"EUR","terms":"`+goodHash+`"}`, `{"terms":`+string(text)+`}`)
}
