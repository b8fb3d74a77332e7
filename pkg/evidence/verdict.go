package evidence

import (
	"fmt"
	"strings"

	"github.com/sigilo/sigilo/pkg/auction"
)

// A Verdict says what evidence that holds is evidence of.
type Verdict struct {
	Kind      Kind
	House     string
	Anchored  bool           // it rests on what the verifier trusts
	Roots     []auction.Hash // SHA-256 of the root certificates that it rests on
	LogKey    string
	Simulated bool // the time stamps are of simulated time

	Auction  auction.ID
	Title    string
	Currency auction.Currency
	Head     auction.Head // of the whole log, signed by the house
	Bids     int          // accepted before the end
	Recorded int          // arrived after it, judged at the close
	Shown    int          // entries whose private part was checked
	Receipts int
	Orders   int // entries that the operator of the house caused
	Outages  int // of the house, as it says, which moved the end
	Lost     int // entries of which the house says itself that it has lost them

	Suspended bool // it takes nothing until the operator decides

	// Contradictions are stamps in the log that contradict others, at most 16, and
	// one of each entry and authority. They do not change what the log proves, as
	// it is judged by the median of its stamps.
	Contradictions []*Contradiction

	Outcome string // auction.Sold, Unsold, Withdrawn or Cancelled; "" while open
	Winner  auction.Pseudonym
	Amount  auction.Amount
	Reserve auction.Amount // shown by the close; 0 without one
}

func (r *replay) verdict(trust *Trust) Verdict {
	s := r.state
	v := Verdict{
		Kind: r.bundle.Kind, House: r.policy.House, Anchored: trust != nil, Roots: r.policy.Roots,
		LogKey: r.policy.LogKey, Simulated: r.policy.Simulated,
		Auction: s.ID, Title: s.Terms.Title, Currency: s.Terms.Currency, Head: s.Head(),
		Lost: len(s.Lost), Suspended: s.Suspended(),
		Bids: len(s.Bids), Recorded: len(s.Recorded), Shown: r.shown, Orders: r.orders, Outages: r.outages,
		Receipts:       len(r.bundle.Receipts),
		Contradictions: r.found,
	}
	if s.Closed != nil {
		v.Outcome, v.Winner, v.Amount = s.Closed.Outcome, s.Closed.Winner, s.Closed.Amount
		if s.Closed.Reserve != nil {
			v.Reserve = s.Closed.Reserve.Amount
		}
	}
	return v
}

// String returns the verdict for a person: what the evidence rests on, what it
// says, what it proves, and what it does not.
func (v Verdict) String() string { return strings.Join(v.Lines(), "\n") + "\n" }

// Lines returns the lines of String. The first names what the evidence rests on,
// and simulated time.
func (v Verdict) Lines() []string {
	lines := []string{
		v.basis(),
		fmt.Sprintf("auction %s of house %s: %q", v.Auction, v.House, v.Title),
		fmt.Sprintf("%d entries, log root sha256 %s", v.Head.Size, v.Head.Root),
		v.outcome(),
	}
	for _, c := range v.Contradictions {
		lines = append(lines, fmt.Sprintf("TIME AUTHORITY %s CONTRADICTED ITSELF: its stamp of entry %d is later than one that was made after it", c.Authority, c.First.Seq))
	}
	lines = append(lines, "This proves:")
	for _, s := range v.Proves() {
		lines = append(lines, "  - "+s)
	}
	lines = append(lines, "It does not prove:")
	for _, s := range v.LeavesOpen() {
		lines = append(lines, "  - "+s)
	}
	return lines
}

func (v Verdict) basis() string {
	if v.Simulated {
		return basis(v.House, v.Anchored, v.Roots) + "; SIMULATED TIME"
	}
	return basis(v.House, v.Anchored, v.Roots)
}

// basis is the first line of every verdict.
func basis(house string, anchored bool, hashes []auction.Hash) string {
	var roots []string
	for _, root := range hashes {
		roots = append(roots, root.String())
	}
	on := "root sha256 " + strings.Join(roots, ", ")
	if anchored {
		return "anchored: house " + house + ", " + on
	}
	return "consistent, not anchored: " + on
}

