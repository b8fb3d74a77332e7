package dms

import (
	"encoding/binary"
	"sync"
)

// outlet is that of a spectator's queue. A spectator's messages are not
// sealed, so they need no goroutine of the connection's own: the pump frames and
// writes them (RFC 6455 section 5.2).
type outlet struct {
	conn  *conn
	plain *plainConn
}

// frameBuffers hold frames while they are offered.
var frameBuffers = sync.Pool{New: func() any { return new([]byte) }}

// Offer implements [broadcast.Outlet].
func (o outlet) Offer(messages [][]byte) (left bool, err error) {
	buffer := frameBuffers.Get().(*[]byte)
	defer frameBuffers.Put(buffer)
	*buffer = (*buffer)[:0]
	for len(messages) > 0 {
		n, size := portion(messages)
		*buffer = appendTextHeader(*buffer, size)
		for _, m := range messages[:n] {
			*buffer = append(*buffer, m...)
		}
		messages = messages[n:]
	}
	return o.plain.offer(*buffer)
}

// Flush implements [broadcast.Outlet].
func (o outlet) Flush() error { return o.plain.flush() }

// Closed implements [broadcast.Outlet].
func (o outlet) Closed(err error) { o.conn.end(err) }

// appendTextHeader begins a text message of one frame, unmasked.
func appendTextHeader(dst []byte, size int) []byte {
	const finText = 0x81
	switch {
	case size < 126:
		return append(dst, finText, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, finText, 126), uint16(size))
	default:
		return binary.BigEndian.AppendUint64(append(dst, finText, 127), uint64(size))
	}
}
