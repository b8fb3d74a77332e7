package wire_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// What parses is written back as something that parses to the same, no longer
// than it was but for the numbers that it left out; what does not is refused
// with a code that is not our defect.

const leftOut = 256 // bytes of numbers that a message may leave out

func FuzzParseCommand(f *testing.F) {
	for _, c := range commands() {
		f.Add(sign(f, c))
	}
	addRefused(f, "command")
	f.Fuzz(func(t *testing.T, jws []byte) {
		s, err := wire.ParseCommand(jws)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		again, err := wire.Sign(signer, s.Thumbprint, s.Command, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > len(jws) {
			t.Errorf("%d bytes from %d", len(again), len(jws))
		}
		second, err := wire.ParseCommand(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.Command, second.Command); diff != "" || s.Thumbprint != second.Thumbprint {
			t.Error(diff)
		}
	})
}

// FuzzParsePayload reaches deeper than FuzzParseCommand, which has to guess
// base64url.
func FuzzParsePayload(f *testing.F) {
	f.Add(goodPayload())
	f.Add(listPayload(string(terms())))
	f.Fuzz(func(t *testing.T, payload string) {
		s, err := wire.ParseCommand([]byte(jwsOf(goodHeader(), payload)))
		checkDecoded(t, payload, s, err)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		again, err := wire.Sign(signer, s.Thumbprint, s.Command, nil)
		if err != nil {
			t.Fatal(err)
		}
		second, err := wire.ParseCommand(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s.Command, second.Command); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzParseClient(f *testing.F) {
	for _, s := range requests() {
		f.Add(wire.EncodeClient(s.m))
	}
	addRefused(f, "client")
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := wire.ParseClient(data)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		again := wire.EncodeClient(m)
		if len(again) > len(data)+leftOut {
			t.Errorf("%d bytes from %d", len(again), len(data))
		}
		second, err := wire.ParseClient(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, second); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzParseServer(f *testing.F) {
	for _, s := range answers() {
		f.Add(bytes.TrimSuffix(wire.AppendMessage(nil, s.m), []byte("\n")))
	}
	addRefused(f, "server")
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := wire.ParseServer(data)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		again, err := wire.SplitFrame(wire.AppendMessage(nil, m))
		if err != nil || len(again) != 1 {
			t.Fatalf("%d messages in a frame of one: %v", len(again), err)
		}
		second, err := wire.ParseServer(again[0])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, second); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzSplitFrame(f *testing.F) {
	f.Add([]byte("{}\n"))
	f.Add([]byte("a\nb\nc\n"))
	addRefused(f, "frame")
	f.Fuzz(func(t *testing.T, frame []byte) {
		messages, err := wire.SplitFrame(frame)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		var joined []byte
		for _, m := range messages {
			joined = append(append(joined, m...), '\n')
		}
		if !bytes.Equal(joined, frame) {
			t.Error("the messages are not the frame")
		}
	})
}

func FuzzParseReady(f *testing.F) {
	f.Add(ready().Encode())
	addRefused(f, "ready")
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := wire.ParseReady(data)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		second, err := wire.ParseReady(r.Encode())
		if err != nil || second != r {
			t.Errorf("%v: %+v, want %+v", err, second, r)
		}
	})
}

// everything has a member of each type that Unmarshal knows.
type everything struct {
	Pseudonym *auction.Pseudonym `json:"pseudonym,omitzero"`
	ID        *auction.ID        `json:"id,omitzero"`
	Log       *auction.LogID     `json:"log,omitzero"`
	Code      *auction.Code      `json:"code,omitzero"`
	Currency  *auction.Currency  `json:"currency,omitzero"`
	Amount    *auction.Amount    `json:"amount,omitzero"`
	Time      *auction.Time      `json:"time,omitzero"`
	Hash      *auction.Hash      `json:"hash,omitzero"`
	Blob      *auction.Blob      `json:"blob,omitzero"`
	Number    *uint64            `json:"number,omitzero"`
	Text      *string            `json:"text,omitzero"`
	Flag      bool               `json:"flag"`
	List      []everything       `json:"list,omitzero"`
}

// FuzzUnmarshal also has a judge: what is accepted, encoding/json reads alike.
func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"id":"` + string(lot) + `","amount":1500,"list":[{"flag":true,"text":"\u00e9null"}]}`))
	f.Add([]byte(`{"log":"house","code":"bid_too_low","currency":"EUR","time":1,"number":0,"blob":"QQ"}`))
	f.Add([]byte(`{"hash":"` + goodHash + `","pseudonym":"` + string(alice) + `"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second, judge everything
		if err := wire.Unmarshal(data, &first); err != nil {
			checkRefusal(t, err)
			return
		}
		again, err := wire.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		if err := wire.Unmarshal(again, &second); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Error(diff)
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(&judge); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, judge); diff != "" {
			t.Error(diff)
		}
	})
}

func addRefused(f *testing.F, what string) {
	for _, r := range refusals() {
		if r.What == what {
			f.Add([]byte(r.Input))
		}
	}
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	switch code := auction.CodeOf(err); code {
	case auction.CodeBadRequest, auction.CodeTooLarge, auction.CodeBadVersion,
		auction.CodeBadAmount, auction.CodeWrongCurrency, auction.CodeBadTerms:
	default:
		t.Errorf("refused with %s: %v", code, err)
	}
}
