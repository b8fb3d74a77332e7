package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"
)

// A fault of a link is one of those who come from its address, and of nobody else.
func TestLinksBreakAlone(t *testing.T) {
	t.Parallel()
	const theirs = "127.0.0.2" // as servers behind a door have
	n := newNetwork()
	t.Cleanup(n.stop)
	d, err := n.door("echo", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	hit, spared := d.from(everybody), dialFrom(t, theirs, d.at)
	for name, f := range map[string]fault{"cut": faultCut, "silence": faultSilence, "delay": faultDelay} {
		w := way{links: []*link{hit}}
		before := dialFrom(t, everybody, d.at)
		if err := before.says("before"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := w.breakAs(f, longestDelay); err != nil {
			t.Fatal(err)
		}
		if err := spared.says(name); err != nil {
			t.Errorf("%s hits another link: %v", name, err)
		}
		began := time.Now()
		for _, c := range []*caller{before, dialFrom(t, everybody, d.at)} {
			c.SetDeadline(time.Now().Add(200 * time.Millisecond)) // while it is silent, there is nothing to wait for
			if f == faultDelay {
				c.SetDeadline(time.Now().Add(time.Minute))
			}
			if err := c.says(name); (err == nil) != (f == faultDelay) {
				t.Errorf("under %s: %v", name, err)
			}
		}
		if took := time.Since(began); f == faultDelay && took < longestDelay {
			t.Errorf("under %s an answer takes %v", name, took)
		}
		w.mend(t.Context())
		if err := dialFrom(t, everybody, d.at).says("after"); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}

// echo listens, says whatever it hears, and returns its address.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(everybody, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // it is closed
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // until the other end goes
			}()
		}
	}()
	return l.Addr().String()
}

// A caller says things and hears them again.
type caller struct {
	net.Conn
	heard *bufio.Reader
}

func dialFrom(t *testing.T, source, to string) *caller {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &caller{c, bufio.NewReader(c)}
}

func (c *caller) says(what string) error {
	if _, err := io.WriteString(c, what+"\n"); err != nil {
		return err
	}
	_, err := c.heard.ReadString('\n')
	return err
}
