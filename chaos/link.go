package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// everybody is the IP address that all connect from who have none of their own.
const everybody = "127.0.0.1"

// A network makes doors.
type network struct {
	toxics *toxiproxy.ApiServer

	mu    sync.Mutex
	doors []*door // all; guarded by mu
}

func newNetwork() *network {
	return &network{toxics: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())}
}

// stop closes all doors, and ends what goes through them.
func (n *network) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.doors {
		d.close()
	}
}

// A door is where others find what listens on an address. Whoever connects from
// another IP address gets there by a link of its own.
type door struct {
	name     string // of what is behind it
	at, to   string // host:port
	toxics   *toxiproxy.ApiServer
	listener net.Listener

	mu    sync.Mutex
	links map[string]*link // by the IP address that they come from; guarded by mu
}

// door makes a door to an address, where nobody need listen yet.
func (n *network) door(name, to string) (*door, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(everybody, "0"))
	if err != nil {
		return nil, fmt.Errorf("make a door to %s: %w", name, err)
	}
	d := &door{name: name, at: l.Addr().String(), to: to, toxics: n.toxics, listener: l, links: make(map[string]*link)}
	n.mu.Lock()
	n.doors = append(n.doors, d)
	n.mu.Unlock()
	go d.serve()
	return d, nil
}

// serve lets in who connects, until close.
func (d *door) serve() {
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return // it is closed
		}
		source, _, _ := net.SplitHostPort(c.RemoteAddr().String()) // a TCP address has both
		go d.from(source).carry(c)
	}
}

// from returns the link of those who connect from an IP address.
func (d *door) from(source string) *link {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.links[source]
	if l == nil {
		proxy := toxiproxy.NewProxy(d.toxics, source+" to "+d.name, d.at, d.to) // which is never started: it holds toxics
		l = &link{proxy: proxy, to: d.to, toxics: d.toxics, open: make(map[*ending]bool)}
		d.links[source] = l
	}
	return l
}

func (d *door) close() {
	_ = d.listener.Close() // nothing is lost with it
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.links {
		l.cut()
	}
}

// A link is the way from one IP address to one address, which may be cut, silent
// or slow. It is for one fault at a time.
type link struct {
	proxy  *toxiproxy.Proxy
	to     string
	toxics *toxiproxy.ApiServer

	mu     sync.Mutex
	broken bool             // guarded by mu
	open   map[*ending]bool // of its connections; guarded by mu
}

// An ending is one of the two ends of a connection over a link.
type ending struct {
	net.Conn
	link *link
}

func (e *ending) Close() error {
	e.link.mu.Lock()
	delete(e.link.open, e)
	e.link.mu.Unlock()
	return e.Conn.Close()
}

// carry takes what somebody who connected sends to where the link leads, and back.
func (l *link) carry(c net.Conn) {
	far, err := net.DialTimeout("tcp", l.to, askTimeout)
	if err != nil {
		_ = c.Close() // nobody listens there
		return
	}
	name := c.RemoteAddr().String()
	from, to := &ending{c, l}, &ending{far, l}
	l.mu.Lock()
	broken := l.broken
	if !broken {
		l.open[from], l.open[to] = true, true
	}
	l.mu.Unlock()
	if broken {
		_, _ = c.Close(), far.Close() // nothing was sent
		return
	}
	l.proxy.Toxics.StartLink(l.toxics, name+" up", from, to, stream.Upstream)
	l.proxy.Toxics.StartLink(l.toxics, name+" down", to, from, stream.Downstream)
}

// cut ends all connections, and new ones as soon as they are there, until mend.
func (l *link) cut() {
	l.mu.Lock()
	l.broken = true
	ends := make([]*ending, 0, len(l.open))
	for e := range l.open {
		ends = append(ends, e)
	}
	l.mu.Unlock()
	for _, e := range ends {
		_ = e.Close() // that is what is wanted, whatever it says
	}
}

// mend undoes cut.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = false
}

// The toxics of a link. A silent one takes what is sent and delivers nothing;
// the connections end when it is taken out, as what they lost cannot be made good.
const (
	toxicDelay   = "latency"
	toxicSilence = "timeout"
)

// poison puts a toxic into both directions, until cure. The delay is for that
// toxic alone.
func (l *link) poison(toxic string, delay time.Duration) error {
	for _, direction := range []string{"upstream", "downstream"} {
		attributes := `{}`
		if toxic == toxicDelay {
			attributes = fmt.Sprintf(`{"latency":%d,"jitter":%d}`, delay.Milliseconds(), delay.Milliseconds()/2)
		}
		_, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(
			fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":%s}`, toxic+direction, toxic, direction, attributes)))
		if err != nil {
			return fmt.Errorf("poison the link from %s: %w", l.proxy.Name, err)
		}
	}
	return nil
}

// cure takes all toxics out.
func (l *link) cure(ctx context.Context) { l.proxy.Toxics.ResetToxics(ctx) }
