package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// print prints a line for a person, note one beside the result.
func (a *app) print(format string, args ...any) { a.line(a.out, format, args...) }
func (a *app) note(format string, args ...any)  { a.line(a.err, "sigilo: "+format, args...) }

func (a *app) line(w io.Writer, format string, args ...any) {
	a.printing.Lock()
	defer a.printing.Unlock()
	fmt.Fprintf(w, format+"\n", args...)
}

// printJSON prints a value on a line of its own.
func (a *app) printJSON(w io.Writer, v any) {
	data, err := wire.Marshal(v)
	if err != nil {
		panic("sigilo: internal error: encode the result: " + err.Error())
	}
	a.line(w, "%s", data)
}

// result prints JSON for a program, or what text prints for a person.
func (a *app) result(v any, text func()) {
	if a.JSON {
		a.printJSON(a.out, v)
		return
	}
	text()
}

// table prints rows, the first of which are the headings.
func (a *app) table(rows [][]string) {
	a.printing.Lock()
	defer a.printing.Unlock()
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
}

// plain makes text of the house's harmless on a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\n' {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

func money(a auction.Amount, c auction.Currency) string {
	return a.Format(c) + " " + string(c)
}

// short is enough of an id or a pseudonym to tell it from others, mostly.
func short[T ~string](id T) string { return string(id[:min(8, len(id))]) }

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// microseconds is a duration as terms have it.
func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// left says how long it is until an auction ends; now is 0 if it is not known.
func left(item wire.Item, now auction.Time) string {
	switch {
	case item.Status != wire.StatusOpen:
		return "-"
	case now == 0:
		return "until " + clock(item.Closes.Std())
	}
	return span(item.Closes.Sub(now))
}

// span prints a duration in its two largest units.
func span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	days, hours := d/(24*time.Hour), d/time.Hour%24
	minutes, seconds := d/time.Minute%60, d/time.Second%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd %dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh %dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm %ds", minutes, seconds)
	}
	return fmt.Sprintf("%ds", seconds)
}

// isTerminal reports whether a person reads or writes there.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
