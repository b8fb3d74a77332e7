package wire

import "github.com/sigilo/sigilo/pkg/auction"

// A ClientMessage is what a client sends, one a frame: a pointer to one of the
// request types. Each bears an ID of the client's choice, 1 .. 2^32-1, that the
// answer repeats; the ids of requests that await their answers differ.
type ClientMessage interface {
	message
	RequestID() uint32
}

// CommandRequest hands in a signed command. The answer to a list or bid is a
// [ReceiptAnswer], to a disclose an [OKAnswer], to a query an [ItemsAnswer], an
// [ItemAnswer] or an [InboxAnswer].
type CommandRequest struct {
	ID     uint32         `json:"id"`
	JWS    string         `json:"jws"`
	Stamps []auction.Blob `json:"stamps"`          // DER, in the policy's order; empty for a kind without stamps
	Sealed auction.Blob   `json:"sealed,omitzero"` // with disclose: the sealed presentation
}

// FollowRequest asks for a log's public events after a position: the last entry
// that the client holds. Seq 0 is before the first, without a leaf. Who took part
// shows a receipt: if the log lacks its entry, the house suspends the auction. The
// answer is a [FollowingAnswer], then come [EventNotice] and [SnapshotNotice].
type FollowRequest struct {
	ID      uint32           `json:"id"`
	Log     auction.LogID    `json:"log"`
	Seq     uint64           `json:"seq"`
	Leaf    *auction.Hash    `json:"leaf,omitzero"`
	Receipt *auction.Receipt `json:"receipt,omitzero"` // of an entry of that log
}

// UnfollowRequest ends what a [FollowRequest] began. The answer is [OKAnswer].
type UnfollowRequest struct {
	ID  uint32        `json:"id"`
	Log auction.LogID `json:"log"`
}

// View is how much of a log's entries is asked for.
type View string

// Views. Everybody may have the public one.
const (
	ViewPublic View = "public" // events and commitments
	ViewOwn    View = "own"    // and the private parts of the asker's own entries
	ViewAudit  View = "audit"  // and all private parts: for an approved auditor
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *View) UnmarshalText(text []byte) error {
	return oneOf(v, text, ViewPublic, ViewOwn, ViewAudit)
}

// EntriesRequest asks for a page of a log, from a sequence number on. The
// answer is an [EntriesAnswer].
type EntriesRequest struct {
	ID   uint32        `json:"id"`
	Log  auction.LogID `json:"log"`
	From uint64        `json:"from"` // 1 is the first
	View View          `json:"view"`
}

// AcknowledgeRequest says that a private message is safe with the client, which
// gets it no more. The answer is an [OKAnswer].
type AcknowledgeRequest struct {
	ID      uint32              `json:"id"`
	Auction auction.ID          `json:"auction"`
	Message auction.MessageKind `json:"message"`
}

// RequestID returns the id.
func (m *CommandRequest) RequestID() uint32 { return m.ID }
func (*CommandRequest) name() string        { return "command" }

// RequestID returns the id.
func (m *FollowRequest) RequestID() uint32 { return m.ID }
func (*FollowRequest) name() string        { return "follow" }

// RequestID returns the id.
func (m *UnfollowRequest) RequestID() uint32 { return m.ID }
func (*UnfollowRequest) name() string        { return "unfollow" }

// RequestID returns the id.
func (m *EntriesRequest) RequestID() uint32 { return m.ID }
func (*EntriesRequest) name() string        { return "entries" }

// RequestID returns the id.
func (m *AcknowledgeRequest) RequestID() uint32 { return m.ID }
func (*AcknowledgeRequest) name() string        { return "acknowledge" }

func (m *CommandRequest) check() bool {
	ok := m.ID > 0 && m.JWS != "" && len(m.JWS) <= MaxCommand &&
		m.Stamps != nil && len(m.Stamps) <= auction.MaxAuthorities &&
		(m.Sealed == nil || sized(m.Sealed, MaxSealed))
	for _, stamp := range m.Stamps {
		ok = ok && sized(stamp, MaxStamp)
	}
	return ok
}

func (m *FollowRequest) check() bool {
	return m.ID > 0 && m.Log != "" && (m.Seq == 0) == (m.Leaf == nil) &&
		(m.Receipt == nil || receiptOK(*m.Receipt) && auction.LogID(m.Receipt.Auction) == m.Log)
}

func (m *UnfollowRequest) check() bool { return m.ID > 0 && m.Log != "" }

func (m *EntriesRequest) check() bool {
	return m.ID > 0 && m.Log != "" && m.From > 0 && m.View != ""
}

func (m *AcknowledgeRequest) check() bool {
	return m.ID > 0 && m.Auction != "" &&
		(m.Message == auction.MessageClosed || m.Message == auction.MessageDisclosure)
}
