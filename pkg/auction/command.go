package auction

import (
	"reflect"
	"strconv"
)

// Kind is the kind of a signed command.
type Kind string

// Kinds of commands. The first three bear time stamps.
const (
	KindList     Kind = "list"
	KindBid      Kind = "bid"
	KindWithdraw Kind = "withdraw"
	KindDisclose Kind = "disclose"
	KindAllItems Kind = "allitems"
	KindMyItems  Kind = "myitems"
	KindMyBids   Kind = "mybids"
	KindItem     Kind = "item"
	KindInbox    Kind = "inbox"
)

// Stamped reports whether commands of this kind bear time stamps.
func (k Kind) Stamped() bool {
	return k == KindList || k == KindBid || k == KindWithdraw
}

// Command is a participant's command as the rules see it, after its form and
// its signatures were checked.
type Command struct {
	Kind        Kind
	Auction     ID // of a list command: its own pseudonym
	Pseudonym   Pseudonym
	Participant Participant
	Digest      Hash     // SHA-256 of the JWS: tells the same bytes sent again from others
	Head        Head     // the latest that the signer knew: of the house log for list, else of the auction's
	TS          Time     // median of the stamps; 0 for a kind without
	Terms       []byte   // list: the exact bytes of the terms
	Listing     Terms    // list: what they say
	Reserve     *Opening // list: opens the reserve of the terms
	Amount      Amount
	Currency    Currency
	TermsHash   Hash

	// What stands behind it, kept for the evidence.
	JWS         []byte
	Tokens      [][]byte
	Certificate Hash   // thumbprint of the signer's certificate
	Chain       []Blob // the certificates, leaf first
	CRL         uint64
	Sealed      []byte // disclose: the sealed presentation, whose hash the command signs
}

// Check refuses, with CodeBadRequest or CodeTooLarge, a command with stamps that
// would become an entry which no replay reads. Every Store calls it, although
// package accept has checked all of it: such an entry would spoil its log for
// ever.
func (c Command) Check() error {
	if !c.Kind.Stamped() || !isUUIDv4(string(c.Auction)) || !isUUIDv4(string(c.Pseudonym)) ||
		!validTime(c.TS) || len(c.Tokens) > MaxAuthorities {
		return errUnjudgeable()
	}
	size := len(c.JWS)
	for _, t := range c.Tokens {
		size += len(t)
	}
	if size > MaxPrivate/2 {
		return Refuse(CodeTooLarge, "a command with its stamps has at most %d bytes", MaxPrivate/2)
	}
	ok := c.Kind == KindList || c.Reserve == nil
	switch c.Kind {
	case KindBid:
		ok = ok && c.Amount.Valid()
	case KindList:
		terms, err := ParseTerms(c.Terms)
		ok = err == nil && ID(c.Pseudonym) == c.Auction && reflect.DeepEqual(terms, c.Listing) && terms.Opens(c.Reserve)
	}
	if !ok {
		return errUnjudgeable()
	}
	return nil
}

func errUnjudgeable() error {
	return Refuse(CodeBadRequest, "not a stamped command that the rules can judge")
}

// Accepted is a command whose certificate, signature and stamps hold. Only
// package accept makes one, so what takes an Accepted cannot be handed
// unchecked input by mistake.
type Accepted struct{ c Command }

// NewAccepted vouches for c. Only package accept may call it; a test holds that.
func NewAccepted(c Command) Accepted { return Accepted{c} }

// Command returns the command. The caller must not change what it points to.
func (a Accepted) Command() Command { return a.c }

// Event returns the public event that the command becomes if it is committed.
// The sequence number is still open; recorded is decided by the rules.
func (c Command) Event() Event {
	e := Event{Auction: c.Auction, Pseudonym: c.Pseudonym, Time: int64(c.TS) / 1_000_000}
	switch c.Kind {
	case KindList:
		e.Kind, e.Terms = SomeoneListed, string(c.Terms)
	case KindBid:
		e.Kind, e.Amount = SomeoneBid, c.Amount
	case KindWithdraw:
		e.Kind, e.Outcome = AuctionClosed, Withdrawn
	}
	return e
}

// Extension is the public event of the extension that the command, a bid, causes:
// see [State.JudgeBid]. The sequence number is still open.
func (c Command) Extension(ends Time) Event {
	return Event{
		Kind: AuctionExtended, Auction: c.Auction, Time: int64(c.TS) / 1_000_000, Ends: ends, Cause: CauseBid,
	}
}

// BidTails returns, of a bid that passes Check, the tail of its event and that of
// its extension up to where it moves the end: see [Event.Tail]. They are written
// for every bid, so without the encoder.
func (c Command) BidTails() (bid, extension []byte) {
	seconds := int64(c.TS) / 1_000_000
	b := make([]byte, 0, 320)
	b = append(append(b, `,"kind":"`+string(SomeoneBid)+`","auction":"`...), c.Auction...)
	b = append(append(b, `","pseudonym":"`...), c.Pseudonym...)
	b = strconv.AppendInt(append(b, `","time":`...), seconds, 10)
	b = append(strconv.AppendInt(append(b, `,"amount":`...), int64(c.Amount), 10), '}')
	n := len(b)
	b = append(append(b, `,"kind":"`+string(AuctionExtended)+`","auction":"`...), c.Auction...)
	b = strconv.AppendInt(append(b, `","time":`...), seconds, 10)
	b = append(b, `,"ends":`...)
	return b[:n:n], b[n:]
}

// Private returns the private part that is committed to with the command.
func (c Command) Private(arrival Time) Private {
	return Private{
		JWS: c.JWS, Tokens: c.Tokens, Certificate: c.Certificate,
		Participant: c.Participant, CRL: c.CRL, Arrival: arrival, TS: c.TS,
		Reserve: c.Reserve,
	}
}
