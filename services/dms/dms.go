// Package dms is the Distribution/Messaging Server: a stateless replica that
// checks commands, keeps auctions in the store that it shares with its like,
// broadcasts their events, closes them, and relays the disclosure. It knows
// nobody's name.
//
// The way of a command reads top to bottom in pipeline.go.
package dms

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/broadcast"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/store"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

const (
	// clockEvery is how often the trusted time is read again; simulated time
	// may be moved by its operator at any moment.
	clockEvery          = 20 * time.Second
	clockEverySimulated = 500 * time.Millisecond
	// retryEvery is how often a replica tries to reach a store that is not
	// there yet: services start in any order.
	retryEvery = time.Second
	// maxTokenFile bounds the file of the operator's token, in bytes.
	maxTokenFile = 1 << 10
)

// Run runs a replica until ctx ends and everything in flight is answered.
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
	registry := ops.Registry()
	s, err := newServer(cfg, keys, registry, log)
	if err != nil {
		return err
	}
	defer s.cancel()
	st, err := openStore(ctx, cfg, keys, s, registry)
	if err != nil {
		return err
	}
	defer st.Stop()
	s.use(st, registry)
	s.crosscheck = newCrosscheck(st, s, keys.roots)
	s.checker.WatchStamps(s.crosscheck.saw)
	defer s.stop()
	return ops.Serve(ctx, ops.Server{
		Config: cfg.Config, Handler: s.handler(keys.operator), Registry: registry, Log: log,
		Ready: s.ready, Drain: s.drain, Background: func(ctx context.Context) error { return s.background(ctx, keys) },
		OnListen: func(public, internal net.Addr) {
			if cfg.OnListen != nil {
				cfg.OnListen(public.String(), internal.String())
			}
		},
	})
}

// keyring is what a replica reads from its files.
type keyring struct {
	roots    [][]byte
	chain    [][]byte
	key      *ecdsa.PrivateKey
	log      *evidence.LogSigner
	policy   []byte
	parsed   auction.Policy
	operator []byte
}

func loadKeys(cfg Config) (k keyring, err error) {
	if k.roots, err = identity.LoadChain(cfg.Root); err != nil {
		return k, fmt.Errorf("load root: %w", err)
	}
	if k.chain, err = identity.LoadChain(cfg.Certificate); err != nil {
		return k, fmt.Errorf("load certificate: %w", err)
	}
	passphrase, err := identity.LoadPassphrase(cfg.KeyPassphrase)
	if err != nil {
		return k, err
	}
	if k.key, err = identity.LoadLockedKey(cfg.Key, passphrase); err != nil {
		return k, err
	}
	secret, err := identity.LoadLockedSecret(cfg.LogKey, passphrase)
	if err != nil {
		return k, fmt.Errorf("load log key: %w", err)
	}
	if k.log, err = evidence.NewLogSigner(strings.TrimSpace(string(secret))); err != nil {
		return k, err
	}
	if k.policy, err = os.ReadFile(cfg.Policy); err != nil {
		return k, fmt.Errorf("load policy: %w", err)
	}
	if k.parsed, err = auction.ParsePolicy(k.policy); err != nil {
		return k, fmt.Errorf("read policy: %w", err)
	}
	if cfg.OperatorToken != "" {
		if k.operator, err = identity.LoadSecret(cfg.OperatorToken, maxTokenFile); err != nil {
			return k, fmt.Errorf("load operator token: %w", err)
		}
	}
	return k, k.fit(cfg.House)
}

// fit refuses a policy that is another house's, or names another log key.
func (k keyring) fit(house string) error {
	if k.parsed.House != house {
		return errors.New("the policy is of another house")
	}
	for _, root := range k.roots {
		if !slices.Contains(k.parsed.Roots, sha256.Sum256(root)) {
			return errors.New("the policy does not pin the root that is configured")
		}
	}
	logKey, err := evidence.ParseLogKey(k.parsed.LogKey)
	if err != nil {
		return fmt.Errorf("read the policy's log key: %w", err)
	}
	if !k.log.Fits(logKey) {
		return errors.New("the log key is not the one that the policy names")
	}
	return nil
}

