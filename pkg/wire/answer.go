package wire

import (
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sigilo/sigilo/pkg/auction"
)

// A ServerMessage is what the DMS sends, one or more a frame: a pointer to one
// of the answer and notice types.
type ServerMessage interface {
	message
	// AnswerID returns the id of the request that this answers, 0 for a notice.
	AnswerID() uint32
}

// ReceiptAnswer says that a list or bid command is committed and durable. With
// the command's own bytes and stamps, what it holds opens the commitment: see
// [auction.Private]. A command sent again gets the first answer.
type ReceiptAnswer struct {
	ID         uint32          `json:"id"`
	Event      string          `json:"event"` // the entry's event, verbatim
	Commitment auction.Hash    `json:"commitment"`
	Salt       auction.Blob    `json:"salt"`
	Arrival    auction.Time    `json:"arrival"`
	CRL        uint64          `json:"crl"`
	Receipt    auction.Receipt `json:"receipt"`
}

// RefusedAnswer says that a request changed nothing, and why.
type RefusedAnswer struct {
	ID     uint32         `json:"id,omitzero"` // 0: to a frame whose message did not parse
	Code   auction.Code   `json:"code"`
	Detail string         `json:"detail"`         // for a person
	Least  auction.Amount `json:"least,omitzero"` // with bid_too_low
}

// Refusal returns what a refused request was told, as an error.
func (m *RefusedAnswer) Refusal() *auction.Refusal {
	return &auction.Refusal{Code: m.Code, Detail: m.Detail, Least: m.Least}
}

// OKAnswer says that it is done.
type OKAnswer struct {
	ID uint32 `json:"id"`
}

// ItemsAnswer is a page of auctions. More says that a page after the last of
// them exists.
type ItemsAnswer struct {
	ID    uint32 `json:"id"`
	Items []Item `json:"items"`
	More  bool   `json:"more,omitzero"`
}

// ItemAnswer is one auction with the terms, verbatim, and a signed head of its log.
type ItemAnswer struct {
	ID    uint32 `json:"id"`
	Item  Item   `json:"item"`
	Terms string `json:"terms"`
	Head  string `json:"head"` // a signed note
}

// FollowingAnswer says that a log's events are on their way, and how far the
// log has come.
type FollowingAnswer struct {
	ID   uint32        `json:"id"`
	Log  auction.LogID `json:"log"`
	Head string        `json:"head"` // a signed note
}

// EntriesAnswer is a page of a log. Certificates holds the chains, leaf first,
// of those who signed the commands in it whose private parts are there.
type EntriesAnswer struct {
	ID           uint32           `json:"id"`
	Log          auction.LogID    `json:"log"`
	Entries      []Entry          `json:"entries"`
	Certificates [][]auction.Blob `json:"certificates,omitzero"`
	More         bool             `json:"more,omitzero"`
	Head         string           `json:"head"` // a signed note
}

// InboxAnswer gives private messages that are not acknowledged: asked for, or
// unasked with id 0 when one has come. More says that others did not fit: the
// client acknowledges these and asks again.
type InboxAnswer struct {
	ID       uint32    `json:"id,omitzero"`
	Messages []Message `json:"messages"`
	More     bool      `json:"more,omitzero"`
}

// EventNotice is one public entry of a log that the client follows.
type EventNotice struct {
	Log        auction.LogID `json:"log"`
	Event      string        `json:"event"` // verbatim
	Commitment auction.Hash  `json:"commitment"`
}

// SnapshotNotice ends a following, or comes instead of one: the client's position
// is not in the log (history_changed), or the auction is archived (too_old), so
// that no events of it are kept.
type SnapshotNotice struct {
	Log    auction.LogID `json:"log"`
	Code   auction.Code  `json:"code"`
	Detail string        `json:"detail"`
	Item   *Item         `json:"item,omitzero"` // the auction as it is now, or ended; not for the house log
	Head   string        `json:"head"`          // a signed note
}

// Reason is why the DMS asks a client to go.
type Reason string

// Reasons of a bye.
const (
	ReasonDrain       Reason = "drain"       // the replica stops
	ReasonAge         Reason = "age"         // the connection is old
	ReasonToken       Reason = "token"       // the session token ends
	ReasonSlow        Reason = "slow"        // the client reads too slowly
	ReasonRebalancing Reason = "rebalancing" // other replicas have more room
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Reason) UnmarshalText(text []byte) error {
	return oneOf(r, text, ReasonDrain, ReasonAge, ReasonToken, ReasonSlow, ReasonRebalancing)
}

// ByeNotice announces the end of the connection. What is in flight is answered;
// the client opens its next connection first and leaves this one then.
type ByeNotice struct {
	Reason Reason `json:"reason"`
	After  uint64 `json:"after"` // milliseconds until the DMS closes
}

// EventMessage is what [AppendMessage] gives for the [EventNotice] of a public
// entry, at a fraction of the cost. It is made once for all who follow the log.
func EventMessage(log auction.LogID, e auction.Entry) []byte {
	dst := make([]byte, 0, len(e.Event)+len(e.Event)/4+192)
	dst = append(dst, `{"type":"event","log":"`...)
	dst = append(dst, log...)
	dst = append(dst, `","event":`...)
	dst, _ = jsontext.AppendQuote(dst, e.Event) // an error says what AllowInvalidUTF8 mends
	dst = append(dst, `,"commitment":"`...)
	dst = hex.AppendEncode(dst, e.Commitment[:])
	return append(dst, "\"}\n"...)
}

// appendReceipt is appendMessage for what answers every bid, without the encoder.
func appendReceipt(dst []byte, m *ReceiptAnswer) []byte {
	r := &m.Receipt
	dst = slices.Grow(dst, 640+len(m.Event)+len(m.Event)/4+67*len(r.Path)) // a hash has 64 digits
	dst = strconv.AppendUint(append(dst, `{"type":"receipt","id":`...), uint64(m.ID), 10)
	dst, _ = jsontext.AppendQuote(append(dst, `,"event":`...), m.Event) // an error says what AllowInvalidUTF8 mends
	dst = hex.AppendEncode(append(dst, `,"commitment":"`...), m.Commitment[:])
	dst = base64url.AppendEncode(append(dst, `","salt":"`...), m.Salt)
	dst = strconv.AppendInt(append(dst, `","arrival":`...), int64(m.Arrival), 10)
	dst = strconv.AppendUint(append(dst, `,"crl":`...), m.CRL, 10)
	dst, _ = jsontext.AppendQuote(append(dst, `,"receipt":{"auction":`...), string(r.Auction))
	dst = strconv.AppendUint(append(dst, `,"seq":`...), r.Seq, 10)
	dst = hex.AppendEncode(append(dst, `,"leaf":"`...), r.Leaf[:])
	dst = strconv.AppendUint(append(dst, `","index":`...), r.Index, 10)
	dst = strconv.AppendUint(append(dst, `,"batch":`...), r.Batch, 10)
	dst = append(dst, `,"path":[`...)
	for i := range r.Path {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(hex.AppendEncode(append(dst, '"'), r.Path[i][:]), '"')
	}
	dst = base64url.AppendEncode(append(dst, `],"signature":"`...), r.Signature)
	return append(dst, `"}}`...)
}
