package allinone

import (
	"fmt"
	"io"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
)

// teller writes the demo's story. A write that fails is the reader's business.
type teller struct{ out io.Writer }

func (t teller) act(title string)               { fmt.Fprintf(t.out, "\n%s\n", title) }
func (t teller) say(format string, args ...any) { fmt.Fprintf(t.out, "  "+format+"\n", args...) }
func (t teller) fact(label string, fact string) { fmt.Fprintf(t.out, "  %-9s %s\n", label, fact) }
func (t teller) quote(line string)              { fmt.Fprintf(t.out, "    | %s\n", line) }

func euros(a auction.Amount) string { return "EUR " + a.Format("EUR") }

func receiptLine(p client.Placed) string {
	return fmt.Sprintf("entry %d, leaf %.12s..., signed by the house", p.Receipt.Seq, p.Receipt.Leaf)
}

// eventLine is an event in a line for a person.
func eventLine(e auction.Event) string {
	at := auction.Time(e.Time * 1_000_000).Std().Format("15:04:05")
	who := fmt.Sprintf("%.8s", e.Pseudonym)
	switch e.Kind {
	case auction.SomeoneListed:
		return fmt.Sprintf("%d  %s  someone (%s) listed", e.Seq, at, who)
	case auction.SomeoneBid:
		return fmt.Sprintf("%d  %s  someone (%s) bid %s", e.Seq, at, who, euros(e.Amount))
	}
	return fmt.Sprintf("%d  %s  %s: %s to %.8s for %s", e.Seq, at, e.Kind, e.Outcome, e.Winner, euros(e.Amount))
}
