package dms

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/session"
)

// counted counts the reads of a connection that brought something.
type counted struct {
	net.Conn
	reads int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.reads++
	}
	return n, err
}

// A frame of a session comes in by one read, whole, and a longer one is refused.
func TestFrameInOneRead(t *testing.T) {
	server, client := net.Pipe()
	under := &counted{Conn: server}
	made := make(chan *websocket.Conn, 1)
	accepting := func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(newUpgrade(w, r), r, &websocket.AcceptOptions{Subprotocols: session.Modes()})
		if err != nil {
			t.Error(err)
			return
		}
		made <- ws
	}
	listener := &oneConn{conn: under, closed: make(chan struct{})}
	web := &http.Server{Handler: http.HandlerFunc(accepting)}
	go func() { _ = web.Serve(listener) }()
	t.Cleanup(func() { web.Close() })
	dialer := &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil },
	}}
	ws, _, err := websocket.Dial(t.Context(), "ws://replica/ws", &websocket.DialOptions{HTTPClient: dialer, Subprotocols: session.Modes()})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	s := socket{<-made, websocket.MessageBinary}
	defer s.ws.CloseNow()
	s.ws.SetReadLimit(session.MaxClientMessage)

	frame := bytes.Repeat([]byte{7}, session.ClientFrame+session.Overhead)
	before := under.reads
	go func() { // a pipe has no buffer of its own: each write is one read
		data := append([]byte{0x82, 0xfe, byte(len(frame) >> 8), byte(len(frame)), 0, 0, 0, 0}, frame...)
		_, _ = client.Write(data)
		tooLong := make([]byte, session.MaxClientMessage+1)
		_ = ws.Write(t.Context(), websocket.MessageBinary, tooLong)
	}()
	err = s.readInto(t.Context(), &frames, func(got []byte) error {
		if !bytes.Equal(got, frame) {
			t.Error("the frame came in changed")
		}
		return nil
	})
	if err != nil || under.reads != before+1 {
		t.Errorf("%v after %d reads, want 1", err, under.reads-before)
	}
	err = s.readInto(t.Context(), &frames, func([]byte) error { t.Error("a message over the limit is used"); return nil })
	if auction.CodeOf(err) != auction.CodeTooLarge {
		t.Errorf("a message over the limit: %v", err)
	}
}

// oneConn is a listener with one connection to give.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }

// deadlines notes which deadlines a connection is given, and when.
type deadlines struct {
	net.Conn
	set []time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error { d.set = append(d.set, t); return nil }
func (d *deadlines) Write(b []byte) (int, error)        { return len(b), nil }

// Each write has a deadline ahead of it, and not each one moves it.
func TestWritesAreBounded(t *testing.T) {
	under := &deadlines{}
	p := &plainConn{Conn: under}
	for range 3 {
		if _, err := p.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if len(under.set) != 1 || time.Until(under.set[0]) < writeTimeout/2 {
		t.Fatalf("deadlines of three writes: %v", under.set)
	}
	p.deadline = time.Now().Add(writeTimeout/2 - time.Millisecond)
	if _, err := p.Write([]byte("x")); err != nil || len(under.set) != 2 {
		t.Errorf("a write with little time left: %v, deadlines %v", err, under.set)
	}
}

// What a client says before the upgrade is answered is not lost.
func TestEarlyClient(t *testing.T) {
	made := make(chan []byte, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(newUpgrade(w, r), r, &websocket.AcceptOptions{Subprotocols: session.Modes()})
		if err != nil {
			t.Error(err)
			return
		}
		data, err := socket{ws, websocket.MessageBinary}.Read(t.Context())
		if err != nil {
			t.Error(err)
		}
		made <- data
	}))
	defer web.Close()
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := "GET /ws HTTP/1.1\r\nHost: replica\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := conn.Write(append([]byte(request), 0x82, 0x85, 0, 0, 0, 0, 'e', 'a', 'r', 'l', 'y')); err != nil {
		t.Fatal(err)
	}
	if got := <-made; string(got) != "early" {
		t.Errorf("got %q", got)
	}
}
