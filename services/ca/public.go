package ca

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/services/ca/registry"
)

const (
	// listLife is how long a revocation list speaks: past it no DMS opens a
	// session, so an outage of the CA may last this long, and a list may be held back for
	// no longer.
	listLife = time.Hour
	// listFresh is after how long a new list is made although nobody was revoked.
	listFresh = 10 * time.Minute
	// Caches may answer for the CA for this long.
	cacheKeys = "public, max-age=300"
	cacheList = "public, max-age=30"
)

func (s *server) keySet(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderCacheControl, cacheKeys)
	return c.Blob(http.StatusOK, "application/jwk-set+json", s.keys.published)
}

func (s *server) intermediate(c echo.Context) error {
	c.Response().Header().Set(echo.HeaderCacheControl, cacheKeys)
	return c.Blob(http.StatusOK, "application/x-pem-file", identity.EncodeChain([][]byte{s.keys.intermediate}))
}

// description tells a person's program what house it speaks to. It is a help for the
// first contact, not a trust anchor: root_sha256 is to be compared with what the operator
// gave by another way, and is pinned from then on.
type description struct {
	House      string `json:"house"`
	Mode       string `json:"mode"`
	Simulated  bool   `json:"simulated_time"`
	Root       string `json:"root"` // DER
	RootSHA256 string `json:"root_sha256"`
	// In oidc mode: where to log in, and as which client.
	OIDCIssuer   string `json:"oidc_issuer,omitempty"`
	OIDCClientID string `json:"oidc_client_id,omitempty"`
}

func (s *server) describe(c echo.Context) error {
	return answer(c, description{
		House: s.cfg.House, Mode: s.cfg.Mode, Simulated: s.cfg.SimulatedTime,
		Root:       base64.RawURLEncoding.EncodeToString(s.keys.root),
		RootSHA256: auction.Hash(sha256.Sum256(s.keys.root)).String(),
		OIDCIssuer: s.cfg.OIDCIssuer, OIDCClientID: s.cfg.OIDCClientID,
	})
}

func (s *server) revocationList(c echo.Context) error {
	ctx := c.Request().Context()
	now, err := s.clock(ctx)
	if err != nil {
		return err
	}
	der, err := s.list.get(ctx, s.people, s.keys.issuer, now)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, cacheList)
	return c.Blob(http.StatusOK, "application/pkix-crl", der)
}

// revocationList keeps the latest list, so that fetching one costs nothing.
type revocationList struct {
	mu   sync.Mutex // held while a list is made: one is made at a time
	der  []byte     // nil: there is none, or it lacks a revocation
	made auction.Time
}

func (l *revocationList) get(ctx context.Context, people *registry.Registry, issuer *identity.Issuer, now auction.Time) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Simulated time may have been put back: a list from the future helps nobody.
	if age := now.Sub(l.made); l.der != nil && age >= 0 && age < listFresh {
		return l.der, nil
	}
	next, err := people.NextRevocation(ctx, now)
	if err != nil {
		return nil, err
	}
	at := now.Std()
	der, err := issuer.NewRevocationList(next.Number, at.Add(-backdate), at.Add(listLife), next.Entries)
	if err != nil {
		return nil, err
	}
	l.der, l.made = der, now
	return der, nil
}

// drop has the next get make a new list.
func (l *revocationList) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.der = nil
}
