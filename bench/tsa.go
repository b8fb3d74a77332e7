package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/services/ca"
)

// TSAConfig configures [TSA]. Server is required.
type TSAConfig struct {
	// Server is the command line of a process that runs our time authority: to it
	// are added --listen, --internal, --certificate and --key.
	Server []string
	Peers  string // folder of the module that builds sigstore's server; "" leaves it out

	Connections []int         // in turn
	Rounds      int           // of each server, in turn with the other, at each number of connections
	Duration    time.Duration // of each round
	Progress    io.Writer     // nil discards
}

// TSA measures time authorities over HTTP: stamps a second in a closed loop, the
// server's CPU time for each, and how long an answer took. Each server is a
// process of its own, with a P-256 key in memory, and gets the same requests from
// the same generator: SHA-256, a nonce, no certificates.
func TSA(ctx context.Context, cfg TSAConfig) (Result, error) {
	if len(cfg.Server) == 0 || cfg.Duration < 100*time.Millisecond {
		return Result{}, errors.New("bench tsa: a server and a duration of at least 100ms are needed")
	}
	c, err := newContest("stamps", cfg.Connections, cfg.Rounds, cfg.Progress)
	if err != nil {
		return Result{}, fmt.Errorf("bench tsa: %w", err)
	}
	dir, err := os.MkdirTemp("", "sigilo-bench-")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(dir)
	result := newResult("tsa")
	defer c.stop()
	if err := cfg.start(ctx, c, dir); err != nil {
		return Result{}, err
	}
	bodies, err := newQueries()
	if err != nil {
		return Result{}, err
	}
	err = c.run(ctx, func() ([]job, error) {
		jobs := make([]job, len(c.servers))
		for i := range jobs {
			jobs[i] = stampJob(bodies, cfg.Duration)
		}
		return jobs, nil
	}, result)
	return result, err
}

// queries is how many requests the generator has made beforehand: it is to be
// busy with the answers.
const queries = 256

func newQueries() ([][]byte, error) {
	bodies := make([][]byte, queries)
	for i := range bodies {
		request, err := tsp.NewRequest(sha256.Sum256([]byte{byte(i)}), nil, rand.Reader)
		if err != nil {
			return nil, err
		}
		if bodies[i], err = request.Marshal(); err != nil {
			return nil, err
		}
	}
	return bodies, nil
}

// stampJob asks for stamps for a while, at least for one.
func stampJob(bodies [][]byte, d time.Duration) job {
	return job{
		media: tsp.QueryType,
		body: func(number int, since time.Duration) []byte {
			if number > 0 && since >= d {
				return nil
			}
			return bodies[number%len(bodies)]
		},
		// That a stamp is granted is looked at, and no more: verifying it would
		// cost more than making it.
		look: func(answer []byte) error {
			_, err := tsp.ParseResponse(answer)
			return err
		},
	}
}

// start starts our server, and the peer if there is one, in this order.
func (cfg TSAConfig) start(ctx context.Context, c *contest, dir string) error {
	peer, err := buildPeer(ctx, cfg.Peers, timestampServer, dir)
	if err != nil {
		return err
	}
	if err := ca.Bootstrap(dir, ca.BootstrapConfig{House: bidHouse, Authorities: []string{bidAuthority}, Now: time.Now()}); err != nil {
		return err
	}
	key, certificate := ca.TSAFiles(bidAuthority, false)
	_, err = c.start(ctx, "sigilo", "/api/certificates", "/api/timestamp", func(address string) []string {
		return append(cfg.Server[:len(cfg.Server):len(cfg.Server)], "--listen", address, "--internal", "127.0.0.1:0",
			"--certificate", filepath.Join(dir, certificate), "--key", filepath.Join(dir, key))
	})
	if err != nil || peer == "" {
		return err
	}
	_, err = c.start(ctx, "peer", "/ping", "/api/v1/timestamp", func(address string) []string {
		host, port, _ := net.SplitHostPort(address) // startServer has joined them
		return []string{
			peer, "serve", "--host", host, "--port", port,
			"--timestamp-signer", "memory", "--disable-ntp-monitoring", "--log-type", "prod",
		}
	})
	return err
}
