package dms

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A gate lets so many work, keeps so many waiting, and sheds the rest.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 1)
		if err := g.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		waited := make(chan error)
		go func() { waited <- g.enter(t.Context()) }()
		synctest.Wait()
		if got := auction.CodeOf(g.enter(t.Context())); got != auction.CodeOverloaded {
			t.Errorf("one more than may wait: %q", got)
		}
		g.leave()
		if err := <-waited; err != nil {
			t.Errorf("whoever waits, when its turn has come: %v", err)
		}

		begin := time.Now()
		if got := auction.CodeOf(g.enter(t.Context())); got != auction.CodeOverloaded || time.Since(begin) != gateWait {
			t.Errorf("after %v: %q", time.Since(begin), got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.enter(ctx); err != context.Canceled {
			t.Errorf("a caller who left: %v", err)
		}
		g.leave()
		if err := g.pass(t.Context(), func() error { return g.enter(ctx) }); err != context.Canceled {
			t.Errorf("what work returns: %v", err)
		}
		if len(g.slots) != 0 || g.waiting.Load() != 0 {
			t.Errorf("%d work and %d wait, who have left", len(g.slots), g.waiting.Load())
		}
	})
}

// halves is a connection whose far side decides when a message comes.
type halves struct{ messages chan []byte }

func (h halves) Read(ctx context.Context) ([]byte, error) {
	select {
	case m := <-h.messages:
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
func (h halves) Write(context.Context, []byte) error { return nil }

// A handshake holds a slot while it works, and none while it waits for anybody.
func TestHandshakeHoldsASlotWhileItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 1)
		h := &handshake{conn: halves{make(chan []byte, 1)}, gate: g}
		holds := func(want int, when string) {
			t.Helper()
			if len(g.slots) != want {
				t.Errorf("%s: %d slots are held, want %d", when, len(g.slots), want)
			}
		}
		go func() {
			time.Sleep(time.Hour)
			holds(0, "while the client is slow")
			h.conn.(halves).messages <- nil
		}()
		if _, err := h.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		holds(1, "with a message to work on")
		time.Sleep(time.Second)
		if err := h.aside(t.Context(), func() { holds(0, "while others work"); time.Sleep(time.Hour) }); err != nil {
			t.Fatal(err)
		}
		holds(1, "afterwards")
		time.Sleep(time.Second)
		if err := h.Write(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		holds(0, "after an answer")
		h.rest()
		if h.worked != 2*time.Second {
			t.Errorf("worked for %v, want 2 s", h.worked)
		}
	})
}

// A replica that has as many commands to check as it can answers one more as
// overloaded, and looks at no signature for it.
func TestCommandIsShedBeforeItsSignature(t *testing.T) {
	s := newStage(t, func(srv *server) { srv.checks = newGate(1, 0) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := identity.NewKey()
	must(err)
	now := time.Now().Truncate(time.Second)
	root, err := identity.NewRoot(key, "demo", now, now.Add(time.Hour))
	must(err)
	var steps []string
	s.srv.checker, err = accept.New("demo", [][]byte{root}, func(op string, step func()) {
		steps = append(steps, op)
		step()
	})
	must(err)
	s.srv.authorities = &authorities{simulated: s.Policy.Simulated}
	c := s.srv.newConn()
	c.party = party("bidder")
	c.party.Certificate.Key = &key.PublicKey
	// ask sends a query and returns what it is refused with, "" for an answer.
	ask := func() auction.Code {
		t.Helper()
		jws, err := wire.Sign(key, c.party.Certificate.Thumbprint, wire.Command{
			House: "demo", Kind: auction.KindAllItems, Pseudonym: s.Pseudonym(),
		}, nil)
		must(err)
		_, err = c.command(t.Context(), &wire.CommandRequest{ID: 1, JWS: string(jws)})
		return auction.CodeOf(err)
	}
	must(s.srv.checks.enter(t.Context()))
	if got := ask(); got != auction.CodeOverloaded || len(steps) > 0 {
		t.Errorf("with no slot: %q after %v, want %s after nothing", got, steps, auction.CodeOverloaded)
	}
	s.srv.checks.leave()
	if got := ask(); got != "" || len(steps) != 1 {
		t.Errorf("with a slot: %q after %v, want an answer after one step", got, steps)
	}
}
