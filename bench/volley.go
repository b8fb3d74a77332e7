package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sigilo/sigilo/pkg/session"
)

// volley is how many tries go out at once, in one system call: a generator on the
// machine of the house offers ten times what the house can do only where a try
// costs it next to nothing.
const volley = 1024

// burst is a connection that can hold back what is written, to send it at once.
type burst struct {
	net.Conn

	mu    sync.Mutex
	holds bool   // guarded by mu
	held  []byte // guarded by mu
}

// Write implements [net.Conn].
func (b *burst) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holds {
		b.held = append(b.held, p...)
		return len(p), nil
	}
	return b.Conn.Write(p)
}

// fire has n writes go out as one, and returns how many of them the network took.
func (b *burst) fire(n int, write func() error) (taken int, err error) {
	b.mu.Lock()
	b.holds = true
	b.mu.Unlock()
	for range n {
		if err = write(); err != nil {
			break
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	size, sent := len(b.held)/n, 0
	if err == nil && size > 0 {
		sent, err = b.Conn.Write(b.held)
	}
	b.holds, b.held = false, b.held[:0]
	return sent / max(size, 1), err
}

// reach connects to the replica from the worker's address, and returns a client
// that uses this connection alone.
func (e *enemy) reach(ctx context.Context, w *worker) (*burst, *http.Client, error) {
	at, err := url.Parse(e.url)
	if err != nil {
		return nil, nil, err
	}
	dialer := &net.Dialer{Timeout: dialTimeout, LocalAddr: &net.TCPAddr{IP: w.from}}
	conn, err := dialer.DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, nil, err
	}
	b := &burst{Conn: conn, held: w.buffer[:0]}
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return b, nil }}
	return b, &http.Client{Transport: transport}, nil
}

// fire sends tries as a volley, when their turn has come, and counts those that
// the network took.
func (e *enemy) fire(ctx context.Context, w *worker, b *burst, write func() error) error {
	n := min(volley, e.pace.Burst())
	if err := e.pace.WaitN(ctx, n); err != nil {
		return err
	}
	taken, err := b.fire(n, write)
	w.buffer = b.held
	e.tries.Add(uint64(taken))
	return err
}

// knock asks for many connections over one. Those whom the door refuses need no
// other for the next try.
func (e *enemy) knock(ctx context.Context, w *worker) error {
	b, _, err := e.reach(ctx, w)
	if err != nil {
		return err
	}
	defer b.Close()
	_ = b.SetDeadline(time.Now().Add(httpTimeout)) // what goes on fails if this does
	request := fmt.Appendf(nil, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		b.RemoteAddr(), session.Modes()[0])
	if err := e.fire(ctx, w, b, func() error { _, err := b.Write(request); return err }); err != nil {
		return err
	}
	last := bytes.Replace(request, []byte("Connection: Upgrade"), []byte("Connection: close"), 1)
	if _, err := b.Write(last); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, b)
	return err
}