// newServer makes all of a replica that needs no store.
func newServer(cfg Config, keys keyring, registry prometheus.Registerer, log *slog.Logger) (*server, error) {
	s := &server{
		cfg: cfg, log: log, metrics: newMetrics(registry), chain: keys.chain, key: keys.key,
		heads: &heads{house: cfg.House, signer: keys.log, latest: make(map[auction.LogID]signedHead)},
		door:  newDoor(cfg), limits: newLimits(), pingEvery: pingEvery, byeAfter: byeAfter,
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	var err error
	if s.checker, err = accept.New(cfg.House, keys.roots, s.observe); err != nil {
		return nil, err
	}
	s.authorities = &authorities{
		roots: keys.roots, urls: cfg.TSA, simulated: keys.parsed.Simulated, metrics: s.metrics,
		byPolicy: make(map[auction.Hash]*tsp.Client),
	}
	stamper, err := s.authorities.stamper(auction.PolicyHash(keys.policy), keys.parsed)
	if err != nil {
		return nil, err
	}
	s.clock = tsp.NewClock(stamper, nil, keys.parsed.Simulated)
	s.trust = &trust{
		ca: cfg.CA, house: cfg.House, verifier: s.checker.Verifier(),
		http: &http.Client{}, clock: s.clock.Now, log: log,
	}
	if keys.parsed.Simulated {
		s.trust.readTime = s.readTime
	}
	return s, s.watchHealth(registry, keys)
}

// openStore waits for a store that is not there yet.
func openStore(ctx context.Context, cfg Config, keys keyring, s *server, registry prometheus.Registerer) (*store.Store, error) {
	for {
		st, err := store.Open(ctx, store.Options{
			URL: cfg.RedisURL, House: cfg.House, Clock: s.clock.Now, Signer: keys.log,
			Log: s.log, Registerer: registry,
		})
		if err == nil {
			return st, nil
		}
		if auction.CodeOf(err) != auction.CodeUnavailable {
			return nil, err
		}
		s.log.WarnContext(ctx, "the store is not there yet", "error", err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(retryEvery):
		}
	}
}

// use gives the replica its store and what works on it.
func (s *server) use(st state, registry prometheus.Registerer) {
	s.store = st
	s.mail = newMail(s, st, s.log)
	s.hub = broadcast.New(broadcast.Options{
		Reader: st, Feed: st, Encode: wire.EventMessage, Log: s.log, Registerer: registry,
	})
	s.pump = broadcast.NewPump()
}

// stop ends what use began. The connections have ended before.
func (s *server) stop() {
	s.hub.Close()
	s.pump.Close()
}

// background is what a replica does between requests.
func (s *server) background(ctx context.Context, keys keyring) error {
	every := clockEvery
	if keys.parsed.Simulated {
		every = clockEverySimulated
	}
	closer := &closer{
		store: s.store, stamper: s.authorities.stamper, clock: s.clock.Now, log: s.log, metrics: s.metrics,
		closed: s.crosscheck.closed,
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.clock.Run(ctx, every) })
	group.Go(func() error { return s.trust.run(ctx) })
	group.Go(func() error { return s.mail.run(ctx) })
	group.Go(func() error { return s.beat(ctx) })
	group.Go(func() error { return closer.run(ctx) })
	group.Go(func() error { return s.adopt(ctx, keys.policy) })
	group.Go(func() error { return s.rebalance(ctx) })
	group.Go(func() error { return s.crosscheck.run(ctx) })
	return group.Wait()
}

// adopt brings the configured policy into force, as soon as there is a trusted
// time to do it at.
func (s *server) adopt(ctx context.Context, policy []byte) error {
	for {
		err := s.store.Adopt(ctx, policy)
		if err == nil {
			s.adopted.Store(true)
			<-ctx.Done()
			return ctx.Err()
		}
		if code := auction.CodeOf(err); !code.Temporary() {
			return fmt.Errorf("adopt the policy: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retryEvery / 10):
		}
	}
}

// ready says whether sessions can be opened and bids be judged.
func (s *server) ready(ctx context.Context) error {
	if _, err := s.clock.Now(); err != nil {
		return err
	}
	if err := s.trust.ready(); err != nil {
		return err
	}
	if !s.adopted.Load() {
		return errNotAdopted
	}
	_, err := s.store.House(ctx)
	return err
}

var errNotAdopted = auction.Refuse(auction.CodeUnavailable, "the house policy is not in force yet")
