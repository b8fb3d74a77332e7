package wire_test

import (
	"encoding/base64"
	"strings"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

func jwsRefusals() []refusal {
	good := jwsOf(goodHeader(), goodPayload())
	parts := strings.Split(good, ".")
	header := func(h string) string { return jwsOf(h, goodPayload()) }
	join := func(p ...string) string { return strings.Join(p, ".") }
	var out []refusal
	for _, c := range []struct{ name, jws string }{
		{"empty", ""},
		{"no dots", "SECRET"},
		{"two parts", join(parts[0], parts[1])},
		{"four parts", good + "."},
		{"four parts, one in the middle", join(parts[0], parts[1], "AAAA", parts[2])},
		{"no header", join("", parts[1], parts[2])},
		{"no payload", join(parts[0], "", parts[2])},
		{"no signature", join(parts[0], parts[1], "")},
		{"JSON serialization", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`},
		{"space in front", " " + good},
		{"line break at the end", good + "\n"},
		{"line breaks instead of a character", join(parts[0], parts[1], parts[2][1:]+"\n")},
		{"header with padding", join(parts[0]+"=", parts[1], parts[2])},
		{"payload with padding", join(parts[0], parts[1]+"=", parts[2])},
		{"signature with stray bits", join(parts[0], parts[1], parts[2][:85]+"B")},
		{"signature too short", join(parts[0], parts[1], parts[2][:84])},
		{"signature too long", join(parts[0], parts[1], parts[2]+"AA")},
		{"signature in ASN.1", join(parts[0], parts[1], base64.RawURLEncoding.EncodeToString(make([]byte, 70)))},
		{"algorithm none", header(swap(goodHeader(), "ES256", "none"))},
		{"algorithm HS256", header(swap(goodHeader(), "ES256", "HS256"))},
		{"another type", header(swap(goodHeader(), "sigilo-command+jwt", "sigilo-session+jwt"))},
		{"header in another order", header(swap(goodHeader(), `"alg":"ES256","typ":"sigilo-command+jwt"`, `"typ":"sigilo-command+jwt","alg":"ES256"`))},
		{"header with a space", header(swap(goodHeader(), `"alg":`, `"alg": `))},
		{"header with a key", header(swap(goodHeader(), `"alg":"ES256"`, `"alg":"ES256","jwk":{}`))},
		{"header with crit", header(swap(goodHeader(), `"}`, `","crit":["exp"]}`))},
		{"thumbprint in hexadecimal", header(swap(goodHeader(), base64.RawURLEncoding.EncodeToString(thumbprint[:]), thumbprint.String()))},
		{"thumbprint with stray bits", header(goodHeader()[:len(goodHeader())-3] + `B"}`)},
	} {
		out = append(out, refusal{"jws: " + c.name, "command", c.jws, auction.CodeBadRequest})
	}
	return append(out, refusal{"jws: too large", "command", good + strings.Repeat("A", wire.MaxCommand), auction.CodeTooLarge})
}

func requestRefusals() []refusal {
	const bad = auction.CodeBadRequest
	good := make(map[string]string)
	for _, s := range requests() {
		good[s.name] = string(wire.EncodeClient(s.m))
	}
	stamp := `"` + base64.RawURLEncoding.EncodeToString([]byte("stamp one")) + `"`
	long := func(n int) string { return `"` + strings.Repeat("A", base64.RawURLEncoding.EncodedLen(n)) + `"` }
	var out []refusal
	for _, c := range []struct{ name, of, old, new string }{
		{"unknown type", "unfollow", `"unfollow"`, `"SECRET"`},
		{"type of the other side", "unfollow", `"unfollow"`, `"ok"`},
		{"no type", "unfollow", `"type":"unfollow",`, ``},
		{"type in second place", "unfollow", `"type":"unfollow","id":5`, `"id":5,"type":"unfollow"`},
		{"type twice", "unfollow", `"id":5`, `"id":5,"type":"unfollow"`},
		{"space before the type", "unfollow", `{"type"`, `{ "type"`},
		{"type alone", "unfollow", `,"id":5,"log":"house"`, ``},
		{"unknown member", "unfollow", `"id":5`, `"id":5,"SECRET":1`},
		{"doubled member", "unfollow", `"id":5`, `"id":5,"id":5`},
		{"trailing newline and more", "unfollow", `"}`, `"}` + "\n{}"},
		{"cut short", "unfollow", `"}`, `"`},

		{"no id", "unfollow", `"id":5,`, ``},
		{"id zero", "unfollow", `"id":5`, `"id":0`},
		{"id negative", "unfollow", `"id":5`, `"id":-5`},
		{"id of 2^32", "unfollow", `"id":5`, `"id":4294967296`},
		{"id as text", "unfollow", `"id":5`, `"id":"5"`},
		{"id with an exponent", "unfollow", `"id":5`, `"id":5e0`},
		{"id null", "unfollow", `"id":5`, `"id":null`},

		{"log unknown", "unfollow", `"house"`, `"SECRET"`},
		{"log empty", "unfollow", `"house"`, `""`},
		{"no log", "unfollow", `,"log":"house"`, ``},

		{"no jws", "command", `"jws":"a.b.c",`, ``},
		{"jws empty", "command", `"a.b.c"`, `""`},
		{"jws too long", "command", `"a.b.c"`, `"` + strings.Repeat("A", wire.MaxCommand+1) + `"`},
		{"no stamps", "command-query", `,"stamps":[]`, ``},
		{"stamps null", "command-query", `[]`, `null`},
		{"stamp null", "command", stamp, `null`},
		{"stamp empty", "command", stamp, `""`},
		{"stamp with padding", "command", stamp, `"QQ=="`},
		{"stamp with stray bits", "command", stamp, `"QR"`},
		{"stamp too large", "command", stamp, long(wire.MaxStamp + 1)},
		{"too many stamps", "command", stamp, strings.Repeat(stamp+`,`, auction.MaxAuthorities) + stamp},
		{"sealed empty", "command-disclose", `"c2VhbGVk"`, `""`},
		{"sealed too large", "command-disclose", `"c2VhbGVk"`, long(wire.MaxSealed + 1)},

		{"no leaf", "follow", `,"leaf":"` + hashOf("leaf").String() + `"`, ``},
		{"leaf at the start", "follow", `"seq":7`, `"seq":0`},
		{"leaf null", "follow", `"` + hashOf("leaf").String() + `"`, `null`},
		{"seq negative", "follow", `"seq":7`, `"seq":-7`},
		{"seq with a fraction", "follow", `"seq":7`, `"seq":7.0`},
		{"seq of 2^53", "follow", `"seq":7`, `"seq":9007199254740992`},

		{"from zero", "entries", `"from":1`, `"from":0`},
		{"no from", "entries", `"from":1,`, ``},
		{"view unknown", "entries", `"own"`, `"SECRET"`},
		{"no view", "entries", `,"view":"own"`, ``},

		{"auction unknown", "acknowledge", string(lot), `SECRET`},
		{"message unknown", "acknowledge", `"closed"`, `"SECRET"`},
		{"no message", "acknowledge", `,"message":"closed"`, ``},
	} {
		out = append(out, refusal{c.of + ": " + c.name, "client", swap(good[c.of], c.old, c.new), bad})
	}
	return append(out,
		refusal{"empty", "client", "", bad},
		refusal{"null", "client", "null", bad},
		refusal{"not UTF-8", "client", `{"type":"command","id":1,"jws":"` + "\xff" + `","stamps":[]}`, bad},
		refusal{"type that does not end", "client", `{"type":"command`, bad},
		refusal{"too large", "client", strings.Repeat(" ", wire.MaxClientMessage+1), auction.CodeTooLarge},
	)
}

func answerRefusals() []refusal {
	const bad = auction.CodeBadRequest
	good := make(map[string]string)
	for _, s := range answers() {
		good[s.name] = strings.TrimSuffix(string(wire.AppendMessage(nil, s.m)), "\n")
	}
	salt := `"salt":"` + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("s", 32))) + `"`
	var out []refusal
	for _, c := range []struct {
		name, of, old, new string
		code               auction.Code
	}{
		{"unknown type", "ok", `"ok"`, `"SECRET"`, bad},
		{"type of the other side", "ok", `"ok"`, `"unfollow"`, bad},
		{"id zero", "ok", `"id":3`, `"id":0`, bad},
		{"salt too short", "receipt", salt, `"salt":"c3Nz"`, bad},
		{"no commitment", "receipt", `"commitment":"` + entry().Commitment.String() + `",`, ``, bad},
		{"arrival zero", "receipt", `"arrival":1780000000123456`, `"arrival":0`, bad},
		{"arrival of 2^53", "receipt", `"arrival":1780000000123456`, `"arrival":9007199254740992`, bad},
		{"index beyond the batch", "receipt", `"index":1`, `"index":2`, bad},
		{"no path", "receipt-alone", `"path":[],`, ``, bad},
		{"unknown member of the receipt", "receipt", `"seq":2`, `"seq":2,"SECRET":1`, bad},
		{"no code", "refused", `"code":"bid_too_low",`, ``, bad},
		{"code that is no name", "refused", `bid_too_low`, `Bid too low`, bad},
		{"least zero", "refused", `"least":1600`, `"least":0`, auction.CodeBadAmount},
		{"least with a fraction", "refused", `"least":1600`, `"least":16.5`, auction.CodeBadAmount},
		{"no items", "items-none", `,"items":[]`, ``, bad},
		{"status unknown", "items", `"status":"open"`, `"status":"SECRET"`, bad},
		{"leader without an amount", "items", `"highest":1500,`, ``, bad},
		{"least of a closed auction", "items", `"status":"open"`, `"status":"ended"`, bad},
		{"outcome of an open auction", "items", `"status":"closed"`, `"status":"open"`, bad},
		{"outcome unknown", "items", `"outcome":"sold"`, `"outcome":"SECRET"`, bad},
		{"winner of nothing", "items", `"outcome":"sold"`, `"outcome":"unsold"`, bad},
		{"bid of unknown status", "items", `"status":"leading"`, `"status":"SECRET"`, bad},
		{"tie window negative", "items", `"tie_window":1000000`, `"tie_window":-1`, bad},
		{"currency unknown", "items", `"EUR"`, `"XXX"`, auction.CodeWrongCurrency},
		{"no terms", "item", `"terms":`, `"SECRET":`, bad},
		{"no head", "following", `"head":`, `"SECRET":`, bad},
		{"salt without private part", "entries", salt + `,`, ``, bad},
		{"chain empty", "entries", `"certificates":[[`, `"certificates":[[],[`, bad},
		{"event empty", "event", `"event":"`, `"event":"","SECRET":"`, bad},
		{"no role", "inbox", `"role":"seller",`, ``, bad},
		{"role unknown", "inbox", `"role":"seller"`, `"role":"SECRET"`, bad},
		{"sold without counterpart", "inbox", `"outcome":"unsold"`, `"outcome":"sold"`, bad},
		{"unsold with counterpart", "inbox", `"outcome":"sold"`, `"outcome":"unsold"`, bad},
		{"disclosure with a role", "inbox", `"message":"disclosure"`, `"message":"disclosure","role":"seller"`, bad},
		{"disclosure without sealed", "inbox", `,"sealed":"c2VhbGVk"`, ``, bad},
		{"message of unknown kind", "inbox", `"message":"closed"`, `"message":"SECRET"`, bad},
		{"code of another kind", "snapshot", `"too_old"`, `"bid_too_low"`, bad},
		{"no item", "snapshot", `"item":`, `"SECRET":`, bad},
		{"reason unknown", "bye", `"drain"`, `"SECRET"`, bad},
		{"after negative", "bye", `5000`, `-1`, bad},
	} {
		out = append(out, refusal{c.of + ": " + c.name, "server", swap(good[c.of], c.old, c.new), c.code})
	}
	return append(out, refusal{"too large", "server", strings.Repeat(" ", wire.MaxServerFrame+1), auction.CodeTooLarge})
}

