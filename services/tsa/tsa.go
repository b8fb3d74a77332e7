// Package tsa is a time authority: RFC 3161 time stamps over HTTP. It sees
// hashes, and never what they are of.
package tsa

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// maxTokenFile is far above the size of an operator's token, in bytes.
const maxTokenFile = 1024

// Run serves until ctx ends, and then answers what is in flight and returns nil.
// It refuses to start with a key, certificate and kind of time that do not fit
// each other.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	log := cfg.Log
	if log == nil {
		log = ops.NewLogger(os.Stdout, cfg.LogLevel)
	}
	registry := ops.Registry()
	s, err := newServer(cfg, log, registry)
	if err != nil {
		return err
	}
	return ops.Serve(ctx, ops.Server{
		Config:   cfg.Config,
		Handler:  s.handler(),
		Registry: registry,
		Log:      log,
		Ready:    func(context.Context) error { return s.times.issuer().Ready() },
		OnListen: cfg.OnListen,
		Background: func(ctx context.Context) error {
			if s.health == nil {
				<-ctx.Done()
				return ctx.Err()
			}
			return s.health.run(ctx)
		},
	})
}

// secrets are the contents of the files that a configuration names.
type secrets struct {
	key      *ecdsa.PrivateKey
	chain    [][]byte
	leaf     *x509.Certificate
	operator []byte // empty without simulated time
}

func loadSecrets(cfg Config) (secrets, error) {
	var s secrets
	passphrase, err := identity.LoadPassphrase(cfg.KeyPassphrase)
	if err != nil {
		return s, fmt.Errorf("key of the authority: %w", err)
	}
	if s.key, err = identity.LoadLockedKey(cfg.Key, passphrase); err != nil {
		return s, fmt.Errorf("key of the authority: %w", err)
	}
	if s.chain, err = identity.LoadChain(cfg.Certificate); err != nil {
		return s, fmt.Errorf("certificate of the authority: %w", err)
	}
	if s.leaf, err = x509.ParseCertificate(s.chain[0]); err != nil {
		return s, fmt.Errorf("certificate of the authority: %w", err)
	}
	if !cfg.SimulatedTime {
		return s, nil
	}
	token, err := identity.LoadSecret(cfg.OperatorToken, maxTokenFile)
	if err != nil {
		return s, fmt.Errorf("operator's token: %w", err)
	}
	if s.operator = bytes.TrimSpace(token); len(s.operator) == 0 {
		return s, errors.New("operator's token: the file is empty")
	}
	return s, nil
}

// issuerMaker returns what makes the authority anew over a clock.
func issuerMaker(cfg Config, s secrets, trusted func() error, observe func(error)) func(now func() time.Time) (*tsp.Issuer, error) {
	policy := tsp.RealTime
	if cfg.SimulatedTime {
		policy = tsp.SimulatedTime
	}
	return func(now func() time.Time) (*tsp.Issuer, error) {
		return tsp.NewIssuer(tsp.IssuerConfig{
			Key: s.key, Chain: s.chain, Policy: policy, Accuracy: cfg.Accuracy,
			Now: now, Rand: rand.Reader, Trusted: trusted, Observe: observe,
		})
	}
}
