package ca

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestLimiter(t *testing.T) {
	l := newLimiter(1)
	now := epoch
	for range burstSeconds {
		if err := l.allow("192.0.2.1", now); err != nil {
			t.Fatal(err)
		}
	}
	for address, want := range map[string]error{
		"192.0.2.1": errRate, "::ffff:192.0.2.1": errRate, "192.0.2.2": nil, "2001:db8::1": nil, "": nil,
	} {
		if err := l.allow(address, now); !errors.Is(err, want) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := l.allow("192.0.2.1", now.Add(time.Second)); err != nil {
		t.Errorf("a second later: %v", err)
	}
	for range burstSeconds - 1 {
		if err := l.allow("2001:db8::2", now); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.allow("2001:db8::3", now); !errors.Is(err, errRate) {
		t.Errorf("another address of one network: %v", err)
	}
	if err := newLimiter(0).allow("192.0.2.1", now); err != nil {
		t.Errorf("no limit: %v", err)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter(1)
	address := func(i int) string { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String() }
	for i := range maxAddresses {
		if err := l.allow(address(i), epoch); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.allow(address(maxAddresses), epoch); !errors.Is(err, errRate) {
		t.Errorf("one more than there is room for: %v", err)
	}
	if err := l.allow(address(0), epoch); err != nil {
		t.Errorf("one that is known: %v", err)
	}
	if err := l.allow(address(maxAddresses), epoch.Add(5*time.Second)); err != nil || len(l.table) > 10 {
		t.Errorf("when the others are idle: %v, %d entries", err, len(l.table))
	}
}

func TestRateOverHTTP(t *testing.T) {
	for _, behindProxy := range []bool{false, true} {
		t.Run(fmt.Sprintf("behind a proxy: %v", behindProxy), func(t *testing.T) {
			ca := startCA(t, newFolder(t), func(c *Config) {
				c.Rate = 0.1 // a burst of one
				if behindProxy {
					c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
			})
			nonce := func(from string) int {
				request := ca.request("GET", "/api/nonce", nil, "")
				request.Header.Set("X-Forwarded-For", from)
				response, _ := ca.do(request)
				return response.StatusCode
			}
			got := []int{nonce("192.0.2.1"), nonce("192.0.2.1"), nonce("192.0.2.2")}
			want := []int{200, 429, 429} // a header that anybody can send says nothing
			if behindProxy {
				want = []int{200, 429, 200}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestWrongOperatorTokensAreLimited(t *testing.T) {
	ca := startCA(t, newFolder(t), func(c *Config) { c.Rate = 0.1 })
	wantCode(t, "first", ca.call("GET", "/api/people", nil, nil, "x"), auction.CodeNotAllowed)
	wantCode(t, "second", ca.call("GET", "/api/people", nil, nil, "x"), auction.CodeRateLimited)
	wantCode(t, "the right one", ca.call("GET", "/api/people", nil, nil, ca.token), "")
}
