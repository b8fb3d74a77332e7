// Package ca is the Certificate Authority: it enrols people, signs their
// certificates, and issues session tokens and identity credentials. It alone in a
// house knows who is behind a key, and it knows nothing of what anybody bids.
//
// It needs nothing of the other services to start. Its registry (SQLite) has one
// writer, so a house runs one CA; while that one is down, nobody enrols or renews, and
// who has a certificate and a token goes on bidding.
package ca

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
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
		nonces: newNonces(), limiter: newLimiter(cfg.Rate),
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

// keyring is what the CA reads from its files.
type keyring struct {
	root         []byte // DER
	intermediate []byte // DER
	issuer       *identity.Issuer
	verifier     *identity.Verifier
	tokens       *identity.TokenIssuer
	credentials  *identity.CredentialIssuer
	published    []byte       // the key set
	operator     auction.Hash // SHA-256 of the operator's token
}

// maxTokenFile and minToken bound the operator's token, in bytes: nobody guesses
// 128 bits.
const (
	maxTokenFile = 1 << 10
	minToken     = 22
)

func loadKeys(cfg Config) (*keyring, error) {
	k := &keyring{}
	root, err := identity.LoadChain(cfg.Root)
	if err != nil {
		return nil, fmt.Errorf("load root: %w", err)
	}
	k.root = root[0]
	if k.verifier, err = identity.NewVerifier(cfg.House, k.root); err != nil {
		return nil, err
	}
	if err := k.loadIssuer(cfg); err != nil {
		return nil, err
	}
	tokenKey, err := identity.LoadKey(cfg.TokenKey)
	if err != nil {
		return nil, fmt.Errorf("load token key: %w", err)
	}
	credentialKey, err := identity.LoadKey(cfg.CredentialKey)
	if err != nil {
		return nil, fmt.Errorf("load credential key: %w", err)
	}
	if tokenKey.Equal(credentialKey) {
		return nil, errors.New("the token key and the credential key are one: they must be two")
	}
	if k.tokens, err = identity.NewTokenIssuer(cfg.House, tokenKey); err != nil {
		return nil, err
	}
	if k.credentials, err = identity.NewCredentialIssuer(cfg.House, credentialKey); err != nil {
		return nil, err
	}
	set := identity.NewKeySet([]*identity.TokenIssuer{k.tokens}, []*identity.CredentialIssuer{k.credentials})
	if k.published, err = set.Marshal(); err != nil {
		return nil, err
	}
	return k, k.loadOperator(cfg.OperatorToken)
}

func (k *keyring) loadIssuer(cfg Config) error {
	chain, err := identity.LoadChain(cfg.Certificate)
	if err != nil {
		return fmt.Errorf("load CA certificate: %w", err)
	}
	key, err := identity.LoadKey(cfg.Key)
	if err != nil {
		return fmt.Errorf("load CA key: %w", err)
	}
	k.intermediate = chain[0]
	k.issuer, err = tryIssuer(chain, key, cfg.House, k.verifier)
	return err
}

// tryIssuer makes an issuer for participants, and tries it: a CA that issues what
// nobody accepts must not start.
func tryIssuer(chain [][]byte, key *ecdsa.PrivateKey, house string, verifier *identity.Verifier) (*identity.Issuer, error) {
	issuer, err := identity.NewIssuer(chain, key)
	if err != nil {
		return nil, err
	}
	end := issuer.NotAfter()
	leaf, err := issuer.Issue(&key.PublicKey, identity.Profile{
		Role: identity.RoleParticipant, House: house, NotBefore: end.Add(-time.Second), NotAfter: end,
	})
	if err != nil {
		return nil, err
	}
	if len(leaf) == 1 {
		return nil, errors.New("the CA certificate is the root's: the root stays offline, and the CA has an intermediate")
	}
	if _, err := verifier.Verify(leaf, identity.RoleParticipant, end); err != nil {
		return nil, fmt.Errorf("the CA certificate does not serve this house: %w", err)
	}
	return issuer, nil
}

func (k *keyring) loadOperator(path string) error {
	token, err := identity.LoadSecret(path, maxTokenFile)
	if err != nil {
		return fmt.Errorf("load operator token: %w", err)
	}
	token = bytes.TrimSpace(token)
	if len(token) < minToken {
		return fmt.Errorf("the operator token has fewer than %d characters", minToken)
	}
	k.operator = sha256.Sum256(token)
	return nil
}

// server is a CA at work.
type server struct {
	cfg     Config
	log     *slog.Logger
	keys    *keyring
	people  *registry.Registry
	clock   clock
	nonces  *nonces
	limiter *limiter
	metrics *metrics
	list    revocationList
}

func (s *server) ready(ctx context.Context) error {
	if _, err := s.clock(ctx); err != nil {
		return err
	}
	return s.people.Ready(ctx)
}
