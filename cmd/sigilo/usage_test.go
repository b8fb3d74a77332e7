package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// sigilo runs the program with an empty profile directory.
func sigilo(t *testing.T, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	t.Setenv("SIGILO_PROFILE", filepath.Join(t.TempDir(), "profile"))
	var out, err bytes.Buffer
	exit = run(t.Context(), args, streams{strings.NewReader(""), &out, &err})
	return exit, out.String(), err.String()
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}} {
		exit, out, _ := sigilo(t, args...)
		if exit != exitDone || !strings.Contains(out, "Exit status: 0 it is done; 1 it was refused") {
			t.Errorf("%q: exit status %d\n%s", args, exit, out)
		}
	}
	if exit, out, _ := sigilo(t, "--version"); exit != exitDone || out == "" {
		t.Errorf("--version: exit status %d, %q", exit, out)
	}
	parser, err := kong.New(&root{}, kong.Vars{"profile": "", "version": ""})
	if err != nil {
		t.Fatal(err)
	}
	commands := parser.Model.Leaves(true) // without those that are hidden
	if len(commands) < 15 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, command := range commands {
		path := strings.Fields(command.Path())
		name := strings.Join(path, " ")
		exit, out, _ := sigilo(t, append(path, "--help")...)
		if exit != exitDone || !strings.Contains(out, "Example") || !strings.Contains(out, "    sigilo "+name) && !strings.Contains(out, ": sigilo "+name) {
			t.Errorf("%s --help: exit status %d, and it needs an example:\n%s", name, exit, out)
		}
	}
}

// What is typed wrong is told before the house is asked, or even known.
func TestUsage(t *testing.T) {
	list := func(flags ...string) []string {
		return append([]string{"list", "--title", "x"}, flags...)
	}
	tests := []struct {
		args []string
		want string // in the error
	}{
		{[]string{"nonsense"}, "sigilo --help shows how"},
		{[]string{"bid"}, `expected "<id> <amount>"`},
		{[]string{"bid", "3f2a91c0", "15", "more"}, "unexpected argument"},
		{[]string{"bid", "3f2a91c0", "-5"}, "unknown flag"},
		{[]string{"items", "--nonsense"}, "unknown flag"},
		{[]string{"items", "--timeout", "soon"}, "--timeout"},
		{[]string{"evidence", "3f2a91c0", "--kind", "secret", "-o", "file"}, `must be one of "public","party","audit"`},
		{[]string{"verify", "file", "--trust", "file", "--unanchored"}, "contradict each other"},
		{[]string{"enroll"}, "--house is needed"},
		{[]string{"enroll", "--invite", "x", "--username", "ada"}, "leave --username out"},
		{[]string{"enroll", "--attribute", "email=ada@example.org"}, "goes with --username"},
		{[]string{"item", "3f2"}, "its first 6 stand for it"},
		{[]string{"item", "3F2A91C0"}, "its first 6 stand for it"},
		{[]string{"item", "../../../etc"}, "its first 6 stand for it"},

		{list("--currency", "EUR", "--minimum", "12.505", "--closes", "2h"), "minimum: bad_amount: EUR has 2 decimal digits"},
		{list("--currency", "JPY", "--minimum", "1.5", "--closes", "2h"), "JPY has 0 decimal digits"},
		{list("--currency", "EUR", "--minimum", "0", "--closes", "2h"), "more than zero"},
		{list("--currency", "EUR", "--minimum", "1e3", "--closes", "2h"), "a decimal number such as 12.50"},
		{list("--currency", "EUR", "--minimum", "90071992547409.92", "--closes", "2h"), "below 2^53 minor units"},
		{list("--currency", "EUR", "--minimum", "1", "--increment=-1", "--closes", "2h"), "increment: bad_amount"},
		{list("--currency", "BTC", "--minimum", "1", "--closes", "2h"), "ISO 4217"},
		{list("--currency", "EUR", "--minimum", "1", "--closes", "tomorrow"), "closes is a time such as"},
		{list("--currency", "EUR", "--minimum", "1", "--closes", "2h", "--latest", "3h"), "give --soft too"},
		{list("--currency", "EUR", "--minimum", "1", "--closes", "2h", "--soft", "2m", "--latest", "later"), "latest is a time such as"},
		{list("--currency", "EUR", "--minimum", "1"), "missing flags: --closes"},
	}
	for _, tt := range tests {
		exit, out, err := sigilo(t, tt.args...)
		if exit != exitUsage || out != "" || !strings.HasPrefix(err, "sigilo: ") || !strings.Contains(err, tt.want) {
			t.Errorf("%q: exit status %d, printed %q, error %q, want %q", tt.args, exit, out, err, tt.want)
		}
	}
	right := list("--currency", "EUR", "--minimum", "90071992547409.91", "--closes", "2026-10-05T18:00:00Z")
	if exit, _, err := sigilo(t, right...); exit != exitLocal || !strings.Contains(err, "holds no profile") {
		t.Errorf("%q: exit status %d, error %q", right, exit, err)
	}
}

// Without a profile every command says how to make one, and makes nothing.
func TestWithoutProfile(t *testing.T) {
	for _, args := range [][]string{
		{"items"},
		{"my-items"},
		{"my-bids"},
		{"item", "3f2a91c0"},
		{"bid", "3f2a91c0-0000-4000-8000-000000000000", "15"},
		{"watch"},
		{"watch", "3f2a91c0"},
		{"inbox"},
		{"disclose", "3f2a91c0"},
		{"evidence", "3f2a91c0", "-o", "file"},
		{"doctor"},
		{"logout"},
		{"logout", "--forget"},
		{"shell"},
	} {
		exit, out, err := sigilo(t, args...)
		if exit != exitLocal || out != "" || !strings.Contains(err, "holds no profile: make one with sigilo enroll --house FILE") {
			t.Errorf("%q: exit status %d, printed %q, error %q", args, exit, out, err)
		}
		if _, err := os.Stat(os.Getenv("SIGILO_PROFILE")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: something was made: %v", args, err)
		}
	}
}

// A program reads why.
func TestUsageForPrograms(t *testing.T) {
	exit, out, err := sigilo(t, "--json", "nonsense")
	if exit != exitUsage || out != "" || !strings.HasPrefix(err, `{"code":"usage","detail":"`) || !strings.HasSuffix(err, `","exit":2}`+"\n") {
		t.Errorf("exit status %d, printed %q, error %q", exit, out, err)
	}
}
