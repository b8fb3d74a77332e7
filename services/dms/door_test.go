package dms

import (
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
)

func TestDoor(t *testing.T) {
	d := newDoor(Config{MaxSessions: 3, MaxPerAddress: 2})
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
