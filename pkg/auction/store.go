package auction

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// ErrGrew is returned by [Store.Close] when the log has grown since the head
// that was stamped. The caller looks again and stamps the new head.
var ErrGrew = errors.New("the log has grown since its head was stamped")

// Clock gives the trusted time (design section 7). It returns a Refusal with
// CodeUnavailable when there is none.
type Clock func() (Time, error)

// A Store keeps the logs and makes decision and append one atomic step: the
// rules of this package decide, and what they accept is committed once, in one
// order, however many replicas share the state.
//
// All methods are safe for concurrent use. What they return is durable. A
// context that ends, or a connection that breaks, gives a Refusal with
// CodeUnknownResult if the command may have been committed, CodeUnavailable if
// it was not; either way sending the same again is right, and gives the first
// answer if there was one.
type Store interface {
	// Adopt appends the policy document to the house log unless it is the one
	// in force.
	Adopt(ctx context.Context, policy []byte) error

	// Place judges a list, bid or withdraw command and appends it. The same participant,
	// pseudonym and bytes sent again get the first answer, also after the
	// close; a known pseudonym with other bytes or of another participant is
	// refused with CodePseudonymUsed. A refusal by the rules is final for its
	// pseudonym and changes nothing else; after [MaxRefused] of a participant in
	// a log it is CodeRateLimited, and nothing is remembered; so is a listing after
	// [MaxListed] of a participant in a thousand seconds. Nor is anything remembered
	// where the auction is unknown (CodeUnknownAuction) or suspended (CodeSuspended).
	Place(ctx context.Context, cmd Accepted) (Answer, error)

	// Close appends the close record over the given head, judged by [State.Winner].
	// It returns nil if the auction is closed already, and [ErrGrew] if the log
	// is longer than head. It refuses an unknown auction with CodeUnknownAuction,
	// a head that is not the log's with CodeBadHead, a median that is not after
	// end and grace with CodeAuctionOpen, and an auction that is suspended with
	// CodeSuspended: Due may then leave that out for some seconds. That the stamps
	// hold is the caller's duty.
	Close(ctx context.Context, id ID, head Head, stamps []Blob, median Time) error

	// Disclose keeps a party's sealed presentation. It refuses with
	// CodeAuctionOpen before the close and with CodeNoDisclosure for a
	// participant who is neither seller nor winner or where nothing was sold. The
	// first of each side stays: the same bytes again are fine, others are
	// refused with CodePseudonymUsed.
	Disclose(ctx context.Context, cmd Accepted) error

	// Audit appends the approval (kind AuditApproved, by an operator) or the
	// disclosure (AuditDisclosed) of one audit to the house log, once each. A
	// disclosure without approval is refused with CodeNotAllowed, an approval
	// for an unknown auction with CodeUnknownAuction.
	Audit(ctx context.Context, kind EventKind, audit Audit) error
}

// A Reader gives the durable state. All methods are safe for concurrent use;
// what they return belongs to the caller, who may not change what it points to.
type Reader interface {
	// House and Auction return the state as of now or later. Auction refuses
	// an unknown id with CodeUnknownAuction. One that was archived is refused
	// with CodeTooOld by it and by all that follows: see [Archive].
	House(ctx context.Context) (*House, error)
	Auction(ctx context.Context, id ID) (*State, error)

	// PolicyOf returns what never changes about an auction and judges every
	// command of it: the policy that it was listed under, with its hash. It is
	// asked for with every command, so it costs less than the state. It refuses
	// an unknown id with CodeUnknownAuction.
	PolicyOf(ctx context.Context, id ID) (Hash, Policy, error)

	// Entries returns entries of a log in order from sequence number from (>= 1)
	// on, at most limit of them, none at the log's end. An unknown log is empty.
	Entries(ctx context.Context, log LogID, from uint64, limit int) ([]Entry, error)

	// Certificates returns the chains of those who signed commands in the
	// auction's log, by the thumbprint of their first certificate: the given
	// ones, as far as they are there, or all if none is given.
	Certificates(ctx context.Context, id ID, of ...Hash) (map[Hash][]Blob, error)

	// Mine returns the auctions in which p listed or bid, the one that p took part
	// in last for the first time first: perhaps some more, and of the latest
	// thousands never fewer. What was refused as a listing is not among them.
	Mine(ctx context.Context, p Participant) ([]ID, error)

	// Due returns auctions whose end is before the given time and which may be
	// open still.
	Due(ctx context.Context, before Time) ([]ID, error)
}

