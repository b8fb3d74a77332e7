package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/store/localredis"
	"github.com/sigilo/sigilo/services/ca"
)

const (
	bidHouse     = "bench"
	bidAuthority = "tsa1"
)

// ownHouse is a house of a benchmark's own: CA and time authority in this
// process, Redis and the replicas in processes of their own, so that what each
// uses is its own.
type ownHouse struct {
	at      client.House
	stamper *benchStamper
	redis   *localredis.Deployment // nil if it is not ours
	dms     *dmsProcess
	others  []*dmsProcess // replicas beside the first

	redisURL string

	cancel context.CancelFunc
	group  *errgroup.Group // of the CA and the time authority
}

// houseConfig is what differs between the houses of benchmarks.
type houseConfig struct {
	dms      []string // command line of a process that calls [RunDMS]
	redisURL string   // "" starts a redis-server
	replicas int      // 0 is one
	plain    bool     // the replicas time no floor

	perAddress int // connections that the replica takes from one address; 0 is no limit
}

// startHouse starts all of a house, with its files in dir.
func startHouse(ctx context.Context, cfg houseConfig, dir string) (*ownHouse, error) {
	ctx, cancel := context.WithCancel(ctx)
	h := &ownHouse{cancel: cancel}
	h.group, ctx = errgroup.WithContext(ctx)
	if err := h.start(ctx, cfg, dir); err != nil {
		h.stop()
		return nil, err
	}
	return h, nil
}

func (h *ownHouse) start(ctx context.Context, cfg houseConfig, dir string) error {
	keys := filepath.Join(dir, "keys")
	err := ca.Bootstrap(keys, ca.BootstrapConfig{House: bidHouse, Authorities: []string{bidAuthority}, Now: time.Now()})
	if err != nil {
		return err
	}
	root, err := os.ReadFile(filepath.Join(keys, ca.FileRoot))
	if err != nil {
		return err
	}
	key, certificate := ca.TSAFiles(bidAuthority, false)
	if h.stamper, err = newBenchStamper(filepath.Join(keys, key), filepath.Join(keys, certificate)); err != nil {
		return err
	}
	h.redisURL = cfg.redisURL
	if h.redisURL == "" {
		if h.redis, err = localredis.Standalone(dir); err != nil {
			return err
		}
		h.redisURL = h.redis.URL
	}
	tsa, err := h.startTSA(ctx)
	if err != nil {
		return err
	}
	authority, err := h.startCA(ctx, keys, dir)
	if err != nil {
		return err
	}
	child := childConfig{House: bidHouse, Keys: keys, RedisURL: h.redisURL, CA: authority, TSA: tsa, Plain: cfg.plain, PerAddress: cfg.perAddress}
	if h.dms, err = startDMS(ctx, cfg.dms, child); err != nil {
		return err
	}
	h.at = client.House{House: bidHouse, Root: string(root), CA: authority, TSA: []string{tsa}, DMS: []string{h.dms.url}}
	for len(h.at.DMS) < cfg.replicas {
		other, err := startDMS(ctx, cfg.dms, child)
		if err != nil {
			return err
		}
		h.others = append(h.others, other)
		h.at.DMS = append(h.at.DMS, other.url)
	}
	return nil
}

// startTSA serves the stamper by HTTP, for the clock of the replica and for the
// bids whose stamp is part of what is measured.
func (h *ownHouse) startTSA(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for stamps: %w", err)
	}
	server := &http.Server{Handler: h.stamper, ReadHeaderTimeout: dialTimeout}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	h.group.Go(func() error {
		if err := server.Serve(listener); err != http.ErrServerClosed {
			return fmt.Errorf("serve stamps: %w", err)
		}
		return nil
	})
	return "http://" + listener.Addr().String(), nil
}

func (h *ownHouse) startCA(ctx context.Context, keys, dir string) (string, error) {
	listening := make(chan string, 1)
	cfg := ca.Config{
		Config: ops.Config{Listen: "127.0.0.1:0", Internal: "127.0.0.1:0"},
		House:  bidHouse, Registry: filepath.Join(dir, "registry.db"), Mode: ca.ModeOpen, CertificateLife: 8 * time.Hour,
		Log:      ops.NewLogger(io.Discard, slog.LevelError),
		OnListen: func(public, _ string) { listening <- public },
	}.WithFiles(keys)
	ended := make(chan error, 1)
	h.group.Go(func() error {
		err := ca.Run(ctx, cfg)
		ended <- err
		return err
	})
	select {
	case at := <-listening:
		return "http://" + at, nil
	case err := <-ended:
		return "", fmt.Errorf("the CA did not start: %w", err)
	}
}

// stop ends all of the house.
func (h *ownHouse) stop() {
	if h.dms != nil {
		h.dms.stop()
	}
	for _, other := range h.others {
		other.stop()
	}
	if h.redis != nil {
		h.redis.Stop()
	}
	h.cancel()
	_ = h.group.Wait() // what ended it is told already, or is its context
}
