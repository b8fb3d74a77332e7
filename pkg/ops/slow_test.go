package ops

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of connections that a test makes.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipes) Close() error { close(p); return nil }
func (pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// Who sends a request a little at a time holds a connection for no longer than the
// deadlines say, and the handler is told that the body will not come.
func TestSlowSenders(t *testing.T) {
	for name, tt := range map[string]struct {
		sent  string
		until time.Duration
	}{
		"half a header": {"POST / HTTP/1.1\r\nHost: a\r\nContent-", readHeaderTimeout},
		"half a body":   {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf", readTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var read error
				handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, read = io.ReadAll(r.Body) })
				listener := make(pipes, 1)
				server := Server{Log: slog.New(slog.DiscardHandler)}.server(handler, t.Context())
				ended := make(chan error, 1)
				go func() { ended <- server.Serve(listener) }()

				ours, theirs := net.Pipe()
				listener <- theirs
				begin := time.Now()
				if _, err := io.WriteString(ours, tt.sent); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, ours); err != nil {
					t.Errorf("the connection ends with %v", err)
				}
				if took := time.Since(begin); took < tt.until || took > tt.until+time.Second {
					t.Errorf("cut off after %v, want %v", took, tt.until)
				}
				if tt.until == readTimeout && read == nil {
					t.Error("the handler took half a body for a whole one")
				}
				_ = ours.Close()
				if err := server.Close(); err != nil {
					t.Error(err)
				}
				if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
					t.Error(err)
				}
			})
		})
	}
}
