package dms

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/wire"
)

const (
	// rebalanceEvery is how often a replica compares itself with its like. A new
	// one has a minute to become ready in.
	rebalanceEvery = time.Minute
	// rebalanceSpread is over how long the goodbyes of one round are spread.
	rebalanceSpread = 30 * time.Second
	// peerTimeout bounds one question to another replica.
	peerTimeout = 2 * time.Second
	// maxPeers bounds how many replicas are asked, maxMetrics how much of an
	// answer is read.
	maxPeers   = 100
	maxMetrics = 1 << 20
)

// surplus returns how many of its own sessions a replica lets go in one round,
// when n replicas hold total of them: what is more than a tenth above the fair
// share, and at most a quarter, so that a mistake sends only a part away.
func surplus(own, total, n int) int {
	if n < 2 {
		return 0
	}
	fair := (total + n - 1) / n
	if own <= fair+max(1, fair/10) {
		return 0
	}
	return min(own-fair, max(1, own/4))
}

// rebalance spreads long-lived sessions over replicas that came later: once in a
// while it says goodbye to the surplus, who open their next connection wherever
// the balancer puts it. It does nothing without --peers, nor in a round in which
// a replica does not answer.
func (s *server) rebalance(ctx context.Context) error {
	if s.cfg.Peers == "" {
		<-ctx.Done()
		return ctx.Err()
	}
	tick := time.NewTicker(rebalanceEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		addresses, err := s.lookUp(ctx)
		if err == nil {
			err = s.rebalanceOver(ctx, addresses, rebalanceSpread)
		}
		if err != nil && ctx.Err() == nil {
			s.log.DebugContext(ctx, "no rebalancing in this round", "error", err)
		}
	}
}

// lookUp returns the internal addresses of all replicas, this one's among them.
func (s *server) lookUp(ctx context.Context) ([]string, error) {
	_, port, err := net.SplitHostPort(s.cfg.Internal)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	hosts, err := net.DefaultResolver.LookupHost(ctx, s.cfg.Peers)
	if err != nil {
		return nil, fmt.Errorf("look up the replicas: %w", err)
	}
	if len(hosts) > maxPeers {
		return nil, errors.New("there are more replicas than can be asked")
	}
	addresses := make([]string, len(hosts))
	for i, host := range hosts {
		addresses[i] = net.JoinHostPort(host, port)
	}
	return addresses, nil
}

// rebalanceOver lets the surplus go, given all replicas.
func (s *server) rebalanceOver(ctx context.Context, addresses []string, spread time.Duration) error {
	total := 0
	for _, address := range addresses {
		n, err := s.sessionsOf(ctx, address)
		if err != nil {
			return err
		}
		total += n
	}
	conns := s.door.some()
	n := surplus(len(conns), total, len(addresses))
	for _, c := range conns[:n] {
		c.bye(wire.ReasonRebalancing)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(spread / time.Duration(n)):
		}
	}
	return nil
}

// sessionsOf reads from a replica's metrics how many sessions it holds.
func (s *server) sessionsOf(ctx context.Context, address string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := s.trust.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("ask a replica: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("ask a replica: status %d", res.StatusCode)
	}
	total := 0
	lines := bufio.NewScanner(io.LimitReader(res.Body, maxMetrics))
	for lines.Scan() {
		sample, ok := strings.CutPrefix(lines.Text(), "sigilo_sessions{")
		if !ok {
			continue
		}
		_, value, _ := strings.Cut(sample, "} ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || n < 0 || n > 1e9 {
			return 0, errors.New("a replica's metrics cannot be read")
		}
		total += int(n)
	}
	return total, lines.Err()
}

// some returns the connections inside, in no order.
func (d *door) some() []*conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	conns := make([]*conn, 0, len(d.inside))
	for c := range d.inside {
		conns = append(conns, c)
	}
	return conns
}
