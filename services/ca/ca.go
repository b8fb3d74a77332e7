// Package ca is the Certificate Authority: it enrols people, signs their
// certificates, and issues session tokens and identity credentials. It alone in a
// house knows who is behind a key, and it knows nothing of what anybody bids.
//
// It needs nothing of the other services to start. Its registry (SQLite) has one
// writer, so a house runs one CA; while that one is down, nobody enrols or renews, and
// who has a certificate and a token goes on bidding.
package ca

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/ca/registry"
)

// Run runs the CA until ctx ends and everything in flight is answered.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	log := cfg.Log
	if log == nil {
		log = ops.NewLogger(os.Stdout, cfg.LogLevel)
	}
	keys, err := loadKeys(cfg)
	if err != nil {
		return err
	}
	clock, err := newClock(cfg, keys)
	if err != nil {
		return err
	}
	people, err := registry.Open(ctx, cfg.Registry, cmp.Or(cfg.MaxKeys, defaultMaxKeys))
	if err != nil {
		return err
	}
	metrics := ops.Registry()
	s := &server{
		cfg: cfg, log: log, keys: keys, people: people, clock: clock,
		provider: &provider{cfg: cfg},
		nonces:   newNonces(), limiter: ops.NewLimiter(cfg.Rate),
		metrics: newMetrics(metrics, map[string]time.Time{"ca": keys.issuer.NotAfter()}),
	}
	err = ops.Serve(ctx, ops.Server{
		Config: cfg.Config, Handler: s.handler(), Registry: metrics, Log: log, Ready: s.ready,
		Background: s.retire,
		OnListen: func(public, internal net.Addr) {
			if cfg.OnListen != nil {
				cfg.OnListen(public.String(), internal.String())
			}
		},
	})
	return errors.Join(err, people.Close())
}

// server is a CA at work.
type server struct {
	cfg      Config
	log      *slog.Logger
	keys     *keyring
	people   *registry.Registry
	clock    clock
	provider *provider // asked in oidc mode only
	nonces   *nonces
	limiter  *ops.Limiter
	metrics  *metrics
	list     revocationList
}

func (s *server) ready(ctx context.Context) error {
	if _, err := s.clock(ctx); err != nil {
		return err
	}
	return s.people.Ready(ctx)
}
