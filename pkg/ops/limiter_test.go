package ops

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

var limiterStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestLimiter(t *testing.T) {
	l := NewLimiter(1)
	now := limiterStart
	for range burstSeconds {
		if err := l.Allow("192.0.2.1", now); err != nil {
			t.Fatal(err)
		}
	}
	for address, want := range map[string]error{
		"192.0.2.1": errRate, "::ffff:192.0.2.1": errRate, "192.0.2.2": nil, "2001:db8::1": nil, "": nil,
	} {
		if err := l.Allow(address, now); !errors.Is(err, want) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := l.Allow("192.0.2.1", now.Add(time.Second)); err != nil {
		t.Errorf("a second later: %v", err)
	}
	for range burstSeconds - 1 {
		if err := l.Allow("2001:db8::2", now); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Allow("2001:db8::3", now); !errors.Is(err, errRate) {
		t.Errorf("another address of one network: %v", err)
	}
	if err := NewLimiter(0).Allow("192.0.2.1", now); err != nil {
		t.Errorf("no limit: %v", err)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l := NewLimiter(1)
	address := func(i int) string { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String() }
	for i := range maxAddresses {
		if err := l.Allow(address(i), limiterStart); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Allow(address(maxAddresses), limiterStart); !errors.Is(err, errRate) {
		t.Errorf("one more than there is room for: %v", err)
	}
	if err := l.Allow(address(0), limiterStart); err != nil {
		t.Errorf("one that is known: %v", err)
	}
	if err := l.Allow(address(maxAddresses), limiterStart.Add(5*time.Second)); err != nil || len(l.table) > 10 {
		t.Errorf("when the others are idle: %v, %d entries", err, len(l.table))
	}
}
