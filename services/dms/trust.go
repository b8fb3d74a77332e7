package dms

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

const (
	// refreshEvery is how often the key set and the revocation list are
	// fetched: a revoked certificate opens no session a minute later.
	refreshEvery = time.Minute
	// refreshGap is the least time between two fetches that clients can cause
	// by showing a token of an unknown key.
	refreshGap = 2 * time.Second
	// fetchTimeout bounds one fetch; the CA is near and the documents small.
	fetchTimeout = 5 * time.Second
	maxDocument  = 4 << 20 // as large a list as can be verified
)

// trust is what this replica knows of the CA at the moment: its key set for
// tokens, and its revocation list. An outage of the CA leaves the last ones
// standing until the list ends.
type trust struct {
	ca       string // base URL
	house    string
	verifier *identity.Verifier
	http     *http.Client
	clock    auction.Clock
	readTime func(context.Context) // sets the clock anew; nil under real time
	log      *slog.Logger

	keys atomic.Pointer[identity.KeySet]
	list atomic.Pointer[identity.RevocationList]

	mu   sync.Mutex // one fetch at a time
	last time.Time  // of the latest fetch, by the monotonic clock
}

// run keeps the documents fresh until ctx ends.
func (t *trust) run(ctx context.Context) error {
	for {
		pause := refreshEvery
		if err := t.refresh(ctx, 0); err != nil && ctx.Err() == nil {
			t.log.WarnContext(ctx, "the CA's key set or revocation list was not renewed", "error", err)
			pause = refreshGap
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// refresh fetches both documents, unless that happened less than gap ago.
func (t *trust) refresh(ctx context.Context, gap time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.last.IsZero() && time.Since(t.last) < gap {
		return nil
	}
	t.last = time.Now()
	now, err := t.clock()
	if err != nil {
		return err
	}
	doc, err := t.fetch(ctx, "/.well-known/ca-public")
	if err != nil {
		return err
	}
	keys, err := identity.ParseKeySet(doc)
	if err != nil {
		return fmt.Errorf("parse key set: %w", err)
	}
	t.keys.Store(keys)
	issuer, err := t.fetch(ctx, "/ca.pem")
	if err != nil {
		return err
	}
	block, _ := pem.Decode(issuer)
	if block == nil {
		return errors.New("the CA's certificate is not PEM")
	}
	crl, err := t.fetch(ctx, "/crl.der")
	if err != nil {
		return err
	}
	list, err := t.verifier.RevocationList(crl, block.Bytes, now.Std())
	if err != nil {
		return fmt.Errorf("verify revocation list: %w", err)
	}
	if last := t.list.Load(); last != nil && list.Number < last.Number {
		return errors.New("the CA shows an older revocation list than before")
	}
	t.list.Store(list)
	return nil
}

func (t *trust) fetch(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(t.ca, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := t.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", path, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch %s: status %d", path, res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, maxDocument))
}

var errNoTrust = auction.Refuse(auction.CodeUnavailable, "the house cannot check certificates just now: try again")

// authenticate checks a certificate and its token, and fetches a newer key set
// or revocation list, or reads the time, before it refuses for want of one. What
// waits for somebody else it does by aside, whose error it returns.
func (t *trust) authenticate(ctx context.Context, checker *accept.Checker, token string, chain [][]byte, aside func(context.Context, func()) error) (*accept.Party, error) {
	party, err := t.check(checker, token, chain)
	if err != nil && t.readTime != nil {
		// An operator may have moved simulated time a moment ago: what the CA
		// made since then would be of the future here.
		if err := aside(ctx, func() { t.readTime(ctx) }); err != nil {
			return nil, err
		}
		party, err = t.check(checker, token, chain)
	}
	if err == nil || !errors.Is(err, identity.ErrUnknownKey) && auction.CodeOf(err) != auction.CodeUnavailable {
		return party, err
	}
	err = aside(ctx, func() {
		if err := t.refresh(ctx, refreshGap); err != nil {
			t.log.WarnContext(ctx, "the CA's key set or revocation list was not renewed", "error", err)
		}
	})
	if err != nil {
		return nil, err
	}
	return t.check(checker, token, chain)
}

func (t *trust) check(checker *accept.Checker, token string, chain [][]byte) (*accept.Party, error) {
	now, err := t.clock()
	if err != nil {
		return nil, err
	}
	keys, list := t.keys.Load(), t.list.Load()
	if keys == nil || list == nil {
		return nil, errNoTrust
	}
	return checker.Party(token, chain, keys, list, now)
}

// ready says whether sessions can be opened.
func (t *trust) ready() error {
	if t.keys.Load() == nil || t.list.Load() == nil {
		return errNoTrust
	}
	return nil
}
