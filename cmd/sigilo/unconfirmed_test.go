package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/services/allinone"
)

// While the answer to a bid is outstanding a person is told so, and not what it
// may be: neither while the program waits, nor when it has waited long enough.
func TestUnconfirmedIsShown(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	h, err := allinone.Start(ctx, allinone.Config{Dir: t.TempDir(), Replicas: 1, OpenEnrolment: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Stop()
	seller := member(t, ctx, h, "sofia", h.Ready.DMS[0])
	now, err := seller.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	listed, err := seller.List(ctx, client.Listing{Title: "A clock", Currency: "EUR", Minimum: 1000, Closes: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	line := startSwallower(t, h.Ready.DMS[0])
	bidder := member(t, ctx, h, "bruno", line.url)
	line.pending = func() bool {
		pending, err := bidder.Profile().Pending()
		return err != nil || len(pending) > 0
	}
	bid := func(p *console, amount string) error {
		return (&bidCmd{ID: string(listed.Prepared.Auction), Amount: amount}).Run(ctx, &p.app)
	}

	t.Run("the answer comes late", func(t *testing.T) {
		bruno := newConsole(bidder, time.Minute, true)
		line.swallows.Store(true)
		done := make(chan error, 1)
		go func() { done <- bid(bruno, "12.00") }()
		for !strings.Contains(bruno.said(), "not confirmed yet: the same command is sent until the house answers") {
			select {
			case err := <-done:
				t.Fatalf("it ended without an answer: %v", err)
			case <-time.After(5 * time.Millisecond):
			}
		}
		if text := bruno.printed(); text != "" {
			t.Errorf("it says %q of a bid that nobody has confirmed", text)
		}
		line.swallows.Store(false)
		line.cut()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if text := bruno.printed(); !strings.HasPrefix(text, "accepted: 12.00 EUR, entry 2 of auction ") {
			t.Errorf("it says %q", text)
		}
	})
	t.Run("no answer comes", func(t *testing.T) {
		program := newConsole(bidder, 3*time.Second, false)
		line.swallows.Store(true)
		err := bid(program, "15.00")
		if exit := program.fail(err); exit != exitUnavailable {
			t.Errorf("exit status %d for %v", exit, err)
		}
		if text := program.said(); program.printed() != "" || !strings.HasPrefix(text, "sigilo: your bid is not confirmed: it may count or not.") {
			t.Errorf("it says %q", text)
		}
		line.swallows.Store(false)
		line.cut()
		placed, refused, err := bidder.Resume(ctx)
		if err != nil || len(placed) != 1 || len(refused) != 0 || placed[0].Receipt.Seq != 3 {
			t.Errorf("it became of it: %d placed, %v refused, %v", len(placed), refused, err)
		}
	})
}

// member makes the client of somebody who reaches the house over a replica's
// address.
func member(t *testing.T, ctx context.Context, h *allinone.House, name, replica string) *client.Client {
	t.Helper()
	house, err := h.Client()
	if err != nil {
		t.Fatal(err)
	}
	house.DMS = []string{replica}
	p, err := client.CreateProfile(filepath.Join(t.TempDir(), name), house)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(p, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Enroll(ctx, client.Enrolment{Username: name}); err != nil {
		t.Fatal(err)
	}
	return c
}

// console is the program with what it writes.
type console struct {
	app
	stdout, stderr bytes.Buffer // guarded by app.printing
}

// newConsole makes the program of a client. A person watches it, or nobody does.
func newConsole(c *client.Client, timeout time.Duration, watched bool) *console {
	p := new(console)
	p.app.streams = streams{out: &p.stdout, err: &p.stderr}
	p.app.globals = &globals{Timeout: timeout}
	p.app.terminal = func(any) bool { return watched }
	p.app.node = c
	return p
}

func (p *console) printed() string { return p.text(&p.stdout) }
func (p *console) said() string    { return p.text(&p.stderr) }

func (p *console) text(b *bytes.Buffer) string {
	p.printing.Lock()
	defer p.printing.Unlock()
	return b.String()
}

// swallower is the network between a client and a replica. What the replica sends
// while the client waits for the answer to a command is lost on it, as long as
// swallows is set.
type swallower struct {
	url      string
	pending  func() bool // the client waits for an answer; set before swallows is
	swallows atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

func startSwallower(t *testing.T, replica string) *swallower {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &swallower{url: "http://" + l.Addr().String()}
	var tasks sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		s.cut()
		tasks.Wait()
	})
	tasks.Go(func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", strings.TrimPrefix(replica, "http://"))
			if err != nil {
				down.Close()
				continue
			}
			s.mu.Lock()
			s.conns = append(s.conns, down, up)
			s.mu.Unlock()
			tasks.Go(func() { _, _ = io.Copy(up, down); up.Close() })
			tasks.Go(func() { _, _ = io.Copy(lossy{s, down}, up); down.Close() })
		}
	})
	return s
}

// lossy is the way to the client.
type lossy struct {
	line   *swallower
	client net.Conn
}

func (l lossy) Write(b []byte) (int, error) {
	if l.line.swallows.Load() && l.line.pending() {
		return len(b), nil
	}
	return l.client.Write(b)
}

// cut ends all connections.
func (s *swallower) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}
