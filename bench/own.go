package bench

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	dialTimeout = 5 * time.Second
	httpTimeout = 15 * time.Second // of one call to the CA or a time authority
)

// ownHTTP returns an HTTP client that reaches this machine and private networks
// alone: a load test is for what is one's own. The address is checked as it is
// dialed, so no name can point elsewhere a moment later, and no proxy is asked.
func ownHTTP(connections int) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		return checkOwn(address)
	}}
	return &http.Client{
		Timeout: httpTimeout,
		Transport: &http.Transport{
			DialContext: dialer.DialContext, MaxIdleConnsPerHost: connections, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: httpTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// checkOwn refuses an address that is not of this machine or a private network.
func checkOwn(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read an address: %w", err)
	}
	ip := at.Addr().Unmap()
	if ip.IsLoopback() || ip.IsPrivate() {
		return nil
	}
	return auction.Refuse(auction.CodeNotAllowed,
		"%s is neither this machine nor of a private network: load tests are for a house of one's own", ip)
}
