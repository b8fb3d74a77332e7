package wire

import (
	"bytes"
	"slices"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/sigilo/sigilo/pkg/auction"
)

// message is what all messages have in common.
type message interface {
	name() string // the value of "type"
	// check reports whether the members that must be there are, each in its
	// range, and no others of those that depend on each other.
	check() bool
}

// On the wire a message is the JSON object of its struct with the type put in
// front, in these very bytes.
const (
	typeStart = `{"type":"`
	typeEnd   = `",`
)

// ParseClient reads what a client sent: one message, by its type. It refuses
// with bad_request, too_large, or a code of a value that it holds.
func ParseClient(data []byte) (ClientMessage, error) {
	if len(data) > MaxClientMessage {
		return nil, auction.Refuse(auction.CodeTooLarge, "a message to the house has at most %d bytes", MaxClientMessage)
	}
	name, rest, ok := cutType(data)
	if !ok {
		return nil, malformed()
	}
	var m ClientMessage
	switch name {
	case "command":
		m = new(CommandRequest)
	case "follow":
		m = new(FollowRequest)
	case "unfollow":
		m = new(UnfollowRequest)
	case "entries":
		m = new(EntriesRequest)
	case "acknowledge":
		m = new(AcknowledgeRequest)
	default:
		return nil, errType()
	}
	if err := read(rest, m); err != nil {
		return nil, err
	}
	return m, nil
}

// ParseServer reads one message of a frame from the DMS, without the newline
// after it: see [SplitFrame]. It refuses as [ParseClient] does.
func ParseServer(data []byte) (ServerMessage, error) {
	if len(data) > MaxServerFrame {
		return nil, auction.Refuse(auction.CodeTooLarge, "a message of the house has at most %d bytes", MaxServerFrame)
	}
	name, rest, ok := cutType(data)
	if !ok {
		return nil, malformed()
	}
	m := newServerMessage(name)
	if m == nil {
		return nil, errType()
	}
	if err := read(rest, m); err != nil {
		return nil, err
	}
	return m, nil
}

// EncodeClient returns a message as the content of a frame.
func EncodeClient(m ClientMessage) []byte { return appendMessage(nil, m) }

// AppendMessage appends a message to the content of a frame, with the newline
// that ends it.
func AppendMessage(dst []byte, m ServerMessage) []byte {
	return append(appendMessage(dst, m), '\n')
}

// SplitFrame returns the messages of a frame from the DMS, which share memory
// with it. It refuses an empty frame or message, one without its newline, and
// more than [MaxFrameMessages].
func SplitFrame(frame []byte) ([][]byte, error) {
	if len(frame) > MaxServerFrame {
		return nil, auction.Refuse(auction.CodeTooLarge, "a frame of the house has at most %d bytes", MaxServerFrame)
	}
	n := bytes.Count(frame, []byte("\n"))
	if n > MaxFrameMessages {
		return nil, auction.Refuse(auction.CodeTooLarge, "a frame of the house has at most %d messages", MaxFrameMessages)
	}
	messages := make([][]byte, 0, n)
	for len(frame) > 0 {
		m, rest, ended := bytes.Cut(frame, []byte("\n"))
		if len(m) == 0 || !ended {
			return nil, auction.Refuse(auction.CodeBadRequest, "a frame is messages that each end with a newline")
		}
		messages, frame = append(messages, m), rest
	}
	if n == 0 {
		return nil, auction.Refuse(auction.CodeBadRequest, "a frame holds at least one message")
	}
	return messages, nil
}

// cutType splits a message into its type and the object of its struct without the
// brace that begins it.
func cutType(data []byte) (name string, rest []byte, ok bool) {
	rest, ok = bytes.CutPrefix(data, []byte(typeStart))
	if !ok {
		return "", nil, false
	}
	tag, rest, ok := bytes.Cut(rest, []byte(typeEnd))
	if !ok || len(tag) > 32 {
		return "", nil, false
	}
	return string(tag), rest, true
}

// objects are buffers for the objects of messages that are read.
var objects = sync.Pool{New: func() any { return new([]byte) }}

func read(rest []byte, m message) error {
	buffer := objects.Get().(*[]byte)
	defer objects.Put(buffer)
	*buffer = append(append((*buffer)[:0], '{'), rest...)
	if err := Unmarshal(*buffer, m); err != nil { // which keeps nothing of it
		return err
	}
	if !m.check() {
		return auction.Refuse(auction.CodeBadRequest, "a message with members missing or out of range")
	}
	return nil
}

// drafts are where messages are encoded before their size is known.
var drafts = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func appendMessage(dst []byte, m message) []byte {
	if r, ok := m.(*ReceiptAnswer); ok {
		return appendReceipt(dst, r)
	}
	object := drafts.Get().(*bytes.Buffer)
	defer drafts.Put(object)
	object.Reset()
	if err := json.MarshalWrite(object, m, encode); err != nil {
		panic("wire: internal error: encode a message: " + err.Error())
	}
	dst = slices.Grow(dst, len(typeStart)+len(m.name())+len(typeEnd)+object.Len()) // with the newline after it
	dst = append(dst, typeStart...)
	dst = append(dst, m.name()...)
	dst = append(dst, typeEnd...)
	return append(dst, object.Bytes()[1:]...)
}

func errType() error {
	return auction.Refuse(auction.CodeBadRequest, "there is no message of this type")
}

// oneOf reads a value of a closed set of texts.
func oneOf[T ~string](v *T, text []byte, set ...T) error {
	if !slices.Contains(set, T(text)) {
		return auction.Refuse(auction.CodeBadRequest, "a word that is not of its set")
	}
	*v = T(text)
	return nil
}

// sized reports whether b has 1 to limit bytes.
func sized[B ~string | ~[]byte](b B, limit int) bool { return len(b) > 0 && len(b) <= limit }

// there reports whether a hash is one: no input of SHA-256 is known to give the
// zero hash, which stands for an absent member.
func there(h auction.Hash) bool { return h != auction.Hash{} }
