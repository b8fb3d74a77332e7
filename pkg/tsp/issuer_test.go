package tsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestNewIssuerRefuses(t *testing.T) {
	h := newTestHouse(t, 1)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(edit func(*x509.Certificate)) func(*IssuerConfig) {
		return func(c *IssuerConfig) { c.Chain = [][]byte{h.authority(t, "one", 2, edit).leaf.Raw} }
	}
	for name, edit := range map[string]func(*IssuerConfig){
		"no certificate":        func(c *IssuerConfig) { c.Chain = nil },
		"malformed certificate": func(c *IssuerConfig) { c.Chain[0] = c.Chain[0][1:] },
		"certificate too large": func(c *IssuerConfig) { c.Chain[1] = make([]byte, maxCertificate+1) },
		"root as the leaf":      func(c *IssuerConfig) { c.Chain = c.Chain[1:] },
		"another's key":         func(c *IssuerConfig) { c.Key = newTestKey(t, 9) },
		"a key on P-384":        func(c *IssuerConfig) { c.Key = p384 },
		"foreign policy":        func(c *IssuerConfig) { c.Policy = asn1.ObjectIdentifier{1, 2, 3} },
		"no policy":             func(c *IssuerConfig) { c.Policy = nil },
		"no accuracy":           func(c *IssuerConfig) { c.Accuracy = 0 },
		"accuracy in ns":        func(c *IssuerConfig) { c.Accuracy = time.Millisecond + 1 },
		"accuracy of hours":     func(c *IssuerConfig) { c.Accuracy = time.Hour },
		"certificate for simulated time": leaf(func(c *x509.Certificate) {
			c.Policies = append(c.Policies, testOID(t, SimulatedTime))
		}),
		"certificate for TLS": leaf(func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{testEKU(true, 1)} }),
	} {
		t.Run(name, func(t *testing.T) {
			cfg := h.authority(t, "one", 2, nil).issuerConfig(at(start))
			edit(&cfg)
			if _, err := NewIssuer(cfg); err == nil {
				t.Fatal("accepted")
			}
		})
	}
}

func TestIssuerRefusesTokens(t *testing.T) {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	good := mustMarshal(t, mustRequest(t, digestOf("bid"), RealTime))
	otherPolicy := mustMarshal(t, mustRequest(t, digestOf("bid"), SimulatedTime))
	for _, c := range []struct {
		name    string
		request []byte
		now     time.Time
		edit    func(*IssuerConfig)
		want    FailureInfo
	}{
		{"malformed", good[1:], start, nil, BadDataFormat},
		{"another policy", otherPolicy, start, nil, UnacceptedPolicy},
		{"before the certificate", good, start.Add(-2 * time.Hour), nil, TimeNotAvailable},
		{"after the certificate", good, leafEnd.Add(time.Second), nil, TimeNotAvailable},
		{"no randomness", good, start, func(c *IssuerConfig) { c.Rand = bytes.NewReader(nil) }, SystemFailure},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := a.issuerConfig(at(c.now))
			if c.edit != nil {
				c.edit(&cfg)
			}
			var observed error
			cfg.Observe = func(err error) { observed = err }
			issuer, err := NewIssuer(cfg)
			if err != nil {
				t.Fatal(err)
			}
			_, err = ParseResponse(issuer.Respond(c.request))
			var failure *Failure
			if !errors.As(err, &failure) || failure.Info != c.want {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if !errors.As(observed, &failure) || failure.Info != c.want {
				t.Fatalf("observed %v, want %v", observed, c.want)
			}
		})
	}
}

// A clock that stands still, is read by many, and gives each token a later time.
func TestIssuerOrdersItsTokens(t *testing.T) {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	v, issuer := a.verifier(t), a.issuer(t, at(start))
	const workers, each = 8, 25
	stamps := make([][]Stamp, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				request := mustRequest(t, digestOf("bid"), RealTime)
				_, stamp, err := v.VerifyResponse(issuer.Respond(mustMarshal(t, request)), request)
				if err != nil {
					t.Error(err)
					return
				}
				stamps[w] = append(stamps[w], stamp)
			}
		})
	}
	wg.Wait()
	serials := make(map[string]bool)
	var times []auction.Time
	for _, own := range stamps {
		for i, s := range own {
			if i > 0 && s.Time <= own[i-1].Time {
				t.Fatalf("a later token has the time %d, the one before it %d", s.Time, own[i-1].Time)
			}
			times = append(times, s.Time)
			serials[string(s.Serial)] = true
		}
	}
	slices.Sort(times)
	if n := len(slices.Compact(times)); n != workers*each || len(serials) != n {
		t.Fatalf("%d times and %d serial numbers for %d tokens", n, len(serials), workers*each)
	}
}

func TestIssuerClockSetBack(t *testing.T) {
	a := newTestHouse(t, 1).authority(t, "one", 2, nil)
	now := start
	issuer, v := a.issuer(t, func() time.Time { return now }), a.verifier(t)
	ask := func() (Stamp, error) {
		request := mustRequest(t, digestOf("bid"), RealTime)
		_, stamp, err := v.VerifyResponse(issuer.Respond(mustMarshal(t, request)), request)
		return stamp, err
	}
	first, err := ask()
	if err != nil {
		t.Fatal(err)
	}
	now = start.Add(-100 * time.Millisecond) // within the accuracy of 250 ms
	second, err := ask()
	if err != nil || second.Time != first.Time+1 {
		t.Fatalf("got %d (%v), want a microsecond after %d", second.Time, err, first.Time)
	}
	if err := issuer.Ready(); err != nil {
		t.Fatal(err)
	}
	now = start.Add(-300 * time.Millisecond)
	var failure *Failure
	if err := issuer.Ready(); !errors.As(err, &failure) {
		t.Fatalf("ready: %v", err)
	}
	if _, err := ask(); !errors.As(err, &failure) || failure.Info != TimeNotAvailable {
		t.Fatalf("got %v, want timeNotAvailable", err)
	}
	now = start.Add(time.Second)
	third, err := ask()
	if err != nil || third.Time != auction.TimeOf(now) {
		t.Fatalf("got %d (%v), want the clock's time again", third.Time, err)
	}
}

// failingKey is a key in a device that does not answer.
type failingKey struct{ testKey }

func (failingKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("device is gone")
}

func TestIssuerWithoutItsKey(t *testing.T) {
	cfg := newTestHouse(t, 1).authority(t, "one", 2, nil).issuerConfig(at(start))
	cfg.Key = failingKey{newTestKey(t, 2)}
	issuer, err := NewIssuer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	response := issuer.Respond(mustMarshal(t, mustRequest(t, digestOf("bid"), nil)))
	var failure *Failure
	if _, err := ParseResponse(response); !errors.As(err, &failure) || failure.Info != SystemFailure {
		t.Fatalf("got %v, want systemFailure", err)
	}
	if bytes.Contains(response, []byte("device")) {
		t.Fatal("the answer tells what happened inside")
	}
}
