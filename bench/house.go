package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

var errUnexpected = errors.New("the house gave an answer to something else")

// house is the house under load, as its participants see it.
type house struct {
	id       string
	root     []byte
	ca       authority
	tsa      []string
	replicas []string
	http     *http.Client
	verifier *identity.Verifier
	random   io.Reader
	ctx      context.Context // of the connections

	// Set by learn, before any command.
	policy  auction.Policy
	hash    auction.Hash // of the policy
	logKey  evidence.LogKey
	stamper tsp.Stamper
	opened  time.Time    // when the first session was opened
	ready   auction.Time // the house's time then

	mu  sync.Mutex
	log auction.House // as far as it was read
}

func newHouse(ctx context.Context, at client.House, operator string, connections int) (*house, error) {
	block, _ := pem.Decode([]byte(at.Root))
	if block == nil {
		return nil, auction.Refuse(auction.CodeBadCertificate, "the house file's root is one certificate in PEM")
	}
	verifier, err := identity.NewVerifier(at.House, block.Bytes)
	if err != nil {
		return nil, err
	}
	web := ownHTTP(connections)
	return &house{
		id: at.House, root: block.Bytes, tsa: at.TSA, replicas: at.DMS, http: web, verifier: verifier,
		ca:     authority{house: at.House, url: at.CA, operator: operator, http: web},
		random: rand.Reader, ctx: ctx,
	}, nil
}

// learn reads the policy in force through a member's connection. The stamps come
// from issue, which makes them of the policy's authorities.
func (h *house) learn(ctx context.Context, m *member, issue func(*house, []*tsp.Authority) (tsp.Stamper, error)) error {
	l, err := m.connected(ctx)
	if err != nil {
		return err
	}
	h.opened, h.ready = time.Now(), l.ready.Time
	if err := h.sync(ctx, m); err != nil {
		return err
	}
	h.hash = h.log.InForce
	h.policy = h.log.Policies[h.hash]
	if h.policy.Simulated {
		return auction.Refuse(auction.CodeNotAllowed, "a house of simulated time shows nothing about a real one")
	}
	authorities, err := h.authorities()
	if err != nil {
		return err
	}
	h.stamper, err = issue(h, authorities)
	return err
}

// authorities are the time authorities of the policy.
func (h *house) authorities() ([]*tsp.Authority, error) {
	return accept.Authorities(h.policy, [][]byte{h.root})
}

// now is about the house's time.
func (h *house) now() auction.Time { return h.ready.Add(time.Since(h.opened)) }

// sync reads the house log up to its signed head.
func (h *house) sync(ctx context.Context, m *member) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		page, err := entriesFrom(ctx, m, auction.HouseLog, h.log.Size()+1)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			entry, err := e.Entry()
			if err != nil {
				return err
			}
			if err := h.log.Apply(entry.Public()); err != nil {
				return err
			}
		}
		if page.More {
			continue
		}
		policy, ok := h.log.Policies[h.log.InForce]
		if !ok {
			return auction.Refuse(auction.CodeUnavailable, "the house has no policy in force yet")
		}
		if h.logKey, err = evidence.ParseLogKey(policy.LogKey); err != nil {
			return err
		}
		head, err := evidence.OpenHead(page.Head, h.logKey, h.id, auction.HouseLog)
		if err != nil {
			return err
		}
		if !h.log.Has(head) {
			return auction.Refuse(auction.CodeHistoryChanged, "the house signed another head than its log's")
		}
		return nil
	}
}

func (h *house) head() auction.Head {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Head()
}

func entriesFrom(ctx context.Context, m *member, log auction.LogID, from uint64) (*wire.EntriesAnswer, error) {
	answer, err := m.request(ctx, func(id uint32) wire.ClientMessage {
		return &wire.EntriesRequest{ID: id, Log: log, From: from, View: wire.ViewPublic}
	})
	if err != nil {
		return nil, err
	}
	page, ok := answer.(*wire.EntriesAnswer)
	if !ok {
		return nil, errUnexpected
	}
	return page, nil
}

// askAuthorities makes stamps that the house's time authorities give over HTTP.
func askAuthorities(h *house, authorities []*tsp.Authority) (tsp.Stamper, error) {
	if len(h.tsa) != len(authorities) {
		return nil, auction.Refuse(auction.CodeUnknownPolicy,
			"the house file has %d time authorities, the policy %d", len(h.tsa), len(authorities))
	}
	cfg := tsp.ClientConfig{Quorum: h.policy.Quorum, HTTP: h.http}
	for i, a := range authorities {
		cfg.Endpoints = append(cfg.Endpoints, tsp.Endpoint{
			Authority: a, URL: strings.TrimSuffix(h.tsa[i], "/") + "/api/timestamp",
		})
	}
	return tsp.NewClient(cfg)
}

func digest(jws []byte) [32]byte { return sha256.Sum256(jws) }
