package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/services/ca"
)

// TSAConfig configures [TSA]. Server is required.
type TSAConfig struct {
	// Server is the command line of a process that runs our time authority: to it
	// are added --listen, --internal, --certificate and --key.
	Server []string
	Peer   string // path of sigstore's timestamp-server; "" leaves it out

	Connections []int         // in turn
	Rounds      int           // of each server, in turn with the other, at each number of connections
	Duration    time.Duration // of each round
	Progress    io.Writer     // nil discards
}

func (c TSAConfig) check() error {
	if len(c.Server) == 0 || len(c.Connections) == 0 || c.Rounds < 1 || c.Duration < 100*time.Millisecond {
		return errors.New("bench tsa: a server, connections, rounds, and a duration of at least 100ms are needed")
	}
	for _, n := range c.Connections {
		if n < 1 || n > 1024 {
			return errors.New("bench tsa: 1 to 1024 connections")
		}
	}
	return nil
}

// TSA measures time authorities over HTTP: stamps a second in a closed loop, the
// server's CPU time for each, and how long an answer took. Each server is a
// process of its own, with a P-256 key in memory, and gets the same requests from
// the same generator: SHA-256, a nonce, no certificates.
func TSA(ctx context.Context, cfg TSAConfig) (Result, error) {
	if err := cfg.check(); err != nil {
		return Result{}, err
	}
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	dir, err := os.MkdirTemp("", "sigilo-bench-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	result := newResult("tsa")
	servers, stop, err := cfg.start(ctx, dir)
	defer stop()
	if err != nil {
		return Result{}, err
	}
	for _, connections := range cfg.Connections {
		if err := cfg.compare(ctx, servers, connections, result); err != nil {
			return Result{}, err
		}
	}
	return result, nil
}

// stamped is what one server did in its rounds.
type stamped struct {
	count, failed uint64
	cpu, took     time.Duration
	latency       latencies
}

// compare measures all servers at one number of connections.
func (c TSAConfig) compare(ctx context.Context, servers []*server, connections int, result Result) error {
	sums := make([]stamped, len(servers))
	for round := range c.Rounds {
		for i, s := range servers {
			if err := s.stamp(ctx, connections, c.Duration, &sums[i]); err != nil {
				return err
			}
			fmt.Fprintf(c.Progress, "%s, %d connections, round %d: %d stamps so far\n", s.name, connections, round+1, sums[i].count)
		}
	}
	at := "_c" + strconv.Itoa(connections)
	for i, s := range servers {
		sum := &sums[i]
		if sum.count == 0 || sum.failed > 0 {
			return fmt.Errorf("%s gave %d stamps and failed %d times", s.name, sum.count, sum.failed)
		}
		result.set(s.name+at+"_stamps_per_second", float64(sum.count)/sum.took.Seconds())
		result.set(s.name+at+"_cpu_us", sum.cpuEach())
		sum.latency.report(result, s.name+at+"_")
	}
	if len(servers) == 2 {
		ours, peer := &sums[0], &sums[1]
		result.ratio("cpu_per_stamp_to_peer"+at, ours.cpuEach(), peer.cpuEach())
		result.ratio("stamps_per_second_to_peer"+at, float64(ours.count)*peer.took.Seconds(), float64(peer.count)*ours.took.Seconds())
		result.ratio("p99_to_peer"+at, ms(ours.latency.quantile(0.99)), ms(peer.latency.quantile(0.99)))
	}
	return nil
}

func (s *stamped) cpuEach() float64 {
	return float64(s.cpu) / float64(time.Microsecond) / float64(s.count)
}

// queries is how many requests the generator has made beforehand: it is to be
// busy with the answers.
const queries = 256

// stamp keeps so many connections busy for a while.
func (s *server) stamp(ctx context.Context, connections int, d time.Duration, sum *stamped) error {
	bodies := make([][]byte, queries)
	for i := range bodies {
		request, err := tsp.NewRequest(sha256.Sum256([]byte{byte(i)}), nil, rand.Reader)
		if err != nil {
			return err
		}
		if bodies[i], err = request.Marshal(); err != nil {
			return err
		}
	}
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: dialTimeout}
	before, err := cpuOf(s.pid)
	if err != nil {
		return fmt.Errorf("measure %s: %w", s.name, err)
	}
	var good, bad atomic.Uint64
	var workers sync.WaitGroup
	begin := time.Now()
	for w := range connections {
		workers.Go(func() {
			for i, more := w, true; more; i, more = i+connections, time.Since(begin) < d && ctx.Err() == nil {
				sent := time.Now()
				if err := ask(ctx, client, s.url, bodies[i%queries]); err != nil {
					bad.Add(1)
					continue
				}
				sum.latency.add(time.Since(sent))
				good.Add(1)
			}
		})
	}
	workers.Wait()
	sum.took += time.Since(begin)
	sum.count += good.Load()
	sum.failed += bad.Load()
	after, err := cpuOf(s.pid)
	sum.cpu += after - before
	return errors.Join(err, ctx.Err())
}

// ask gets one stamp. That it is granted is looked at, and no more: verifying it
// would cost more than making it.
func ask(ctx context.Context, client *http.Client, url string, query []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(query))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", tsp.QueryType)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, tsp.MaxResponse))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 { // the peer answers 201
		return fmt.Errorf("status %d", res.StatusCode)
	}
	_, err = tsp.ParseResponse(answer)
	return err
}

// start starts our server, and the peer if there is one, in this order.
func (c TSAConfig) start(ctx context.Context, dir string) (servers []*server, stop func(), err error) {
	stop = func() {
		for _, s := range servers {
			s.stop()
		}
	}
	if err := ca.Bootstrap(dir, ca.BootstrapConfig{House: bidHouse, Authorities: []string{bidAuthority}, Now: time.Now()}); err != nil {
		return nil, stop, err
	}
	key, certificate := ca.TSAFiles(bidAuthority, false)
	ours, err := startServer(ctx, "sigilo", "/api/timestamp", func(port int) []string {
		return append(c.Server[:len(c.Server):len(c.Server)], "--listen", loopback(port), "--internal", "127.0.0.1:0",
			"--certificate", filepath.Join(dir, certificate), "--key", filepath.Join(dir, key))
	})
	if err != nil {
		return nil, stop, err
	}
	servers = append(servers, ours)
	if c.Peer == "" {
		return servers, stop, nil
	}
	peer, err := startServer(ctx, "peer", "/api/v1/timestamp", func(port int) []string {
		return []string{
			c.Peer, "serve", "--host", "127.0.0.1", "--port", strconv.Itoa(port),
			"--timestamp-signer", "memory", "--disable-ntp-monitoring", "--log-type", "prod",
		}
	})
	if err != nil {
		return servers, stop, err
	}
	return append(servers, peer), stop, nil
}
