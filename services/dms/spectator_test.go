package dms

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
)

// pipe returns both ends of a loopback connection, the near one as the pump has
// it.
func pipe(t *testing.T) (near *plainConn, far net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if far, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); far.Close() })
	return &plainConn{Conn: conn, raw: raw}, far
}

// textFrame is a text message with a payload of one byte, many times.
func textFrame(b byte, size int) []byte {
	return append(appendTextHeader(nil, size), bytes.Repeat([]byte{b}, size)...)
}

// nextFrame reads a frame and returns its first two bytes and its payload.
func nextFrame(t *testing.T, from io.Reader) (header [2]byte, payload []byte) {
	t.Helper()
	read := func(p []byte) {
		if _, err := io.ReadFull(from, p); err != nil {
			t.Fatal(err)
		}
	}
	read(header[:])
	size := uint64(header[1])
	switch size {
	case 126:
		var long [2]byte
		read(long[:])
		size = uint64(binary.BigEndian.Uint16(long[:]))
	case 127:
		var long [8]byte
		read(long[:])
		size = binary.BigEndian.Uint64(long[:])
	}
	payload = make([]byte, size)
	read(payload)
	return header, payload
}

// A frame of which the network took a part is ended before anything else is
// written.
func TestFramesStayWhole(t *testing.T) {
	near, far := pipe(t)
	offered := 0
	for left := false; !left; offered++ { // until the network takes no more
		var err error
		if left, err = near.offer(textFrame(byte(offered), 60000)); err != nil {
			t.Fatal(err)
		}
	}
	ping := []byte{0x89, 1, 'p'}
	written := make(chan error, 2)
	go func() {
		_, err := near.Write(ping)
		written <- err
	}()
	go func() { written <- near.flush() }()
	for i := range offered {
		header, payload := nextFrame(t, far)
		if header[0] != 0x81 || !bytes.Equal(payload, bytes.Repeat([]byte{byte(i)}, 60000)) {
			t.Fatalf("frame %d of %d is not what was offered: %x", i, offered, header)
		}
	}
	if header, payload := nextFrame(t, far); header[0] != 0x89 || string(payload) != "p" {
		t.Errorf("after the messages came %x %q", header, payload)
	}
	for range 2 {
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
	if left, err := near.offer(textFrame('z', 3)); left || err != nil {
		t.Errorf("the next offer: left %v, %v", left, err)
	}
	if _, payload := nextFrame(t, far); string(payload) != "zzz" {
		t.Errorf("then came %q", payload)
	}
}

// What bounded the write of a control frame does not bound what comes later.
func TestOfferAfterAnOldDeadline(t *testing.T) {
	near, far := pipe(t)
	if _, err := near.Write([]byte{0x89, 0}); err != nil {
		t.Fatal(err)
	}
	near.deadline = time.Now().Add(-time.Second)
	if err := near.SetWriteDeadline(near.deadline); err != nil {
		t.Fatal(err)
	}
	if left, err := near.offer(textFrame('a', 1)); left || err != nil {
		t.Fatalf("left %v, %v", left, err)
	}
	nextFrame(t, far)
	if _, payload := nextFrame(t, far); string(payload) != "a" {
		t.Errorf("got %q", payload)
	}
}

// Over TLS nothing can be tried without waiting, so flush writes all.
func TestOfferWithoutARawConnection(t *testing.T) {
	near, far := pipe(t)
	near.raw = nil
	if left, err := near.offer(textFrame('a', 70000)); !left || err != nil {
		t.Fatalf("left %v, %v", left, err)
	}
	done := make(chan error, 1)
	go func() { done <- near.flush() }()
	if _, payload := nextFrame(t, far); len(payload) != 70000 {
		t.Errorf("got %d bytes", len(payload))
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
