package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

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
	passphrase, err := identity.LoadPassphrase(cfg.KeyPassphrase)
	if err != nil {
		return nil, err
	}
	root, err := identity.LoadChain(cfg.Root)
	if err != nil {
		return nil, fmt.Errorf("load root: %w", err)
	}
	k.root = root[0]
	if k.verifier, err = identity.NewVerifier(cfg.House, k.root); err != nil {
		return nil, err
	}
	key, err := k.loadIssuer(cfg, passphrase)
	if err != nil {
		return nil, err
	}
	if err := k.loadSigners(cfg, passphrase, []*ecdsa.PrivateKey{key}); err != nil {
		return nil, err
	}
	return k, k.loadOperator(cfg.OperatorToken)
}

func (k *keyring) loadIssuer(cfg Config, passphrase string) (*ecdsa.PrivateKey, error) {
	chain, err := identity.LoadChain(cfg.Certificate)
	if err != nil {
		return nil, fmt.Errorf("load CA certificate: %w", err)
	}
	key, err := identity.LoadLockedKey(cfg.Key, passphrase)
	if err != nil {
		return nil, fmt.Errorf("load CA key: %w", err)
	}
	k.intermediate = chain[0]
	k.issuer, err = tryIssuer(chain, key, cfg.House, k.verifier)
	return key, err
}

// loadSigners reads the keys for tokens and credentials: the first of each kind signs, and
// all are published, so that verifiers know a key before it signs and for as long as
// something that it signed is good. None may be among the known keys.
func (k *keyring) loadSigners(cfg Config, passphrase string, known []*ecdsa.PrivateKey) error {
	tokens, err := loadEach(cfg.TokenKey, cfg.House, passphrase, identity.NewTokenIssuer, &known)
	if err != nil {
		return fmt.Errorf("load token key: %w", err)
	}
	credentials, err := loadEach(cfg.CredentialKey, cfg.House, passphrase, identity.NewCredentialIssuer, &known)
	if err != nil {
		return fmt.Errorf("load credential key: %w", err)
	}
	k.tokens, k.credentials = tokens[0], credentials[0]
	k.published, err = identity.NewKeySet(tokens, credentials).Marshal()
	return err
}

// loadEach makes an issuer of each key. None may be among the known ones, to which
// they are added.
func loadEach[T any](paths []string, house, passphrase string, issuer func(string, *ecdsa.PrivateKey) (T, error), known *[]*ecdsa.PrivateKey) ([]T, error) {
	if len(paths) == 0 {
		return nil, errors.New("there is none")
	}
	var issuers []T
	for _, path := range paths {
		key, err := identity.LoadLockedKey(path, passphrase)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(*known, func(other *ecdsa.PrivateKey) bool { return key.Equal(other) }) {
			return nil, fmt.Errorf("%s is in use already: each key is for one purpose", path)
		}
		*known = append(*known, key)
		i, err := issuer(house, key)
		if err != nil {
			return nil, err
		}
		issuers = append(issuers, i)
	}
	return issuers, nil
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
