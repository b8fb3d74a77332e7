package tsp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
)

func TestFailuresComeThrough(t *testing.T) {
	for _, known := range failures {
		_, err := ParseResponse(marshalFailure(fail(known.info, "of no concern")))
		var got *Failure
		if !errors.As(err, &got) || got.Info != known.info || got.Info.String() != known.name {
			t.Errorf("%s: got %v", known.name, err)
		}
		if bytes.Contains([]byte(err.Error()), []byte("concern")) {
			t.Errorf("%s: the other side's text is passed on", known.name)
		}
	}
	if got := FailureInfo(99).String(); got != "unknown" {
		t.Errorf("got %q", got)
	}
}

func TestParseResponseRefuses(t *testing.T) {
	token := "3000"
	if _, err := ParseResponse(fromHex(t, "30073003020100"+token)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, response string }{
		{"empty", ""},
		{"no sequence", "0400"},
		{"trailing byte", "30073003020100" + token + "00"},
		{"no status", "3000"},
		{"an empty status", "30023000"},
		{"granted without a token", "30053003020100"},
		{"granted with two tokens", "30093003020100" + token + token},
		{"granted with a token of another form", "300730030201000400"},
		{"granted with changes", "30073003020101" + token},
		{"granted with a failure", "300b3007020100" + "03020520" + token},
		{"refused with a token", "300b3007020102" + "03020520" + token},
		{"refused without a reason", "30053003020102"},
		{"refused for an unknown reason", "30093007020102" + "03020640"},
		{"a reason in another form", "30073005020102" + "0400"},
		{"length not minimal", "3081073003020100" + token},
		{"over the limit", "30822003" + hex.EncodeToString(make([]byte, MaxResponse))},
	} {
		_, err := ParseResponse(fromHex(t, c.response))
		var failure *Failure
		if err == nil || errors.As(err, &failure) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
