package ops

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestClientAddress(t *testing.T) {
	inside := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, tt := range map[string]struct {
		proxies []netip.Prefix
		remote  string
		header  []string
		want    string
	}{
		"no proxies, and a header":         {nil, "10.1.2.3:4", []string{"192.0.2.1"}, "10.1.2.3"},
		"not a proxy":                      {inside, "192.0.2.9:4", []string{"192.0.2.1"}, "192.0.2.9"},
		"a proxy":                          {inside, "10.1.2.3:4", []string{"192.0.2.1"}, "192.0.2.1"},
		"a proxy by its mapped address":    {inside, "[::ffff:10.1.2.3]:4", []string{"192.0.2.1"}, "192.0.2.1"},
		"a proxy by IPv6":                  {inside, "[fd00::1]:4", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"two proxies":                      {inside, "10.1.2.3:4", []string{"192.0.2.1, 10.9.9.9"}, "192.0.2.1"},
		"two headers":                      {inside, "10.1.2.3:4", []string{"192.0.2.1", "10.9.9.9"}, "192.0.2.1"},
		"what the client made up":          {inside, "10.1.2.3:4", []string{"10.7.7.7, 203.0.113.5, 192.0.2.1"}, "192.0.2.1"},
		"nobody named":                     {inside, "10.1.2.3:4", nil, "10.1.2.3"},
		"an empty header":                  {inside, "10.1.2.3:4", []string{""}, "10.1.2.3"},
		"not an address":                   {inside, "10.1.2.3:4", []string{"192.0.2.1, unknown"}, "10.1.2.3"},
		"not an address before a good one": {inside, "10.1.2.3:4", []string{"unknown, 10.9.9.9"}, "10.9.9.9"},
		"proxies alone":                    {inside, "10.1.2.3:4", []string{"10.8.8.8, 10.9.9.9"}, "10.8.8.8"},
		"a socket without a port":          {inside, "@", []string{"192.0.2.1"}, "@"},
	} {
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Forwarded-For": tt.header}}
		if got := ClientAddress(tt.proxies)(r); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
