package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestExitOf(t *testing.T) {
	unknown := auction.Refuse(auction.CodeUnknownResult, "send the same again")
	tests := []struct {
		err  error
		want int
	}{
		{nil, exitDone},
		{auction.Refuse(auction.CodeBidTooLow, "bid more"), exitRefused},
		{fmt.Errorf("entry 3: %w", auction.Refuse(auction.CodeBadSignature, "")), exitRefused},
		{unknown, exitUnavailable},
		{errors.Join(context.DeadlineExceeded, unknown), exitUnavailable},
		{&failure{exitUnavailable, unconfirmed{auction.KindBid, context.Canceled}}, exitUnavailable},
		{context.Canceled, exitUnavailable},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, exitUnavailable},
		{usage("amount: %w", auction.Refuse(auction.CodeBadAmount, "")), exitUsage},
		{local("open: %w", fs.ErrNotExist), exitLocal},
		{fs.ErrPermission, exitLocal},
	}
	for _, tt := range tests {
		if got := exitOf(tt.err); got != tt.want {
			t.Errorf("%v: exit status %d, want %d", tt.err, got, tt.want)
		}
	}
}

// Every code that the house can refuse with is either a no or a not now.
func TestExitOfCode(t *testing.T) {
	notNow := []auction.Code{
		auction.CodeUnavailable, auction.CodeUnknownResult, auction.CodeRateLimited, auction.CodeOverloaded, auction.CodeInternal,
	}
	for _, code := range auction.Codes() {
		want := exitRefused
		if slices.Contains(notNow, code) {
			want = exitUnavailable
		}
		if got := exitOf(auction.Refuse(code, "")); got != want {
			t.Errorf("%s: exit status %d, want %d", code, got, want)
		}
	}
}

// What is not confirmed is told together with the way to find out.
func TestUnconfirmedSaysHowToFindOut(t *testing.T) {
	for kind, see := range map[auction.Kind]string{
		auction.KindBid: "sigilo my-bids", auction.KindList: "sigilo my-items", auction.KindWithdraw: "sigilo my-items",
	} {
		cause := errors.Join(context.DeadlineExceeded, errors.New("dial"))
		text := explain(&failure{exitUnavailable, unconfirmed{kind, cause}})
		if !strings.Contains(text, "not confirmed") || !strings.Contains(text, see) || strings.Contains(text, "dial") {
			t.Errorf("%s: %s", kind, text)
		}
	}
}

func TestSplitWords(t *testing.T) {
	tests := []struct {
		line string
		want []string
	}{
		{"", nil},
		{"  \t ", nil},
		{"/bid 3f2a 15.00", []string{"/bid", "3f2a", "15.00"}},
		{`/list --title "A clock" --minimum 10`, []string{"/list", "--title", "A clock", "--minimum", "10"}},
		{`--title='it "ticks"'`, []string{`--title=it "ticks"`}},
		{`a\ b "c\"d" '\'`, []string{"a b", `c"d`, `\`}},
		{`"" ''`, []string{"", ""}},
	}
	for _, tt := range tests {
		got, err := splitWords(tt.line)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, %v, want %q", tt.line, got, err, tt.want)
		}
	}
	for _, line := range []string{`"open`, `'`, `a "b`, `end\`} {
		if got, err := splitWords(line); exitOf(err) != exitUsage {
			t.Errorf("%q: %q, %v, want a refusal", line, got, err)
		}
	}
}

// Words that are quoted come back as they are.
func FuzzSplitWords(f *testing.F) {
	f.Add("A clock", "15.00")
	f.Add(`"\'`, "")
	f.Fuzz(func(t *testing.T, first, second string) {
		quote := func(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
		want := []string{strings.ToValidUTF8(first, "\uFFFD"), strings.ToValidUTF8(second, "\uFFFD")}
		got, err := splitWords(quote(want[0]) + " \t" + quote(want[1]))
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
		_, _ = splitWords(first) // whatever it is, it ends
	})
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 400 * time.Millisecond: "0s", 59 * time.Second: "59s", time.Minute: "1m 0s",
		time.Hour - time.Second: "59m 59s", 26*time.Hour + 59*time.Minute: "1d 2h", 90 * 24 * time.Hour: "90d 0h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// What a house sends cannot steer the terminal.
func TestPlain(t *testing.T) {
	const got = "a\x1b[2Jb\rc\u202Ed\ne"
	if plain(got) != "a\uFFFD[2Jb\uFFFDc\uFFFDd\ne" {
		t.Errorf("%q", plain(got))
	}
}
