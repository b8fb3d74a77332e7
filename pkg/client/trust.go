package client

import (
	"context"
	"strings"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// trust is what follows from a policy.
type trust struct {
	hash    auction.Hash
	policy  auction.Policy
	quorum  *tsp.Quorum
	stamper *tsp.Client
	clock   *tsp.Clock
	logKey  evidence.LogKey
}

// trusted returns what follows from the policy in force, and connects to learn
// it if need be.
func (c *Client) trusted(ctx context.Context) (*trust, error) {
	c.mu.Lock()
	t := c.trust
	c.mu.Unlock()
	if t != nil {
		return t, nil
	}
	if _, err := c.connected(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trust, nil
}

// trustedFor returns what follows from the policy that judges a command: of the
// auction that it is for, as that was listed; for a listing itself the one in
// force.
func (c *Client) trustedFor(ctx context.Context, kind auction.Kind, id auction.ID) (*trust, error) {
	inForce, err := c.trusted(ctx)
	if err != nil || kind == auction.KindList {
		return inForce, err
	}
	terms, err := c.termsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch policy, known := c.house.Policies[terms.policy]; {
	case terms.policy == inForce.hash:
		return inForce, nil
	case c.earlier[terms.policy] != nil:
		return c.earlier[terms.policy], nil
	case !known:
		return nil, auction.Refuse(auction.CodeUnknownPolicy, "the auction is under a policy that the house log does not hold")
	default:
		t, err := c.newTrust(terms.policy, policy)
		if err != nil {
			return nil, err
		}
		c.earlier[terms.policy] = t
		return t, nil
	}
}

// newTrust makes what follows from a policy of the house log. The caller holds
// mu.
func (c *Client) newTrust(hash auction.Hash, policy auction.Policy) (*trust, error) {
	if policy.House != c.profile.house.House {
		return nil, auction.Refuse(auction.CodeUnknownPolicy, "the policy is of another house")
	}
	logKey, err := c.pinnedLogKey(policy.LogKey)
	if err != nil {
		return nil, err
	}
	authorities, err := accept.Authorities(policy, c.roots)
	if err != nil {
		return nil, err
	}
	quorum, err := tsp.NewQuorum(authorities, policy.Quorum)
	if err != nil {
		return nil, err
	}
	endpoints := c.endpoints(authorities)
	if len(endpoints) < policy.Quorum {
		return nil, auction.Refuse(auction.CodeUnknownPolicy, "the house file says where %d of the policy's time authorities are, and %d must stamp: ask for a new one", len(endpoints), policy.Quorum)
	}
	stamper, err := tsp.NewClient(tsp.ClientConfig{
		Endpoints: endpoints, Quorum: policy.Quorum, HTTP: c.options.HTTP, Observe: c.options.OnStamp,
	})
	if err != nil {
		return nil, err
	}
	return &trust{
		hash: hash, policy: policy, quorum: quorum, stamper: stamper, logKey: logKey,
		clock: tsp.NewClock(stamper, nil, policy.Simulated),
	}, nil
}

// endpoints says where those of a policy's authorities are that the house file
// knows. The caller holds mu.
func (c *Client) endpoints(authorities []*tsp.Authority) []tsp.Endpoint {
	urls, names := c.profile.house.TSA, c.profile.house.Names
	if names == nil { // an order is all that there is
		for _, a := range c.house.Policies[c.house.InForce].Authorities {
			names = append(names, a.Name)
		}
		if len(names) != len(urls) {
			return nil
		}
	}
	var out []tsp.Endpoint
	for _, a := range authorities {
		for i, name := range names {
			if name == a.Name() {
				out = append(out, tsp.Endpoint{Authority: a, URL: strings.TrimSuffix(urls[i], "/") + "/api/timestamp"})
			}
		}
	}
	return out
}
