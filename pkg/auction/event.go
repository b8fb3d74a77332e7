package auction

import (
	"bytes"
	"strconv"
)

// EventKind is the kind of a public event.
type EventKind string

// Events of an auction's log, and of the house log where said.
const (
	SomeoneListed   EventKind = "someone_listed" // also in the house log
	SomeoneBid      EventKind = "someone_bid"
	AuctionExtended EventKind = "auction_extended"
	AuctionClosed   EventKind = "auction_closed"

	AuctionSuspended EventKind = "auction_suspended" // the house found that an entry is lost
	AuctionResumed   EventKind = "auction_resumed"   // by its operator

	PolicyAdopted  EventKind = "policy_adopted"  // house log: the policy document
	AuditApproved  EventKind = "audit_approved"  // house log: an operator lets an auditor see an auction
	AuditDisclosed EventKind = "audit_disclosed" // house log: private parts went to that auditor
)

// Causes of an extension.
const (
	CauseOperator = "operator" // of the house, signed
	CauseBid      = "bid"      // soft close: the bid before this entry, whose commitment it repeats
	CauseOutage   = "outage"   // of the house, which signs it and names the outage
)

// Outcomes of a closed auction.
const (
	Sold      = "sold"
	Unsold    = "unsold"    // no bid, or none that met the reserve
	Withdrawn = "withdrawn" // by the seller, before the first bid
	Cancelled = "cancelled" // by the operator of the house, signed
)

const signatureSize = 64 // of Ed25519, in bytes

// MaxEvent bounds an encoded event in bytes.
const MaxEvent = 48 << 10

// Event is what everybody may see of a log entry: the same canonical bytes for
// all, numbered without gaps from 1 in each log, anonymous, its time given to
// the second. Members that a kind does not have are left out.
type Event struct {
	Seq       uint64    `json:"seq"`
	Kind      EventKind `json:"kind"`
	Auction   ID        `json:"auction,omitempty"`
	Pseudonym Pseudonym `json:"pseudonym,omitempty"` // of the command
	Time      int64     `json:"time"`                // seconds since the Unix epoch, of the stamps' median
	Terms     string    `json:"terms,omitempty"`     // someone_listed: the terms, verbatim
	Amount    Amount    `json:"amount,omitempty"`    // someone_bid, auction_closed when sold
	Recorded  bool      `json:"recorded,omitempty"`  // someone_bid: arrived after the end, judged at the close
	Outcome   string    `json:"outcome,omitempty"`   // auction_closed
	Winner    Pseudonym `json:"winner,omitempty"`    // auction_closed when sold
	Head      *Head     `json:"head,omitempty"`      // auction_closed: the final head before this entry
	Stamps    []Blob    `json:"stamps,omitempty"`    // auction_closed: q stamps over that head
	Policy    string    `json:"policy,omitempty"`    // policy_adopted: the document, verbatim
	Auditor   *Hash     `json:"auditor,omitempty"`   // audit_*: thumbprint of the auditor's certificate
	Ends      Time      `json:"ends,omitempty"`      // auction_extended, auction_resumed before the end: the end from now on, in microseconds
	Cause     string    `json:"cause,omitempty"`     // auction_extended
	Reserve   *Opening  `json:"reserve,omitempty"`   // auction_closed when sold or unsold: opens the reserve of the terms
	Lost      *Lost     `json:"lost,omitempty"`      // auction_suspended: what the log lacks; auction_resumed: the latest of that
	Outage    *Outage   `json:"outage,omitempty"`    // auction_extended by an outage
	Signature Blob      `json:"signature,omitempty"` // of what no participant commands and no rule demands, by the log key: see [Event.Notice]
}

// Head names a prefix of a log: its size in entries and its Merkle root (RFC
// 6962). A command names the latest that its signer knew.
type Head struct {
	Size uint64 `json:"size"`
	Root Hash   `json:"root"`
}

// Encode returns the canonical bytes.
func (e Event) Encode() []byte { return marshalCanonical(e) }

