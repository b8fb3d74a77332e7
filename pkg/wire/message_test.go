package wire_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

func TestRequestsSurviveTheWire(t *testing.T) {
	for _, s := range requests() {
		got, err := wire.ParseClient(wire.EncodeClient(s.m))
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if diff := cmp.Diff(s.m, got); diff != "" {
			t.Errorf("%s: %s", s.name, diff)
		}
		if got.RequestID() == 0 {
			t.Errorf("%s: no id", s.name)
		}
	}
}

// A frame gives back the messages that were put into it, in their order.
func TestAnswersSurviveTheWire(t *testing.T) {
	var frame []byte
	for _, s := range answers() {
		frame = wire.AppendMessage(frame, s.m)
	}
	messages, err := wire.SplitFrame(frame)
	if err != nil {
		t.Fatal(err)
	}
	if len(messages) != len(answers()) {
		t.Fatalf("%d messages of %d", len(messages), len(answers()))
	}
	for i, s := range answers() {
		got, err := wire.ParseServer(messages[i])
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if diff := cmp.Diff(s.m, got); diff != "" {
			t.Errorf("%s: %s", s.name, diff)
		}
		if got.AnswerID() != s.m.AnswerID() {
			t.Errorf("%s: id %d, want %d", s.name, got.AnswerID(), s.m.AnswerID())
		}
	}
}

func TestEventMessageIsTheMessage(t *testing.T) {
	for name, e := range map[string]auction.Entry{
		"bid":       {Event: bidEvent().Encode(), Commitment: hashOf("commitment")},
		"listed":    {Event: listedEvent().Encode(), Commitment: hashOf("commitment")},
		"any bytes": {Event: []byte("\x00\x1f\"\\\u2028\u00e9\xff<&>"), Commitment: hashOf("commitment")},
	} {
		want := wire.AppendMessage(nil, &wire.EventNotice{
			Log: auction.LogID(lot), Event: string(e.Event), Commitment: e.Commitment,
		})
		if got := wire.EventMessage(auction.LogID(lot), e); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

func TestEntrySurvivesTheWire(t *testing.T) {
	want := entry()
	got, err := wire.EntryOf(want).Entry()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := got.Open(); err != nil {
		t.Error(err)
	}
	if _, err := (wire.Entry{Event: "{}", Commitment: hashOf("x")}).Entry(); auction.CodeOf(err) != auction.CodeBadRequest {
		t.Errorf("an event that is none: %v", err)
	}
}

// A message can always be written: a text that is not UTF-8 is mended.
func TestBrokenTextIsMended(t *testing.T) {
	data := wire.AppendMessage(nil, &wire.RefusedAnswer{ID: 1, Code: auction.CodeInternal, Detail: "a\xffb"})
	m, err := wire.ParseServer(bytes.TrimSuffix(data, []byte("\n")))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.(*wire.RefusedAnswer).Detail; got != "a\ufffdb" {
		t.Errorf("%q", got)
	}
}

func TestRefusalKeepsWhatTheClientWasTold(t *testing.T) {
	want := &auction.Refusal{Code: auction.CodeBidTooLow, Detail: "bid more", Least: 1600}
	m := wire.RefusedAnswer{ID: 1, Code: want.Code, Detail: want.Detail, Least: want.Least}
	if diff := cmp.Diff(want, m.Refusal()); diff != "" {
		t.Error(diff)
	}
}

func TestReadySurvivesTheWire(t *testing.T) {
	got, err := wire.ParseReady(ready().Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ready(), got); diff != "" {
		t.Error(diff)
	}
}

// A null is refused as a value, and is a word like others in a text.
func TestNullIsNoValue(t *testing.T) {
	var v struct {
		Text string   `json:"text"`
		List []string `json:"list"`
	}
	for data, ok := range map[string]bool{
		`{"text":"null","list":["null"]}`: true,
		`{"text":null}`:                   false,
		`{"list":[null]}`:                 false,
		`null`:                            false,
		`{"text":"` + strings.Repeat("null", 10_000) + `"}`:         true,
		`{"text":"` + strings.Repeat("null", 10) + `","list":null}`: false,
	} {
		if err := wire.Unmarshal([]byte(data), &v); (err == nil) != ok {
			t.Errorf("%.40s: %v", data, err)
		}
	}
}

func TestEveryCodeHasACloseCode(t *testing.T) {
	for _, code := range auction.Codes() {
		if c := wire.CloseCodeOf(code); c < 4000 || c > 4999 {
			t.Errorf("%s closes with %d", code, c)
		}
	}
	if wire.CloseCodeOf(auction.CodeTokenExpired) != wire.CloseTokenEnded {
		t.Error("a token past its end does not say so")
	}
	for _, code := range []auction.Code{auction.CodeHistoryChanged, auction.CodeTooOld} {
		if wire.CloseCodeOf(code) != wire.CloseUnavailable {
			t.Errorf("who followed a log that does not go on is not asked to come back: %s", code)
		}
	}
}
