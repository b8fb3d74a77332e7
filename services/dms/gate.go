package dms

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	// checksWaiting bounds the commands that wait to be checked: about a fifth of
	// a second of one core's work. Each connection has one at most.
	checksWaiting = 1024
	// shakesWaiting bounds the handshakes that wait for the next step of work.
	shakesWaiting = 256
	// gateWait bounds the wait: it is far below what a bid's stamp is good for.
	gateWait = time.Second
)

// limits keep those who ask too much from those who do not.
type limits struct {
	checks, shakes *gate
	conduct        *conduct
}

func newLimits() limits { return limits{newChecks(), newShakes(), newConduct(time.Now)} }

// gate keeps dear work, which is signatures, within what the machine can do: so
// many do it at once, so many more wait, in the order in which they came, and the
// rest is shed while that is still cheap.
type gate struct {
	slots   chan struct{}
	most    int64 // that wait
	waiting atomic.Int64
}

func newGate(slots, waiting int) *gate {
	return &gate{slots: make(chan struct{}, slots), most: int64(waiting)}
}

// newChecks is the gate of commands: two at once for each processor keep it busy.
func newChecks() *gate { return newGate(2*runtime.GOMAXPROCS(0), checksWaiting) }

// newShakes is the gate of handshakes. They get half of the processors, so that
// those who are inside are served however many knock.
func newShakes() *gate { return newGate(max(1, runtime.GOMAXPROCS(0)/2), shakesWaiting) }

var errBusy = auction.Refuse(auction.CodeOverloaded, "this replica has more to check than it can: send the same again a little later")

// enter waits for a slot, for gateWait at most; leave must follow. It refuses
// with overloaded, and then none is held.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.most {
		return errBusy
	}
	timer := time.NewTimer(gateWait)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return errBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) leave() { <-g.slots }

// pass does work with a slot.
func (g *gate) pass(ctx context.Context, work func() error) error {
	if err := g.enter(ctx); err != nil {
		return err
	}
	defer g.leave()
	return work()
}
