package client

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// Probe is how one part of the house answered when it was asked just now.
type Probe struct {
	Part      string        // a URL, of a time authority also its name
	Mode      string        // of the session with a replica, "" of others
	RoundTrip time.Duration // of a question and its answer
	Time      auction.Time  // of a time authority: what it stamped
	Err       error         // nil if the part works
}

// Certificate returns one's own certificate, ended or not.
func (c *Client) Certificate() (*identity.Certificate, error) {
	chain, err := c.profile.chain()
	if err != nil {
		return nil, err
	}
	if chain == nil {
		return nil, errNotEnrolled
	}
	return c.ownCertificate(chain)
}

// ProbeCA asks the CA for its public keys.
func (c *Client) ProbeCA(ctx context.Context) Probe {
	start := time.Now()
	_, err := c.keySet(ctx)
	return Probe{Part: c.profile.house.CA, RoundTrip: time.Since(start), Err: err}
}

// ProbeToken asks the CA for a session token, and first for a new certificate
// if that has ended.
func (c *Client) ProbeToken(ctx context.Context) Probe {
	c.mu.Lock()
	c.token = ""
	c.mu.Unlock()
	start := time.Now()
	_, _, err := c.session(ctx)
	return Probe{Part: c.profile.house.CA, RoundTrip: time.Since(start), Err: err}
}

// ProbeAuthorities asks each time authority of the policy for a stamp. It needs
// the policy, so it fails before the first connection to the house.
func (c *Client) ProbeAuthorities(ctx context.Context) ([]Probe, error) {
	c.mu.Lock()
	policy, known := c.house.Policies[c.house.InForce]
	c.mu.Unlock()
	if !known {
		return nil, auction.Refuse(auction.CodeUnavailable, "the house's policy is not known before the first connection")
	}
	authorities, err := accept.Authorities(policy, c.roots)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	endpoints := c.endpoints(authorities)
	c.mu.Unlock()
	out := make([]Probe, len(endpoints))
	for i, e := range endpoints {
		out[i] = c.probeAuthority(ctx, e)
		out[i].Part = e.Authority.Name() + " " + strings.TrimSuffix(e.URL, "/api/timestamp")
	}
	return out, nil
}

func (c *Client) probeAuthority(ctx context.Context, e tsp.Endpoint) Probe {
	stamper, err := tsp.NewClient(tsp.ClientConfig{
		Endpoints: []tsp.Endpoint{e}, Quorum: 1, HTTP: c.options.HTTP, Observe: c.options.OnStamp,
	})
	if err != nil {
		return Probe{Err: err}
	}
	var imprint [32]byte
	rand.Read(imprint[:]) // never fails
	start := time.Now()
	_, at, err := stamper.Stamp(ctx, imprint)
	return Probe{RoundTrip: time.Since(start), Time: at, Err: err}
}

// ProbeReplicas opens a session with each replica of the DMS, and leaves it.
func (c *Client) ProbeReplicas(ctx context.Context) []Probe {
	out := make([]Probe, len(c.profile.house.DMS))
	for i, url := range c.profile.house.DMS {
		start := time.Now()
		out[i].Part = url
		l, err := c.dial(ctx, url)
		if err == nil {
			out[i].Mode = l.session.Mode()
			l.ws.CloseNow()
		}
		out[i].RoundTrip, out[i].Err = time.Since(start), err
	}
	return out
}
