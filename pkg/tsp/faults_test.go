package tsp

import (
	"crypto"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// faults are what an authority may do that is broken, or bad. Each makes the
// handler of one; at is what honest ones show.
var faults = map[string]func(t *testing.T, a *testAuthority, at time.Time) http.HandlerFunc{
	"silent": func(*testing.T, *testAuthority, time.Time) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // else the server does not see the client go
			<-r.Context().Done()
		}
	},
	"slow, after half an answer": func(*testing.T, *testAuthority, time.Time) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", ReplyType)
			w.Write([]byte{0x30, 0x82})
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	},
	"gone": func(*testing.T, *testAuthority, time.Time) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	},
	"failing": func(*testing.T, *testAuthority, time.Time) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	},
	"an hour ahead": func(t *testing.T, a *testAuthority, now time.Time) http.HandlerFunc {
		return a.handler(t, at(now.Add(time.Hour)))
	},
	"an hour behind": func(t *testing.T, a *testAuthority, now time.Time) http.HandlerFunc {
		return a.handler(t, at(now.Add(-time.Hour)))
	},
	"signing with junk": func(t *testing.T, a *testAuthority, now time.Time) http.HandlerFunc {
		cfg := a.issuerConfig(at(now))
		cfg.Key = junkSigner{cfg.Key}
		issuer, err := NewIssuer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return responding(issuer)
	},
	"answering junk": func(*testing.T, *testAuthority, time.Time) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", ReplyType)
			w.Write(make([]byte, 2*MaxResponse))
		}
	},
	"telling everybody another time": func(t *testing.T, a *testAuthority, now time.Time) http.HandlerFunc {
		var calls atomic.Int64
		ahead, behind := a.handler(t, at(now.Add(time.Hour))), a.handler(t, at(now.Add(-time.Hour)))
		return func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1)%2 == 0 {
				ahead(w, r)
			} else {
				behind(w, r)
			}
		}
	},
}

type junkSigner struct{ crypto.Signer }

func (junkSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, 70), nil
}

func (a *testAuthority) handler(t *testing.T, now func() time.Time) http.HandlerFunc {
	t.Helper()
	return responding(a.issuer(t, now))
}

func responding(issuer *Issuer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Content-Type", ReplyType)
		w.Write(issuer.Respond(body))
	}
}

// With n = 3f+1 authorities and q = 2f+1, f that are broken or bad stop nobody, and
// move nobody's time out of the range of the honest ones.
func TestFaultyAuthorities(t *testing.T) {
	for name, fault := range faults {
		for f := 1; f <= 2; f++ {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				n, q := 3*f+1, 2*f+1
				authorities, verifiers := newTestAuthorities(t, n)
				cfg := ClientConfig{Quorum: q, HTTP: &http.Client{Transport: &http.Transport{}}}
				for i, a := range authorities {
					// The bad ones are first, as their order must not matter.
					handler := a.handler(t, at(start.Add(time.Duration(i)*time.Second)))
					if i < f {
						handler = fault(t, a, start)
					}
					server := httptest.NewServer(handler)
					t.Cleanup(server.Close)
					cfg.Endpoints = append(cfg.Endpoints, Endpoint{verifiers[i], server.URL})
				}
				t.Cleanup(cfg.HTTP.CloseIdleConnections)
				client, err := NewClient(cfg)
				if err != nil {
					t.Fatal(err)
				}
				quorum, err := NewQuorum(verifiers, q)
				if err != nil {
					t.Fatal(err)
				}
				first, last := auction.TimeOf(start.Add(time.Duration(f)*time.Second)), auction.TimeOf(start.Add(time.Duration(n)*time.Second))
				for range 4 {
					tokens, got, err := client.Stamp(t.Context(), digestOf("bid"))
					if err != nil {
						t.Fatal(err)
					}
					again, _, err := quorum.Verify(tokens, digestOf("bid"))
					if err != nil || again != got || got < first || got > last {
						t.Errorf("median %v, by another %v, not from %v to %v: %v", got, again, first, last, err)
					}
				}
			})
		}
	}
}