func (v Verdict) outcome() string {
	bids := fmt.Sprintf("%d accepted, %d recorded after the end", v.Bids, v.Recorded)
	switch v.Outcome {
	case auction.Sold:
		return fmt.Sprintf("closed: sold to %s for %s %s (bids: %s)", v.Winner, v.Amount.Format(v.Currency), v.Currency, bids)
	case auction.Cancelled:
		return fmt.Sprintf("cancelled by the operator of the house (bids: %s)", bids)
	case auction.Withdrawn:
		return "withdrawn by the seller before the first bid"
	case auction.Unsold:
		if v.Reserve > 0 {
			return fmt.Sprintf("closed: not sold, the reserve was %s %s (bids: %s)", v.Reserve.Format(v.Currency), v.Currency, bids)
		}
		return fmt.Sprintf("closed: not sold (bids: %s)", bids)
	}
	if v.Suspended {
		return fmt.Sprintf("suspended since the house lost entries, until its operator decides (bids: %s)", bids)
	}
	return fmt.Sprintf("still open (bids: %s)", bids)
}

// Proves says in plain sentences what the evidence proves.
func (v Verdict) Proves() []string {
	out := []string{"The house signed exactly this log: nothing in it was changed, dropped or put in since."}
	if v.Outcome == auction.Sold || v.Outcome == auction.Unsold {
		out = append(out, "The close record bears time stamps from after the end and the grace, over the whole log before it.")
		switch {
		case v.Kind == Audit:
			out = append(out, "The outcome is the one that the rules give for this log.")
		case v.Recorded == 0:
			out = append(out, "The outcome follows from the accepted bids, whose amounts keep to the minimum and the increment.")
		default:
			out = append(out, "No bid in this log beats the outcome by an increment.")
		}
		if v.Reserve > 0 {
			out = append(out, "The reserve price is the one that the seller committed to in the terms.")
		}
	}
	switch v.Kind {
	case Audit:
		out = append(out,
			"Behind the listing and behind each bid stands a command that a certified participant signed and time authorities stamped.",
			"The rules accept each bid in the order of the log, ties included.")
	case Party:
		out = append(out, fmt.Sprintf("%d of the %d entries show their private part: each is a command that a certified participant signed and time authorities stamped.",
			v.Shown, v.Head.Size))
	}
	if v.Orders > 0 {
		out = append(out, fmt.Sprintf("The operator of the house extended, resumed or cancelled it by %d entries, which the house signed one by one.", v.Orders))
	}
	if v.Outages > 0 {
		out = append(out, fmt.Sprintf("The house says %d times that it was out of order near the end, and each time left as much time after it as its policy promises.", v.Outages))
	}
	if v.Lost > 0 {
		out = append(out, fmt.Sprintf("The house admits that it has lost entries for which it had given its word: it names %d.", v.Lost))
	}
	if v.Receipts > 0 {
		out = append(out, fmt.Sprintf("Receipts that hold: %d. Each entry is where the house promised it.", v.Receipts))
	}
	return out
}

// LeavesOpen says in plain sentences what the evidence does not prove.
func (v Verdict) LeavesOpen() []string {
	var out []string
	if !v.Anchored {
		out = append(out, "That the house is the one that you mean: compare the root with what the house publishes, or verify with what you trust.")
	}
	if v.Simulated {
		out = append(out, "When anything happened: the clock was simulated.")
	}
	switch v.Kind {
	case Public:
		out = append(out, "That a participant stands behind each bid: the signed commands are not in a public file.")
	case Party:
		out = append(out, "That a participant stands behind the entries whose private part is not in this file.")
	}
	if v.Kind != Audit {
		out = append(out, "The order of stamps within a second, and so who was first among equal bids.")
	}
	if v.Outages > 0 {
		out = append(out, "That the house was out of order when it says so, and that it says so each time: that is its own word, but for the bids that the log has. Whoever bid then, or could not, can tell.")
	}
	if v.Lost > 0 {
		out = append(out,
			"That what the house names as lost was ever there: that is its own word, unless somebody has the receipt.",
			"When the auction was suspended and resumed: the house states these times itself, and no time authority stamped them. Who followed it then can tell.")
		if v.Kind != Audit {
			out = append(out, "That all time of each suspension came back: up to a second may be missing, soon after a bid the freshness too.")
		}
	}
	return append(out,
		"That the house took every bid that was sent: who holds a receipt can show that an entry is missing, and nobody else.",
		"That the house showed everybody the same log: compare the log root with others.",
		"That no certificate was revoked when it was used: only the number of the revocation list is in the log.",
		"What the log of the house says, the listing's place in it included: that is another log.",
		"That a seller and a bidder with two certificates are two people.",
		"That seller and winner told each other the truth, or anything: that is between them.",
	)
}
