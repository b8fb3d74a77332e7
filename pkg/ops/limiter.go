package ops

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	// maxAddresses bounds the memory of the limiter: about 200 bytes each.
	maxAddresses = 10_000
	// burstSeconds is how many seconds' worth of requests may come at once.
	burstSeconds = 10
)

// A Limiter bounds what one address may ask for. It is safe for concurrent use.
type Limiter struct {
	perSecond float64 // 0: no limit

	mu    sync.Mutex
	table map[netip.Addr]*rate.Limiter
}

// NewLimiter lets an address do something so many times a second, and ten
// seconds' worth of it at once. 0 is no limit.
func NewLimiter(perSecond float64) *Limiter {
	return &Limiter{perSecond: perSecond, table: map[netip.Addr]*rate.Limiter{}}
}

var errRate = auction.Refuse(auction.CodeRateLimited, "too many requests from this address: slow down")

// Allow refuses with rate_limited what an address does too often. now is a time
// of the machine, with its monotonic reading: a clock that is set changes nothing.
func (l *Limiter) Allow(address string, now time.Time) error {
	if l.perSecond == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket := l.bucket(Network(address), now)
	if bucket == nil || !bucket.AllowN(now, 1) {
		return errRate
	}
	return nil
}

// bucket returns the one of a network, nil if there is no room for it. The
// caller holds mu.
func (l *Limiter) bucket(from netip.Addr, now time.Time) *rate.Limiter {
	if bucket, ok := l.table[from]; ok {
		return bucket
	}
	burst := max(1, int(l.perSecond*burstSeconds))
	if len(l.table) >= maxAddresses {
		for address, bucket := range l.table {
			if bucket.TokensAt(now) >= float64(burst) { // as good as new
				delete(l.table, address)
			}
		}
		if len(l.table) >= maxAddresses {
			return nil
		}
	}
	bucket := rate.NewLimiter(rate.Limit(l.perSecond), burst)
	l.table[from] = bucket
	return bucket
}

// Network is what counts as one address: an IPv4 address, or the 64 bits of an
// IPv6 network, in which a host may take any address it likes. What is no address
// is all one.
func Network(address string) netip.Addr {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Addr{}
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return netip.Addr{}
	}
	return prefix.Addr()
}
