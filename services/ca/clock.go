package ca

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// clock gives the CA's time. It refuses with unavailable.
type clock func(context.Context) (auction.Time, error)

// newClock returns this machine's clock: the dates of certificates and tokens
// are no rule of an auction. Under simulated time it is that of a time
// authority, asked each time, since an operator may have moved it a moment ago.
func newClock(cfg Config, keys *keyring) (clock, error) {
	if cfg.Clock != nil {
		return func(context.Context) (auction.Time, error) { return cfg.Clock() }, nil
	}
	if !cfg.SimulatedTime {
		return func(context.Context) (auction.Time, error) { return auction.TimeOf(time.Now()), nil }, nil
	}
	chain, err := identity.LoadChain(cfg.TSACertificate)
	if err != nil {
		return nil, fmt.Errorf("load certificate of the time authority: %w", err)
	}
	cert, err := keys.verifier.Verify(chain, identity.RoleTSA, time.Now())
	if err != nil {
		return nil, fmt.Errorf("time authority: %w", err)
	}
	if !cert.Simulated {
		return nil, errors.New("time authority: its certificate is for real time")
	}
	authority, err := tsp.NewAuthority(tsp.AuthorityConfig{
		House: cfg.House, Name: cert.Authority, Certificates: chain[:1],
		Roots: [][]byte{keys.root}, Policy: tsp.SimulatedTime,
	})
	if err != nil {
		return nil, fmt.Errorf("time authority: %w", err)
	}
	client, err := tsp.NewClient(tsp.ClientConfig{
		Endpoints: []tsp.Endpoint{{Authority: authority, URL: strings.TrimSuffix(cfg.TSA, "/") + "/api/timestamp"}},
		Quorum:    1,
	})
	if err != nil {
		return nil, fmt.Errorf("time authority: %w", err)
	}
	simulated := tsp.NewClock(client, nil, true)
	return func(ctx context.Context) (auction.Time, error) {
		if err := simulated.Refresh(ctx); err != nil {
			return 0, err
		}
		return simulated.Now()
	}, nil
}
