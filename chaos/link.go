package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sigilo/sigilo/pkg/store/localredis"
)

// A network makes links.
type network struct{ server *toxiproxy.ApiServer }

func newNetwork() network {
	return network{toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())}
}

// A link is the way to one address, which may be cut, silent or slow. It is for
// one fault at a time.
type link struct {
	proxy *toxiproxy.Proxy
	at    string // where to connect to, host:port
}

// to makes a link to an address, where nobody need listen yet.
func (n network) to(name, address string) (*link, error) {
	port, err := localredis.FreePort()
	if err != nil {
		return nil, err
	}
	at := fmt.Sprintf("127.0.0.1:%d", port)
	l := &link{proxy: toxiproxy.NewProxy(n.server, name, at, address), at: at}
	if err := l.proxy.Start(); err != nil {
		return nil, fmt.Errorf("start the proxy of %s: %w", name, err)
	}
	return l, nil
}

// cut ends all connections and refuses new ones, until mend.
func (l *link) cut() { l.proxy.Stop() }

// mend undoes cut.
func (l *link) mend(ctx context.Context) error {
	return await(ctx, "the port of "+l.proxy.Name, func(context.Context) error { return l.proxy.Start() })
}

// The toxics of a link. A silent one takes what is sent and delivers nothing.
const (
	toxicDelay   = "latency"
	toxicSilence = "timeout"
)

// poison puts a toxic into both directions, until cure. The delay is in
// milliseconds, 0 for silence.
func (l *link) poison(toxic string, delay time.Duration) error {
	for _, direction := range []string{"upstream", "downstream"} {
		attributes := `{}`
		if toxic == toxicDelay {
			attributes = fmt.Sprintf(`{"latency":%d,"jitter":%d}`, delay.Milliseconds(), delay.Milliseconds()/2)
		}
		_, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(
			fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":%s}`, toxic+direction, toxic, direction, attributes)))
		if err != nil {
			return fmt.Errorf("poison the link to %s: %w", l.proxy.Name, err)
		}
	}
	return nil
}

// cure takes all toxics out.
func (l *link) cure(ctx context.Context) { l.proxy.Toxics.ResetToxics(ctx) }
