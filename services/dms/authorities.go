package dms

import (
	"fmt"
	"strings"
	"sync"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// authorities are the time authorities of the house's policies, as this replica
// reaches them. An auction is stamped and closed by those of the policy that it
// was listed under, whatever is in force by then.
type authorities struct {
	roots     [][]byte
	urls      map[string]string // by the authority's name
	simulated bool              // the kind of time that this replica's clock keeps
	metrics   *metrics

	mu       sync.Mutex
	byPolicy map[auction.Hash]*tsp.Client // policies are few: operators make them
}

var errOtherTime = auction.Refuse(auction.CodeUnavailable, "this house keeps another kind of time than the auction was listed under")

// admit refuses a policy whose kind of time is not that of this replica's clock:
// simulated time never judges what was listed under real time.
func (a *authorities) admit(p auction.Policy) error {
	if p.Simulated != a.simulated {
		return errOtherTime
	}
	return nil
}

// stamper returns what gets stamps that count under a policy.
func (a *authorities) stamper(hash auction.Hash, p auction.Policy) (tsp.Stamper, error) {
	if err := a.admit(p); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if client, ok := a.byPolicy[hash]; ok {
		return client, nil
	}
	known, err := accept.Authorities(p, a.roots)
	if err != nil {
		return nil, err
	}
	cfg := tsp.ClientConfig{Quorum: p.Quorum, Observe: a.metrics.stamped}
	for _, authority := range known {
		if url, ok := a.urls[authority.Name()]; ok {
			a.metrics.knows(authority.Name())
			cfg.Endpoints = append(cfg.Endpoints, tsp.Endpoint{
				Authority: authority, URL: strings.TrimSuffix(url, "/") + "/api/timestamp",
			})
		}
	}
	if len(cfg.Endpoints) < p.Quorum {
		return nil, fmt.Errorf("--tsa names %d of the policy's authorities, which demands stamps of %d", len(cfg.Endpoints), p.Quorum)
	}
	client, err := tsp.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	a.byPolicy[hash] = client
	return client, nil
}
