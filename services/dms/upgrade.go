package dms

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/sigilo/sigilo/pkg/session"
)

// frameBuffer is the size of what a session's connection is read by. It holds a
// client's frame of the common size with the header of the WebSocket, so that
// one system call reads it: net/http's buffer takes two.
const frameBuffer = session.ClientFrame + session.Overhead + 14

// spectatorBuffer is the size of either buffer of a spectator's connection. It
// holds a whole control frame, and most requests. What net/http hands over has
// 4 KiB each, which is most of what thousands of spectators would take.
const spectatorBuffer = 256

// upgrade hands the connection under a WebSocket both to the WebSocket library
// and to us.
type upgrade struct {
	http.ResponseWriter
	spectator bool // nothing but spectating is offered
	conn      *plainConn
}

func newUpgrade(w http.ResponseWriter, r *http.Request) *upgrade {
	return &upgrade{ResponseWriter: w, spectator: r.Header.Get("Sec-WebSocket-Protocol") == session.ModePublic}
}

// Hijack implements [http.Hijacker].
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	u.conn = &plainConn{Conn: conn}
	if s, ok := conn.(syscall.Conn); ok {
		u.conn.raw, _ = s.SyscallConn() // without it, every write waits
	}
	early, _ := buffers.Peek(buffers.Reader.Buffered()) // what is buffered can be peeked at
	u.conn.early = bytes.Clone(early)
	if !u.spectator {
		buffers.Writer.Reset(u.conn)
		return u.conn, bufio.NewReadWriter(bufio.NewReaderSize(u.conn, frameBuffer), buffers.Writer), nil
	}
	return u.conn, bufio.NewReadWriter(
		bufio.NewReaderSize(u.conn, spectatorBuffer), bufio.NewWriterSize(u.conn, spectatorBuffer)), nil
}

// plainConn is the connection under a WebSocket. The library writes to it, which
// in a spectator's case is control frames alone, and so does the pump, with the
// spectator's messages: each writes whole frames, one after the other.
type plainConn struct {
	net.Conn
	raw   syscall.RawConn // nil if there is none, as with TLS
	early []byte          // what came before the upgrade; of the goroutine that reads

	writing  sync.Mutex
	deadline time.Time // of writes, none if zero; guarded by writing

	// Of the pump.
	left []byte // what offer has not written
	held bool   // offer has not unlocked writing: a part of left is a frame's end
}

func (c *plainConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// Write takes writeTimeout at most, and may take half of it: the deadline moves
// only when less is left, since moving it each time costs as much as a small
// write of its own.
func (c *plainConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if now := time.Now(); c.deadline.Sub(now) < writeTimeout/2 {
		c.deadline = now.Add(writeTimeout)
		_ = c.SetWriteDeadline(c.deadline) // it fails as the write does
	}
	return c.Conn.Write(p)
}

// offer writes as much of whole frames as the network takes at once. If it
// reports that something is left, flush must follow.
func (c *plainConn) offer(frames []byte) (left bool, err error) {
	if c.raw == nil || !c.writing.TryLock() { // the library may be waiting for the network
		c.left = append(c.left, frames...)
		return true, nil
	}
	if !c.deadline.IsZero() { // of a control frame long ago; past it, nothing would be written
		c.deadline = time.Time{}
		_ = c.SetWriteDeadline(c.deadline)
	}
	n, err := writeNow(c.raw, frames)
	if err == nil && n < len(frames) {
		c.left, c.held = append(c.left, frames[n:]...), true
		return true, nil
	}
	c.writing.Unlock()
	return false, err
}

// flush writes what offer left, and waits for the network.
func (c *plainConn) flush() error {
	if !c.held {
		c.writing.Lock()
	}
	defer c.writing.Unlock()
	_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // it fails as the write does
	_, err := c.Conn.Write(c.left)
	_ = c.SetWriteDeadline(time.Time{})
	c.left, c.held, c.deadline = nil, false, time.Time{}
	return err
}
