package session

import (
	"bytes"
	"context"
	"crypto/hpke"
	"encoding/binary"
	"encoding/hex"

	"github.com/sigilo/sigilo/pkg/auction"
)

// A Conn carries binary messages whole, in order, one at a time. Read returns a
// slice that the caller may keep; it must bound what it reads by
// [MaxClientMessage] or [MaxServerMessage]. Write does not keep its argument.
type Conn interface {
	Read(ctx context.Context) ([]byte, error)
	Write(ctx context.Context, msg []byte) error
}

// Sizes of plaintexts, in bytes. A frame is longer by [Overhead].
const (
	// ClientFrame and LargeClientFrame are the two sizes to which what a client
	// sends is padded, so that nobody on the wire tells a bid from a query.
	ClientFrame      = 4096
	LargeClientFrame = 16384
	// MaxClientPlaintext is the longest message of a client.
	MaxClientPlaintext = LargeClientFrame - lengthSize
	// MaxServerPlaintext is the longest message of the DMS; it is not padded.
	MaxServerPlaintext = 64 << 10
)

// lengthSize is the size of the length before a client's message, a big-endian
// 32-bit integer.
const lengthSize = 4

// ID names a session: 16 random bytes, public.
type ID [16]byte

// String returns the id as 32 lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// A Session seals the frames of one direction of a connection and opens those
// of the other, after a handshake by [Client] or [Server]. Seal and Open may run
// at the same time, but neither twice at once, and frames must reach the other
// side in the order in which they were sealed.
type Session struct {
	id     ID
	mode   string
	client bool

	sender *hpke.Sender // Seal's

	recipient *hpke.Recipient // Open's
	dead      bool            // Open's: a frame did not open
}

// ID returns the session's id, the same on both sides.
func (s *Session) ID() ID { return s.id }

// Mode returns the mode that the handshake bound.
func (s *Session) Mode() string { return s.mode }

// Seal returns the frame that carries a message of 1 to [MaxClientPlaintext]
// bytes, on a server's side [MaxServerPlaintext]; any other length is refused
// with too_large or bad_request and changes nothing.
func (s *Session) Seal(message []byte) ([]byte, error) {
	limit := MaxServerPlaintext
	if s.client {
		limit = MaxClientPlaintext
	}
	if len(message) == 0 {
		return nil, auction.Refuse(auction.CodeBadRequest, "a message is not empty")
	}
	if len(message) > limit {
		return nil, auction.Refuse(auction.CodeTooLarge, "a message has at most %d bytes", limit)
	}
	if s.client {
		message = pad(message)
	}
	return s.sender.Seal(nil, message)
}

// Open returns the message that a frame carries. A frame that is not the next
// one of this session and direction, whole and unchanged, is refused with
// bad_frame, and so is every frame after it.
func (s *Session) Open(frame []byte) ([]byte, error) {
	if s.dead {
		return nil, auction.Refuse(auction.CodeBadFrame, "the session ended at a frame that did not open")
	}
	message, ok := s.open(frame)
	if !ok {
		s.dead = true
		return nil, auction.Refuse(auction.CodeBadFrame, "a frame did not open; make a new session")
	}
	return message, nil
}

func (s *Session) open(frame []byte) ([]byte, bool) {
	size := len(frame) - Overhead
	if s.client {
		if size < 1 || size > MaxServerPlaintext {
			return nil, false
		}
	} else if size != ClientFrame && size != LargeClientFrame {
		return nil, false
	}
	plaintext, err := s.recipient.Open(nil, frame)
	if err != nil {
		return nil, false
	}
	if s.client {
		return plaintext, true
	}
	return unpad(plaintext)
}

// pad puts a message of 1 to MaxClientPlaintext bytes behind its length and
// fills up with zeros to the smaller size that holds it.
func pad(message []byte) []byte {
	size := ClientFrame
	if len(message) > ClientFrame-lengthSize {
		size = LargeClientFrame
	}
	padded := make([]byte, size)
	binary.BigEndian.PutUint32(padded, uint32(len(message)))
	copy(padded[lengthSize:], message)
	return padded
}

// zeros is what padding must be. Nobody writes to it.
var zeros [LargeClientFrame]byte

// unpad reverses pad, and refuses all that pad does not make.
func unpad(padded []byte) ([]byte, bool) {
	least := uint32(1)
	switch len(padded) {
	case ClientFrame:
	case LargeClientFrame:
		least = ClientFrame - lengthSize + 1
	default:
		return nil, false
	}
	n := binary.BigEndian.Uint32(padded)
	rest := padded[lengthSize:]
	if n < least || uint64(n) > uint64(len(rest)) {
		return nil, false
	}
	if fill := rest[n:]; !bytes.Equal(fill, zeros[:len(fill)]) {
		return nil, false
	}
	return rest[:n:n], true
}