// A Feed wakes those who follow a log.
type Feed interface {
	// Watch calls wake, from a goroutine of its own, after something durable
	// was appended to the log or a private message of its auction changed, until
	// stop is called; stop returns after the last call. Wakes may be lost or
	// come too often: a watcher reads what is there, and looks once a second
	// anyway. wake must not block, nor call stop.
	Watch(log LogID, wake func()) (stop func())

	// WatchMail is Watch for private messages alone: it wakes after the auction
	// was closed and after a message of it changed, and not for bids, of which
	// there may be thousands for each message.
	WatchMail(id ID, wake func()) (stop func())
}

// A Mailbox keeps the private messages of closed auctions until their
// recipients acknowledge them.
type Mailbox interface {
	// Disclosures returns what seller and winner sealed for each other, nil
	// where nothing came yet.
	Disclosures(ctx context.Context, id ID) (seller, winner *Disclosure, err error)

	// Acknowledge notes that p has a message of the auction. Acknowledged
	// reports it.
	Acknowledge(ctx context.Context, id ID, p Participant, m MessageKind) error
	Acknowledged(ctx context.Context, id ID, p Participant) (map[MessageKind]bool, error)
}

// Proofs keeps what was proven against time authorities, for the operator. It is
// no part of any log. All methods are safe for concurrent use.
type Proofs interface {
	// KeepProof keeps a proof against an authority, once, and of each authority
	// about [MaxProofs]: what comes later is left out, as one is enough.
	KeepProof(ctx context.Context, authority string, proof []byte) error

	// Proofs returns all of them, in no order.
	Proofs(ctx context.Context) ([][]byte, error)
}

// MaxProofs is how many proofs against one authority are kept.
const MaxProofs = 8

// MessageKind is the kind of a private message.
type MessageKind string

// Private messages of a closed auction.
const (
	MessageClosed     MessageKind = "closed"     // the counterpart's command, with its proof
	MessageDisclosure MessageKind = "disclosure" // the counterpart's sealed presentation
)

// Disclosure is a sealed credential presentation with the command that signs
// its hash.
type Disclosure struct {
	JWS    []byte
	Sealed []byte
}

// Answer is what a committed command gets: the entry that it became, and the
// house's signature that it did.
type Answer struct {
	Entry   Entry
	Receipt Receipt
}

// Receipt is the house's promise that a leaf is in a log at a sequence number,
// given only once that is durable. Commands that were committed together are
// signed together: the signature is over the root of a Merkle tree of their
// receipts' leaves (RFC 6962), and each gets its audit path. Alone, the path is
// empty.
type Receipt struct {
	Auction   ID     `json:"auction"`
	Seq       uint64 `json:"seq"`
	Leaf      Hash   `json:"leaf"`
	Index     uint64 `json:"index"` // of this receipt in the batch, from 0
	Batch     uint64 `json:"batch"` // receipts in the batch
	Path      []Hash `json:"path"`
	Signature Blob   `json:"signature"`
}

// A Signer signs with the house's log key. It is safe for concurrent use.
type Signer interface {
	// SignReceipts signs receipts that are committed together: it fills in Index,
	// Batch, Path and Signature of each.
	SignReceipts([]Receipt) error

	// SignNotice signs an [Event.Notice].
	SignNotice(notice []byte) (Blob, error)
}

const closeLabel = "sigilo/close/v1\x00"

// CloseDigest is what the stamps of a close record are over: the final head of
// the auction's log.
func CloseDigest(id ID, head Head) Hash {
	b := append([]byte(closeLabel), id...)
	b = binary.BigEndian.AppendUint64(append(b, 0), head.Size)
	return sha256.Sum256(append(b, head.Root[:]...))
}
