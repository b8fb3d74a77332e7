package tsp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Media types of RFC 3161 section 3.4.
const (
	QueryType = "application/timestamp-query"
	ReplyType = "application/timestamp-reply"
)

// stampTimeout ends a call to one authority. It is below the freshness that a
// house asks of a stamp (5 s by default), since a later one would be of no use.
const stampTimeout = 3 * time.Second

// Endpoint is where an authority answers.
type Endpoint struct {
	Authority *Authority
	URL       string // of POST, such as https://host/api/timestamp
}

// ClientConfig configures a [Client]. Endpoints and Quorum are required.
type ClientConfig struct {
	Endpoints []Endpoint // in the order of the house policy
	Quorum    int        // q: odd, at most the number of endpoints

	// HTTP makes the calls; nil means http.DefaultClient. Redirects are not
	// followed whatever it says.
	HTTP *http.Client

	// Observe, if set, is told of each call that ended by itself: how long it
	// took and why it failed. It is called concurrently.
	Observe func(authority string, d time.Duration, err error)
}

// Client gets time stamps. It is safe for concurrent use.
type Client struct {
	cfg  ClientConfig
	http http.Client
}

// NewClient checks the configuration; see [NewQuorum] for its rules.
func NewClient(cfg ClientConfig) (*Client, error) {
	authorities := make([]*Authority, len(cfg.Endpoints))
	for i, e := range cfg.Endpoints {
		authorities[i] = e.Authority
	}
	if _, err := NewQuorum(authorities, cfg.Quorum); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg}
	if cfg.HTTP != nil {
		c.http = *cfg.HTTP
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// answer is what one authority said.
type answer struct {
	index int // of the endpoint
	token []byte
	stamp Stamp
	err   error
}

// Stamp asks all authorities at once for a stamp over a SHA-256 digest, each
// with a nonce of its own, and takes the first q good answers. It returns their
// tokens in the order of the policy and the median of their times. If fewer
// than q give a good one in 3 seconds, or ctx ends before, the refusal is
// [auction.CodeUnavailable], which wraps the reasons.
func (c *Client) Stamp(ctx context.Context, imprint [32]byte) (tokens [][]byte, at auction.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, stampTimeout)
	var calls sync.WaitGroup
	defer calls.Wait() // cancelled calls end at once, and none outlives us
	defer cancel()

	answers := make(chan answer, len(c.cfg.Endpoints))
	for i := range c.cfg.Endpoints {
		calls.Go(func() { answers <- c.ask(ctx, i, imprint) })
	}
	var good []answer
	var failures []error
	for range c.cfg.Endpoints {
		a := <-answers
		if a.err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", c.cfg.Endpoints[a.index].Authority.name, a.err))
			continue
		}
		if good = append(good, a); len(good) == c.cfg.Quorum {
			return inOrder(good)
		}
	}
	refusal := auction.Refuse(auction.CodeUnavailable, "too few time authorities answered: try again")
	return nil, 0, fmt.Errorf("%w (%w)", refusal, errors.Join(failures...))
}

func inOrder(good []answer) ([][]byte, auction.Time, error) {
	slices.SortFunc(good, func(a, b answer) int { return cmp.Compare(a.index, b.index) })
	tokens := make([][]byte, len(good))
	stamps := make([]Stamp, len(good))
	for i, a := range good {
		tokens[i], stamps[i] = a.token, a.stamp
	}
	return tokens, median(stamps), nil
}

// ask calls one authority and verifies its answer.
func (c *Client) ask(ctx context.Context, index int, imprint [32]byte) answer {
	e := c.cfg.Endpoints[index]
	start := time.Now()
	token, stamp, err := c.call(ctx, e, imprint)
	// A call that was cancelled, because others were faster, says nothing.
	if c.cfg.Observe != nil && !errors.Is(ctx.Err(), context.Canceled) {
		c.cfg.Observe(e.Authority.name, time.Since(start), err)
	}
	return answer{index, token, stamp, err}
}

func (c *Client) call(ctx context.Context, e Endpoint, imprint [32]byte) ([]byte, Stamp, error) {
	request, err := NewRequest(imprint, e.Authority.policyID, rand.Reader)
	if err != nil {
		return nil, Stamp{}, err
	}
	body, err := request.Marshal()
	if err != nil {
		return nil, Stamp{}, err
	}
	response, err := c.post(ctx, e.URL, body)
	if err != nil {
		return nil, Stamp{}, err
	}
	return e.Authority.VerifyResponse(response, request)
}

func (c *Client) post(ctx context.Context, url string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make time-stamp request: %w", err)
	}
	req.Header.Set("Content-Type", QueryType)
	req.Header.Set("Accept", ReplyType)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call time authority: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("call time authority: status %d", resp.StatusCode)
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != ReplyType {
		return nil, errors.New("call time authority: the answer is no time-stamp reply")
	}
	response, err := io.ReadAll(io.LimitReader(resp.Body, MaxResponse+1))
	if err != nil {
		return nil, fmt.Errorf("read time-stamp response: %w", err)
	}
	return response, nil // ParseResponse refuses one that is too large
}
