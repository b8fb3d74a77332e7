package ca

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

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