func frameRefusals() []refusal {
	const bad = auction.CodeBadRequest
	good := string(ready().Encode())
	return []refusal{
		{"empty", "frame", "", bad},
		{"no newline", "frame", "{}", bad},
		{"rest without newline", "frame", "{}\n{}", bad},
		{"empty message", "frame", "{}\n\n{}\n", bad},
		{"newline alone", "frame", "\n", bad},
		{"too many messages", "frame", strings.Repeat("{}\n", wire.MaxFrameMessages+1), auction.CodeTooLarge},
		{"too large", "frame", strings.Repeat(" ", wire.MaxServerFrame) + "\n", auction.CodeTooLarge},

		{"version 2", "ready", swap(good, `"v":1`, `"v":2`), auction.CodeBadVersion},
		{"version 2 with more", "ready", swap(good, `"v":1`, `"v":2,"SECRET":1`), auction.CodeBadVersion},
		{"no version", "ready", swap(good, `"v":1,`, ``), bad},
		{"unknown member", "ready", swap(good, `"v":1`, `"v":1,"SECRET":1`), bad},
		{"unknown limit", "ready", swap(good, `"frame":`, `"SECRET":1,"frame":`), bad},
		{"no time", "ready", swap(good, `"time":1780000000000000,`, ``), bad},
		{"no policy", "ready", swap(good, `"policy":"`+hashOf("policy").String()+`",`, ``), bad},
		{"house in upper case", "ready", swap(good, `"demo"`, `"SECRET"`), bad},
		{"no room", "ready", swap(good, `"frame":4096`, `"frame":0`), bad},
		{"frames swapped", "ready", swap(good, `"large_frame":16384`, `"large_frame":1024`), bad},
		{"too large", "ready", strings.Repeat(" ", wire.MaxReady+1), auction.CodeTooLarge},
	}
}

func ready() wire.Ready {
	return wire.Ready{
		V: 1, Time: 1_780_000_000_000_000, Policy: hashOf("policy"), House: "demo", Ends: 1_780_001_800_000_000,
		Limits: wire.ReadyLimits{Frame: 4096, LargeFrame: 16384, Follows: 64},
	}
}
