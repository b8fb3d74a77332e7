// Package allinone runs a whole auction house in one process: an embedded Redis
// or one that is there, the CA, the time authorities, and replicas of the DMS, on
// loopback ports. It is what demo and up run, and what tests speak to.
//
// The services are the real ones, and they meet over real sockets. Only the
// process is shared.
package allinone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"golang.org/x/sync/errgroup"

	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/ca"
	"github.com/sigilo/sigilo/services/dms"
	"github.com/sigilo/sigilo/services/tsa"
)

// Config says what house to run. The zero value of every field but Dir is fine.
type Config struct {
	Dir           string // keys, registry and logs; made if it is not there
	House         string // id; "demo" by default
	Replicas      int    // of the DMS; 2 by default
	Authorities   int    // of time; 1 by default
	RedisURL      string // "" starts an embedded Redis, which forgets everything when it stops
	SimulatedTime bool   // the time authorities stamp a time that the operator moves
	OpenEnrolment bool   // everybody may enrol under any name
	LogLevel      slog.Level
	Log           io.Writer // of all services; nil discards

	// OnFrame sees the plaintext of each frame that the DMS decrypted.
	OnFrame func([]byte)
}

func (c Config) withDefaults() Config {
	if c.House == "" {
		c.House = "demo"
	}
	if c.Replicas == 0 {
		c.Replicas = 2
	}
	if c.Authorities == 0 {
		c.Authorities = 1
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	return c
}

// House is a house that runs.
type House struct {
	Ready client.ReadyFile

	cfg      Config
	log      *slog.Logger
	targets  []target             // where metrics are
	embedded *miniredis.Miniredis // nil with a Redis of one's own
	redisURL string
	keys     string // folder
	replicas []*Replica
	group    *errgroup.Group
	ctx      context.Context
	cancel   context.CancelFunc
}

// Replica is one replica of the DMS, which can be stopped by itself.
type Replica struct {
	URL  string
	stop context.CancelFunc
	done chan error
}

// Stop ends the replica as a SIGTERM would, and waits for it.
func (r *Replica) Stop() error {
	r.stop()
	err := <-r.done
	r.done <- err // for whoever asks next
	return err
}

// readyTimeout bounds the start: keys, four listeners, a stamp, a policy.
const readyTimeout = 30 * time.Second

// Start starts a house and returns once all of it is ready. It ends when ctx
// does; Wait says how.
func Start(ctx context.Context, cfg Config) (*House, error) {
	h := &House{cfg: cfg.withDefaults()}
	h.log = ops.NewLogger(h.cfg.Log, h.cfg.LogLevel)
	h.ctx, h.cancel = context.WithCancel(ctx)
	h.group, h.ctx = errgroup.WithContext(h.ctx)
	if err := h.start(); err != nil {
		h.cancel()
		return nil, errors.Join(err, h.Wait())
	}
	return h, nil
}

// Wait returns when the house has stopped, with what stopped it, nil if that
// was its context.
func (h *House) Wait() error {
	err := h.group.Wait()
	if h.embedded != nil {
		h.embedded.Close()
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Stop ends the house and waits for it.
func (h *House) Stop() error {
	h.cancel()
	return h.Wait()
}

func (h *House) start() error {
	dir, err := filepath.Abs(h.cfg.Dir)
	if err != nil {
		return err
	}
	h.keys = filepath.Join(dir, "keys")
	names := make([]string, h.cfg.Authorities)
	for i := range names {
		names[i] = fmt.Sprintf("tsa%d", i+1)
	}
	if err := ca.Bootstrap(h.keys, ca.BootstrapConfig{
		House: h.cfg.House, Authorities: names, SimulatedTime: h.cfg.SimulatedTime, Now: time.Now(),
	}); err != nil {
		return err
	}
	token, err := identity.LoadSecret(h.file(ca.FileOperatorToken), 1<<10)
	if err != nil {
		return err
	}
	h.Ready = client.ReadyFile{
		House: h.cfg.House, RootCertificate: h.file(ca.FileRoot), OperatorToken: string(token),
	}
	if err := h.startRedis(); err != nil {
		return err
	}
	for _, name := range names {
		if err := h.startTSA(name); err != nil {
			return err
		}
	}
	if err := h.startCA(dir, names[0]); err != nil {
		return err
	}
	for range h.cfg.Replicas {
		if _, err := h.StartReplica(); err != nil {
			return err
		}
	}
	return h.waitReady()
}

func (h *House) file(name string) string { return filepath.Join(h.keys, name) }

func (h *House) startRedis() error {
	if h.redisURL = h.cfg.RedisURL; h.redisURL != "" {
		return nil
	}
	h.embedded = miniredis.NewMiniRedis()
	if err := h.embedded.Start(); err != nil {
		return fmt.Errorf("start the embedded redis: %w", err)
	}
	h.redisURL = "redis://" + h.embedded.Addr()
	return nil
}

// common is the part of a configuration that all services share here.
func (h *House) common() ops.Config {
	return ops.Config{Listen: "127.0.0.1:0", Internal: "127.0.0.1:0", LogLevel: h.cfg.LogLevel}
}

// addresses are where a service listens.
type addresses struct{ public, internal string }

// launch runs a service and waits until it listens.
func (h *House) launch(name string, run func(onListen func(public, internal string)) error) (addresses, error) {
	listening := make(chan addresses, 1)
	ended := make(chan error, 1)
	h.group.Go(func() error {
		err := run(func(public, internal string) { listening <- addresses{public, internal} })
		ended <- err
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	select {
	case at := <-listening:
		h.Ready.Metrics = append(h.Ready.Metrics, "http://"+at.internal+"/metrics")
		h.targets = append(h.targets, h.target(name, at.internal))
		return at, nil
	case err := <-ended:
		return addresses{}, fmt.Errorf("%s did not start: %w", name, errors.Join(err, h.ctx.Err()))
	}
}

func (h *House) startTSA(name string) error {
	key, certificate := ca.TSAFiles(name, h.cfg.SimulatedTime)
	cfg := tsa.Config{
		Config: h.common(), Certificate: h.file(certificate), Key: h.file(key),
		Accuracy: 100 * time.Millisecond, SimulatedTime: h.cfg.SimulatedTime, Log: h.log.With("service", name),
	}
	if h.cfg.SimulatedTime {
		cfg.OperatorToken = h.file(ca.FileOperatorToken)
	}
	at, err := h.launch(name, func(onListen func(string, string)) error {
		cfg.OnListen = func(public, internal net.Addr) { onListen(public.String(), internal.String()) }
		return tsa.Run(h.ctx, cfg)
	})
	h.Ready.TSA = append(h.Ready.TSA, "http://"+at.public)
	h.Ready.Names = append(h.Ready.Names, name)
	return err
}

func (h *House) startCA(dir, authority string) error {
	cfg := ca.Config{
		Config: h.common(), House: h.cfg.House, Registry: filepath.Join(dir, "registry.db"),
		Mode: ca.ModeInvite, CertificateLife: 8 * time.Hour, SimulatedTime: h.cfg.SimulatedTime,
		Log: h.log.With("service", "ca"),
	}.WithFiles(h.keys)
	if h.cfg.OpenEnrolment {
		cfg.Mode = ca.ModeOpen
	}
	if h.cfg.SimulatedTime {
		_, certificate := ca.TSAFiles(authority, true)
		cfg.TSA, cfg.TSACertificate = h.Ready.TSA[0], h.file(certificate)
	}
	at, err := h.launch("ca", func(onListen func(string, string)) error {
		cfg.OnListen = onListen
		return ca.Run(h.ctx, cfg)
	})
	h.Ready.CA = "http://" + at.public
	return err
}

// StartReplica starts one more replica of the DMS.
func (h *House) StartReplica() (*Replica, error) {
	n := len(h.replicas) + 1
	authorities := make(map[string]string, len(h.Ready.TSA))
	for i, url := range h.Ready.TSA {
		authorities[fmt.Sprintf("tsa%d", i+1)] = url
	}
	cfg := dms.Config{
		Config: h.common(), House: h.cfg.House, RedisURL: h.redisURL, CA: h.Ready.CA, TSA: authorities,
		Root: h.file(ca.FileRoot), Certificate: h.file(ca.FileDMS), Key: h.file(ca.FileDMSKey),
		LogKey: h.file(ca.FileLogKey), Policy: h.file(ca.FilePolicy), OperatorToken: h.file(ca.FileOperatorToken),
		SessionLife: 30 * time.Minute, MaxSessions: 20000, OnFrame: h.cfg.OnFrame,
		Log: h.log.With("service", "dms", "replica", n),
	}
	ctx, stop := context.WithCancel(h.ctx)
	r := &Replica{stop: stop, done: make(chan error, 1)}
	at, err := h.launch(fmt.Sprintf("dms%d", n), func(onListen func(string, string)) error {
		cfg.OnListen = onListen
		err := dms.Run(ctx, cfg)
		r.done <- err
		return err
	})
	if err != nil {
		stop()
		return nil, err
	}
	r.URL = "http://" + at.public
	h.replicas = append(h.replicas, r)
	h.Ready.DMS = append(h.Ready.DMS, r.URL)
	return r, nil
}

// Replicas returns the replicas of the DMS in the order of their start.
func (h *House) Replicas() []*Replica { return h.replicas }

// Client returns the house as a client pins it.
func (h *House) Client() (client.House, error) {
	root, err := os.ReadFile(h.Ready.RootCertificate)
	if err != nil {
		return client.House{}, err
	}
	return client.House{
		House: h.Ready.House, Root: string(root), CA: h.Ready.CA, TSA: h.Ready.TSA, Names: h.Ready.Names, DMS: h.Ready.DMS,
	}, nil
}

// readyPath is where a service says whether it can do its work.
func readyPath(metrics string) string { return strings.TrimSuffix(metrics, "metrics") + "readyz" }
