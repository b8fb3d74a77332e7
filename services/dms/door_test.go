package dms

import (
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
)

func TestDoor(t *testing.T) {
	d := newDoor(Config{MaxSessions: 3, MaxPerAddress: 2})
	d.knocks = ops.NewLimiter(0) // see TestKnocking
	conns := []*conn{{}, {}, {}, {}}
	steps := []struct {
		name string
		c    *conn
		from string
		want auction.Code
	}{
		{"first", conns[0], "192.0.2.1", ""},
		{"second of the address", conns[1], "192.0.2.1", ""},
		{"third of the address", conns[2], "192.0.2.1", auction.CodeRateLimited},
		{"the same address in IPv6", conns[2], "::ffff:192.0.2.1", auction.CodeRateLimited},
		{"another address", conns[2], "2001:db8::1", ""},
		{"one too many", conns[3], "198.51.100.1", auction.CodeOverloaded},
	}
	for _, s := range steps {
		if got := auction.CodeOf(d.enter(s.c, s.from)); got != s.want {
			t.Fatalf("%s: %q, want %q", s.name, got, s.want)
		}
	}
	d.leave(conns[0])
	if err := d.enter(conns[3], "192.0.2.1"); err != nil {
		t.Errorf("a place that was given back is taken: %v", err)
	}
	if inside := d.close(); len(inside) != 3 {
		t.Errorf("%d inside, want 3", len(inside))
	}
	if got := auction.CodeOf(d.enter(conns[0], "192.0.2.9")); got != auction.CodeOverloaded {
		t.Errorf("a closed door: %q", got)
	}
	for _, c := range conns[1:] {
		d.leave(c)
	}
	d.wait()
	if len(d.from) != 0 || len(d.inside) != 0 {
		t.Error("the door remembers who has left")
	}
}

func TestOneNetworkIsOneAddress(t *testing.T) {
	same := [][2]string{
		{"2001:db8::1", "2001:db8::ffff:1"}, {"192.0.2.1", "::ffff:192.0.2.1"}, {"none", ""}, {"fe80::1%eth0", "fe80::2%eth1"},
	}
	for _, s := range same {
		if ops.Network(s[0]) != ops.Network(s[1]) {
			t.Errorf("%s and %s are two", s[0], s[1])
		}
	}
	if ops.Network("2001:db8::1") == ops.Network("2001:db8:0:1::1") || ops.Network("192.0.2.1") == ops.Network("192.0.2.2") {
		t.Error("two networks are one")
	}
}

// An address may connect so often, whether its connections last or not.
func TestKnocking(t *testing.T) {
	d := newDoor(Config{MaxSessions: 100, MaxPerAddress: 5})
	start := time.Now()
	d.now = func() time.Time { return start }
	knock := func(from string) auction.Code {
		c := &conn{}
		err := d.enter(c, from)
		if err == nil {
			d.leave(c)
		}
		return auction.CodeOf(err)
	}
	for i := range 5 {
		if got := knock("192.0.2.1"); got != "" {
			t.Fatalf("knock %d: %q", i+1, got)
		}
	}
	if got := knock("192.0.2.1"); got != auction.CodeRateLimited {
		t.Errorf("one more: %q", got)
	}
	if got := knock("192.0.2.2"); got != "" {
		t.Errorf("another address: %q", got)
	}
	start = start.Add(2 * time.Second)
	if got := knock("192.0.2.1"); got != "" {
		t.Errorf("two seconds later: %q", got)
	}
}

// However many begin to shake hands, so many are in memory at once; an honest
// newcomer gets in as soon as the slowest has had its time.
func TestHalfOpenConnectionsAreBounded(t *testing.T) {
	d := newDoor(Config{MaxSessions: 2 * maxShaking})
	now := time.Now()
	d.now = func() time.Time { return now }
	ended := 0
	conns := make([]*conn, maxShaking)
	for i := range conns {
		conns[i] = &conn{cancel: func() { ended++ }}
		if err := d.enter(conns[i], "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	}
	newcomer := &conn{}
	if got := auction.CodeOf(d.enter(newcomer, "198.51.100.1")); got != auction.CodeOverloaded || ended != 0 {
		t.Errorf("while all have time: %q, %d ended", got, ended)
	}
	if err := d.settle(conns[0], false); err != nil {
		t.Errorf("one who has shaken hands: %v", err)
	}
	if err := d.enter(newcomer, "198.51.100.1"); err != nil {
		t.Errorf("a place that is free again: %v", err)
	}
	now = now.Add(shakingGrace)
	if err := d.enter(&conn{}, "198.51.100.1"); err != nil || ended != 1 {
		t.Errorf("when their time is over: %v, %d ended", err, ended)
	}
	if got := auction.CodeOf(d.settle(conns[1], false)); got != auction.CodeOverloaded {
		t.Errorf("the one who made room comes late: %q", got)
	}
	d.leave(conns[1])
	if d.shaking.Len() != maxShaking || len(d.inside) != maxShaking+1 {
		t.Errorf("%d shake hands and %d are inside", d.shaking.Len(), len(d.inside))
	}
}

// However many watch, there is room for those who bid.
func TestSpectatorsLeaveRoom(t *testing.T) {
	d := newDoor(Config{MaxSessions: 8})
	enter := func(spectator bool) error {
		c := &conn{}
		if err := d.enter(c, "192.0.2.1"); err != nil {
			return err
		}
		err := d.settle(c, spectator)
		if err != nil {
			d.leave(c)
		}
		return err
	}
	for i := range 6 {
		if err := enter(true); err != nil {
			t.Fatalf("spectator %d: %v", i+1, err)
		}
	}
	if got := auction.CodeOf(enter(true)); got != auction.CodeOverloaded {
		t.Errorf("a seventh spectator: %q", got)
	}
	for range 2 {
		if err := enter(false); err != nil {
			t.Errorf("a participant: %v", err)
		}
	}
}
