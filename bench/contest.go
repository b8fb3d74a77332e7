package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// contest measures servers that do the same work: ours, and after it the peer if
// there is one.
type contest struct {
	unit        string // what a request gets, in plural, for names of figures
	servers     []*server
	connections []int // in turn
	rounds      int   // of each server, in turn with the other, at each number of connections
	progress    io.Writer
}

// newContest makes one without servers; progress nil discards.
func newContest(unit string, connections []int, rounds int, progress io.Writer) (*contest, error) {
	if len(connections) == 0 || rounds < 1 {
		return nil, errors.New("connections and rounds are needed")
	}
	for _, n := range connections {
		if n < 1 || n > 1024 {
			return nil, errors.New("1 to 1024 connections")
		}
	}
	if progress == nil {
		progress = io.Discard
	}
	return &contest{unit: unit, connections: connections, rounds: rounds, progress: progress}, nil
}

// A job is what a server is asked for in a round.
type job struct {
	media string // content type of the requests
	// body returns the body of the request with a number, from 0, so long after the
	// round began; nil ends the round. It is called concurrently.
	body func(number int, since time.Duration) []byte
	look func(answer []byte) error // reports what is wrong with an answer
}

// done is what one server did in its rounds.
type done struct {
	count     uint64
	cpu, took time.Duration
	latency   latencies
}

func (d *done) cpuEach() float64 {
	return float64(d.cpu) / float64(time.Microsecond) / float64(d.count)
}

func (d *done) rate() float64 { return float64(d.count) / d.took.Seconds() }

// start starts a server, to be measured beside those before it, and returns its base
// URL.
func (c *contest) start(ctx context.Context, name, ready, path string, argv func(address string) []string) (string, error) {
	s, err := startServer(ctx, name, ready, path, argv)
	if err != nil {
		return "", err
	}
	c.servers = append(c.servers, s)
	return strings.TrimSuffix(s.url, path), nil
}

// run measures all servers. prepare returns the jobs of one round, by server.
func (c *contest) run(ctx context.Context, prepare func() ([]job, error), result Result) error {
	for _, connections := range c.connections {
		sums := make([]done, len(c.servers))
		for round := range c.rounds {
			jobs, err := prepare()
			if err != nil {
				return err
			}
			for i, s := range c.servers {
				if err := s.work(ctx, connections, jobs[i], &sums[i]); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				fmt.Fprintf(c.progress, "%s, %d connections, round %d: %d %s so far\n",
					s.name, connections, round+1, sums[i].count, c.unit)
			}
		}
		c.report(connections, sums, result)
	}
	return nil
}

func (c *contest) report(connections int, sums []done, result Result) {
	at := "_c" + strconv.Itoa(connections)
	for i, s := range c.servers {
		result.set(s.name+at+"_"+c.unit+"_per_second", sums[i].rate())
		result.set(s.name+at+"_cpu_us", sums[i].cpuEach())
		sums[i].latency.report(result, s.name+at+"_")
	}
	if len(sums) < 2 {
		return
	}
	ours, peer := &sums[0], &sums[1]
	result.ratio("cpu_per_"+strings.TrimSuffix(c.unit, "s")+"_to_peer"+at, ours.cpuEach(), peer.cpuEach())
	result.ratio(c.unit+"_per_second_to_peer"+at, ours.rate(), peer.rate())
	result.ratio("p99_to_peer"+at, ms(ours.latency.quantile(0.99)), ms(peer.latency.quantile(0.99)))
}

func (c *contest) stop() {
	for _, s := range c.servers {
		s.stop()
	}
}

// work has a server do a job over so many connections, each of which asks again as
// soon as it is answered, and adds what it did to sum.
func (s *server) work(ctx context.Context, connections int, j job, sum *done) error {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: httpTimeout}
	before, err := cpuOf(s.pid)
	if err != nil {
		return fmt.Errorf("measure its time: %w", err)
	}
	var number atomic.Int64
	var count atomic.Uint64
	var failure atomic.Pointer[error] // the first; it ends the round
	var workers sync.WaitGroup
	begin := time.Now()
	for range connections {
		workers.Go(func() {
			for ctx.Err() == nil && failure.Load() == nil {
				body := j.body(int(number.Add(1)-1), time.Since(begin))
				if body == nil {
					return
				}
				sent := time.Now()
				if err := s.ask(ctx, client, j, body); err != nil {
					failure.CompareAndSwap(nil, &err)
					return
				}
				sum.latency.add(time.Since(sent))
				count.Add(1)
			}
		})
	}
	workers.Wait()
	sum.took += time.Since(begin)
	sum.count += count.Load()
	if first := failure.Load(); first != nil {
		return *first
	}
	after, err := cpuOf(s.pid)
	sum.cpu += after - before
	return errors.Join(err, ctx.Err())
}

// maxAnswer bounds what a server answers, in bytes.
const maxAnswer = 64 << 10

// ask sends one request.
func (s *server) ask(ctx context.Context, client *http.Client, j job, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", j.media)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 { // a peer answers 201
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return j.look(answer)
}