// ParseEvent reads a canonical event and checks that it has the members of its
// kind and no others.
func ParseEvent(data []byte) (Event, error) {
	if len(data) > MaxEvent {
		return Event{}, Refuse(CodeTooLarge, "an event has at most %d bytes", MaxEvent)
	}
	var e Event
	if err := parseCanonical(data, &e); err != nil {
		return Event{}, err
	}
	if err := e.check(); err != nil {
		return Event{}, err
	}
	return e, nil
}

func (e Event) check() error {
	ok, want := e.form()
	if !ok || !bytes.Equal(marshalCanonical(want), marshalCanonical(e)) {
		return Refuse(CodeBadRequest, "an event with members missing, out of range, or of another kind")
	}
	return nil
}

// form reports whether the members that the kind of e has are in range, and
// returns e with these alone.
func (e Event) form() (ok bool, want Event) {
	want = Event{Seq: e.Seq, Kind: e.Kind, Time: e.Time}
	ok = e.Seq >= 1 && e.Time > 0 && e.Time < 1<<43
	if e.Kind != PolicyAdopted {
		want.Auction = e.Auction
		ok = ok && isUUIDv4(string(e.Auction))
	}
	switch e.Kind {
	case SomeoneListed:
		want.Pseudonym, want.Terms = e.Pseudonym, e.Terms
		ok = ok && e.Terms != "" && ID(e.Pseudonym) == e.Auction
	case SomeoneBid:
		want.Pseudonym, want.Amount, want.Recorded = e.Pseudonym, e.Amount, e.Recorded
		ok = ok && isUUIDv4(string(e.Pseudonym)) && e.Amount.Valid()
	case AuctionExtended:
		want.Ends, want.Cause = e.Ends, e.Cause
		ok = ok && validTime(e.Ends)
		switch e.Cause {
		case CauseBid:
		case CauseOperator:
			want.Signature = e.Signature
			ok = ok && len(e.Signature) == signatureSize
		case CauseOutage:
			want.Outage, want.Signature = e.Outage, e.Signature
			ok = ok && e.Outage != nil && e.Outage.valid() && len(e.Signature) == signatureSize
		default:
			ok = false
		}
	case AuctionClosed:
		want.Outcome = e.Outcome
		if e.Outcome == Withdrawn {
			want.Pseudonym = e.Pseudonym
			return ok && isUUIDv4(string(e.Pseudonym)), want
		}
		if e.Outcome == Cancelled {
			want.Signature = e.Signature
			return ok && len(e.Signature) == signatureSize, want
		}
		want.Head, want.Stamps, want.Reserve = e.Head, e.Stamps, e.Reserve
		ok = ok && e.Head != nil && len(e.Stamps) > 0 && len(e.Stamps) <= MaxAuthorities &&
			(e.Reserve == nil || e.Reserve.valid())
		if e.Outcome == Sold {
			want.Winner, want.Amount = e.Winner, e.Amount
			ok = ok && isUUIDv4(string(e.Winner)) && e.Amount.Valid()
		} else {
			ok = ok && e.Outcome == Unsold
		}
	case AuctionSuspended, AuctionResumed:
		want.Lost, want.Signature = e.Lost, e.Signature
		ok = ok && e.Lost != nil && e.Lost.valid() && len(e.Signature) == signatureSize
		if e.Kind == AuctionResumed {
			want.Ends = e.Ends
			ok = ok && (e.Ends == 0 || validTime(e.Ends))
		}
	case PolicyAdopted:
		want.Policy = e.Policy
		ok = ok && e.Policy != ""
	case AuditApproved, AuditDisclosed:
		want.Auditor = e.Auditor
		ok = ok && e.Auditor != nil
	default:
		ok = false
	}
	return ok, want
}

// Tail returns what follows the sequence number in the canonical bytes. The
// store's scripts, which give the number, put `{"seq":N` in front of it.
func (e Event) Tail() []byte {
	e.Seq = 0
	return bytes.TrimPrefix(marshalCanonical(e), []byte(`{"seq":0`))
}

// JoinEvent is the inverse of [Event.Tail] for the given sequence number.
func JoinEvent(seq uint64, tail []byte) []byte {
	b := strconv.AppendUint([]byte(`{"seq":`), seq, 10)
	return append(b, tail...)
}
