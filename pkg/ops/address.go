package ops

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientAddress returns what tells whose address counts for a request: the
// connection's own, or, where that is a trusted proxy's, the one that the proxy
// names in X-Forwarded-For. The header is read from its end, past further trusted
// proxies: what stands before the first other address is that client's to make up.
func ClientAddress(proxies []netip.Prefix) func(*http.Request) string {
	trusted := func(address string) bool {
		ip, err := netip.ParseAddr(address)
		ip = ip.Unmap().WithZone("")
		return err == nil && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(ip) })
	}
	return func(r *http.Request) string {
		own, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			own = r.RemoteAddr
		}
		if !trusted(own) {
			return own
		}
		address := own
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for _, hop := range slices.Backward(hops) {
			hop = strings.Trim(strings.TrimSpace(hop), "[]")
			if _, err := netip.ParseAddr(hop); err != nil {
				return address // the nearest that was named well
			}
			if address = hop; !trusted(hop) {
				break
			}
		}
		return address
	}
}
