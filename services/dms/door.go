package dms

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
)

const (
	// maxShaking bounds the connections that are still shaking hands: each takes
	// about 30 KB, and an honest one is through in milliseconds.
	maxShaking = 1024
	// shakingGrace is how long one has for it, whatever comes. Past it, who has
	// taken longest makes room when there is none.
	shakingGrace = time.Second
	// knocksPerPlace is how many times a second an address may connect, for each
	// connection that it may have; ten seconds' worth may come at once.
	knocksPerPlace = 0.1
)

// door lets connections in, from before their handshake until they have ended:
// so many in all, so many from one address, so often from one address, and none
// once it is closed. Those who only look take no place of those who bid.
type door struct {
	most, mostPerAddress int // mostPerAddress 0 is no limit
	knocks               *ops.Limiter
	now                  func() time.Time

	mu         sync.Mutex
	inside     map[*conn]*visit
	from       map[netip.Addr]int
	shaking    list.List // of *visit, who has taken longest first
	spectators int
	closed     bool
	gone       sync.WaitGroup
}

// visit is a connection that is inside.
type visit struct {
	conn      *conn
	from      netip.Addr
	since     time.Time
	shaking   *list.Element // nil once hands were shaken
	spectator bool
}

func newDoor(cfg Config) *door {
	return &door{
		most: cfg.MaxSessions, mostPerAddress: cfg.MaxPerAddress,
		knocks: ops.NewLimiter(float64(cfg.MaxPerAddress) * knocksPerPlace), now: time.Now,
		inside: make(map[*conn]*visit), from: make(map[netip.Addr]int),
	}
}

var (
	errClosed  = auction.Refuse(auction.CodeOverloaded, "this replica is stopping: try another")
	errFull    = auction.Refuse(auction.CodeOverloaded, "this replica holds all the connections that it can: try another")
	errAddress = auction.Refuse(auction.CodeRateLimited, "too many connections from this address")
)

// enter lets a connection in to shake hands; leave must follow.
func (d *door) enter(c *conn, address string) error {
	now := d.now()
	if err := d.knocks.Allow(address, now); err != nil {
		return err
	}
	from := ops.Network(address)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return errClosed
	case d.mostPerAddress > 0 && d.from[from] >= d.mostPerAddress:
		return errAddress
	case len(d.inside) >= d.most || d.shaking.Len() >= maxShaking:
		if !d.makeRoom(now) {
			return errFull
		}
	}
	v := &visit{conn: c, from: from, since: now}
	v.shaking = d.shaking.PushBack(v)
	d.inside[c] = v
	d.from[from]++
	d.gone.Add(1)
	return nil
}

// makeRoom ends the handshake that has taken longest, if its time of grace is
// over, and reports whether it did. The caller holds mu.
func (d *door) makeRoom(now time.Time) bool {
	oldest := d.shaking.Front()
	if oldest == nil {
		return false
	}
	v := oldest.Value.(*visit)
	if now.Sub(v.since) < shakingGrace {
		return false
	}
	v.conn.cancel()
	d.remove(v)
	return true
}

// settle is for a connection that has shaken hands, or that need not. Spectators
// get three of four places at most.
func (d *door) settle(c *conn, spectator bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.inside[c]
	if v == nil {
		return errFull // it made room for another
	}
	if spectator && d.spectators >= max(1, d.most/4*3) {
		return errFull
	}
	d.shaking.Remove(v.shaking)
	v.shaking = nil
	if v.spectator = spectator; spectator {
		d.spectators++
	}
	return nil
}

func (d *door) leave(c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.inside[c]; v != nil {
		d.remove(v)
	}
	d.gone.Done()
}

// remove gives a connection's place back. The caller holds mu.
func (d *door) remove(v *visit) {
	delete(d.inside, v.conn)
	if d.from[v.from]--; d.from[v.from] == 0 {
		delete(d.from, v.from)
	}
	if v.shaking != nil {
		d.shaking.Remove(v.shaking)
	}
	if v.spectator {
		d.spectators--
	}
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
