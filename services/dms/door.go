package dms

import (
	"net/netip"
	"sync"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
)

// door lets connections in, from before their handshake until they have ended:
// so many in all, so many from one address, and none once it is closed.
type door struct {
	most, mostPerAddress int // mostPerAddress 0 is no limit

	mu     sync.Mutex
	inside map[*conn]netip.Addr
	from   map[netip.Addr]int
	closed bool
	gone   sync.WaitGroup
}

func newDoor(cfg Config) *door {
	return &door{
		most: cfg.MaxSessions, mostPerAddress: cfg.MaxPerAddress,
		inside: make(map[*conn]netip.Addr), from: make(map[netip.Addr]int),
	}
}

var (
	errClosed  = auction.Refuse(auction.CodeOverloaded, "this replica is stopping: try another")
	errFull    = auction.Refuse(auction.CodeOverloaded, "this replica holds all the connections that it can: try another")
	errAddress = auction.Refuse(auction.CodeRateLimited, "too many connections from this address")
)

// enter lets a connection in; leave must follow.
func (d *door) enter(c *conn, address string) error {
	from := ops.Network(address)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return errClosed
	case len(d.inside) >= d.most:
		return errFull
	case d.mostPerAddress > 0 && d.from[from] >= d.mostPerAddress:
		return errAddress
	}
	d.inside[c] = from
	d.from[from]++
	d.gone.Add(1)
	return nil
}

func (d *door) leave(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	from := d.inside[c]
	delete(d.inside, c)
	if d.from[from]--; d.from[from] == 0 {
		delete(d.from, from)
	}
	d.gone.Done()
}

// close lets nobody in any more, and returns who is inside.
func (d *door) close() []*conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	conns := make([]*conn, 0, len(d.inside))
	for c := range d.inside {
		conns = append(conns, c)
	}
	return conns
}

// wait returns when all have left. The door must be closed.
func (d *door) wait() { d.gone.Wait() }
