package dms

import (
	"context"
	"time"

	"github.com/sigilo/sigilo/pkg/session"
)

// handshake is the connection of a handshake, which holds a slot of the gate
// while the replica works on it and none while it waits for the client or for
// somebody else: whoever is slow keeps nobody out. It times the work too. It
// belongs to the goroutine of the handshake.
type handshake struct {
	conn   session.Conn
	gate   *gate
	holds  bool
	since  time.Time // of the work that goes on
	worked time.Duration
}

// begin begins to work.
func (h *handshake) begin(ctx context.Context) error {
	if err := h.gate.enter(ctx); err != nil {
		return err
	}
	h.holds, h.since = true, time.Now()
	return nil
}

// rest ends the work, if there is any under way.
func (h *handshake) rest() {
	if h.holds {
		h.worked += time.Since(h.since)
		h.holds = false
		h.gate.leave()
	}
}

// Read implements [session.Conn].
func (h *handshake) Read(ctx context.Context) ([]byte, error) {
	h.rest()
	msg, err := h.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	return msg, h.begin(ctx)
}

// Write implements [session.Conn]. What follows it waits for the client.
func (h *handshake) Write(ctx context.Context, msg []byte) error {
	h.rest()
	return h.conn.Write(ctx, msg)
}

// aside does what is no work of this replica's processors.
func (h *handshake) aside(ctx context.Context, wait func()) error {
	h.rest()
	wait()
	return h.begin(ctx)
}
