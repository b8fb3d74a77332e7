package allinone_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/services/allinone"
	"github.com/sigilo/sigilo/services/ca"
)

// Three of four authorities tell one bidder the true time and another, who has
// seen the first one's bid, an earlier one: so that the rules let it pass, and so
// that they do not. Each lie is proven while the auction runs, kept, counted, and
// shown to the operator.
func TestLyingAuthorityIsProven(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	patientPolicy(t, filepath.Join(dir, "keys"))
	h, err := allinone.Start(ctx, allinone.Config{Dir: dir, Replicas: 2, Authorities: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	seller := enrol(t, ctx, h, "sofia", "participant", h.Ready.DMS, client.Options{})
	honest := enrol(t, ctx, h, "bruno", "participant", h.Ready.DMS[:1], client.Options{})
	friend := enrol(t, ctx, h, "clara", "participant", h.Ready.DMS[:1], client.Options{})
	liar := newLiar(t, filepath.Join(dir, "keys"))
	id := liar.list(ctx, seller)
	trust, err := seller.Profile().Trust()
	if err != nil {
		t.Fatal(err)
	}
	for i, lie := range []struct {
		by      time.Duration
		refused auction.Code
	}{{10 * time.Second, ""}, {50 * time.Second, auction.CodeBeforeListing}} {
		before, err := honest.PrepareBid(ctx, id, auction.Amount(2000+1000*i))
		if err != nil {
			t.Fatal(err)
		}
		liar.stamp(&before, before.TS)
		if _, err := honest.Send(ctx, before); err != nil {
			t.Fatal(err)
		}
		after, err := friend.PrepareBid(ctx, id, auction.Amount(2500+1000*i))
		if err != nil {
			t.Fatal(err)
		}
		liar.stamp(&after, before.TS.Add(-lie.by))
		if _, err := friend.Send(ctx, after); auction.CodeOf(err) != lie.refused {
			t.Fatalf("stamped %v before: %v", lie.by, err)
		}
		for _, proof := range waitProofs(t, ctx, h, 3*(i+1)) {
			v, err := evidence.VerifyContradiction(proof, &trust)
			if err != nil || !v.Anchored || v.Authority == "tsa4" {
				t.Errorf("%+v: %v", v, err)
			}
		}
	}
	for n := range 4 {
		name := fmt.Sprintf(`sigilo_tsa_contradictions_total{authority="tsa%d"}`, n+1)
		if got, want := metric(t, ctx, h, name), n < 3; (got > 0) != want {
			t.Errorf("%s is %v, want it to have risen: %t", name, got, want)
		}
	}
}

// patientPolicy makes the keys of a house whose policy lets stamps be as far off
// as one may, so that what the test waits for does not matter to the rules.
func patientPolicy(t *testing.T, keys string) {
	t.Helper()
	cfg := ca.BootstrapConfig{House: "demo", Authorities: []string{"tsa1", "tsa2", "tsa3", "tsa4"}, Now: time.Now()}
	if err := ca.Bootstrap(keys, cfg); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(keys, ca.FilePolicy)
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := auction.ParsePolicy(doc)
	if err != nil {
		t.Fatal(err)
	}
	minute := time.Minute.Microseconds()
	p.Skew, p.Freshness, p.Grace = minute, minute, minute
	if doc, err = p.Encode(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, doc, 0o644); err != nil {
		t.Fatal(err)
	}
}

// liar holds the keys of the first three authorities.
type liar struct {
	t   *testing.T
	tsa []*clockwork
}

func newLiar(t *testing.T, keys string) *liar {
	t.Helper()
	l := &liar{t: t}
	for i := range 3 {
		keyFile, chainFile := ca.TSAFiles(fmt.Sprintf("tsa%d", i+1), false)
		key, err := identity.LoadKey(filepath.Join(keys, keyFile))
		if err != nil {
			t.Fatal(err)
		}
		chain, err := identity.LoadChain(filepath.Join(keys, chainFile))
		if err != nil {
			t.Fatal(err)
		}
		l.tsa = append(l.tsa, &clockwork{t, key, chain})
	}
	return l
}

// stamp replaces the stamps of a command.
func (l *liar) stamp(p *client.Prepared, at auction.Time) {
	l.t.Helper()
	p.TS, p.Stamps = at, nil
	for _, authority := range l.tsa {
		p.Stamps = append(p.Stamps, authority.real(l.t, sha256.Sum256([]byte(p.JWS)), at))
	}
}

// list lists an item as if half a minute ago, so that what is stamped a little
// less before comes after it.
func (l *liar) list(ctx context.Context, seller *client.Client) auction.ID {
	l.t.Helper()
	now, err := seller.Now(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	p, err := seller.PrepareList(ctx, client.Listing{
		Title: "A clock", Currency: "EUR", Minimum: 1000, Increment: 1, Closes: now.Add(10 * time.Minute), TieWindow: time.Second,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.stamp(&p, p.TS.Add(-30*time.Second))
	placed, err := seller.Send(ctx, p)
	if err != nil {
		l.t.Fatal(err)
	}
	return placed.Prepared.Auction
}

// real returns a token of real time, as exact as those of the house.
func (c *clockwork) real(t *testing.T, digest auction.Hash, at auction.Time) []byte {
	t.Helper()
	issuer, err := tsp.NewIssuer(tsp.IssuerConfig{
		Key: c.key, Chain: c.chain, Policy: tsp.RealTime, Accuracy: 100 * time.Millisecond, Now: at.Std, Rand: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	request, err := tsp.NewRequest(digest, tsp.RealTime, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := request.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	token, err := tsp.ParseResponse(issuer.Respond(der))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// waitProofs returns the proofs of a house once there are enough of them.
func waitProofs(t *testing.T, ctx context.Context, h *allinone.House, enough int) [][]byte {
	t.Helper()
	for {
		data := get(t, ctx, h.Ready.DMS[1]+"/api/contradictions", h.Ready.OperatorToken)
		proofs := bytes.SplitAfter(data, []byte("\n"))
		if proofs = proofs[:len(proofs)-1]; len(proofs) >= enough {
			return proofs
		}
	}
}

// metric returns the sum of a series over all services of a house.
func metric(t *testing.T, ctx context.Context, h *allinone.House, series string) float64 {
	t.Helper()
	sum := 0.0
	for _, url := range h.Ready.Metrics {
		for line := range strings.Lines(string(get(t, ctx, url, ""))) {
			var value float64
			if rest, ok := strings.CutPrefix(line, series+" "); ok {
				if _, err := fmt.Sscan(rest, &value); err != nil {
					t.Fatal(err)
				}
				sum += value
			}
		}
	}
	return sum
}

func get(t *testing.T, ctx context.Context, url, token string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v", url, res.StatusCode, err)
	}
	return data
}
