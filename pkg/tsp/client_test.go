package tsp

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// roundTrip answers requests without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// reply is an HTTP answer.
func reply(status int, contentType string, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {contentType}},
		Body:       io.NopCloser(strings.NewReader(string(body))),
	}
}

// network sends a request to the authority whose name is the host.
type network map[string]roundTrip

func (n network) RoundTrip(r *http.Request) (*http.Response, error) { return n[r.URL.Host](r) }

// serving is an authority that answers as it should, d later than it is asked.
func (a *testAuthority) serving(t testing.TB, now func() time.Time, d time.Duration) roundTrip {
	issuer := a.issuer(t, now)
	return func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		select {
		case <-time.After(d):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		return reply(http.StatusOK, ReplyType, issuer.Respond(body)), nil
	}
}

// silent never answers.
func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func newTestClient(t testing.TB, verifiers []*Authority, q int, n http.RoundTripper, observe func(string, time.Duration, error)) *Client {
	t.Helper()
	cfg := ClientConfig{Quorum: q, HTTP: &http.Client{Transport: n}, Observe: observe}
	for _, v := range verifiers {
		cfg.Endpoints = append(cfg.Endpoints, Endpoint{v, "http://" + v.Name() + "/api/timestamp"})
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClientTakesTheFirstGoodOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, v := newTestAuthorities(t, 4)
		n := network{
			"t0": all[0].serving(t, at(start.Add(3*time.Second)), 30*time.Millisecond),
			"t1": silent,
			"t2": all[2].serving(t, at(start.Add(2*time.Second)), 20*time.Millisecond),
			"t3": all[3].serving(t, at(start.Add(1*time.Second)), 10*time.Millisecond),
		}
		var mu sync.Mutex
		var observed []string
		c := newTestClient(t, v, 3, n, func(name string, d time.Duration, err error) {
			mu.Lock()
			defer mu.Unlock()
			observed = append(observed, name+" "+d.String())
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		asked := time.Now()
		imprint := digestOf("bid")
		tokens, got, err := c.Stamp(t.Context(), imprint)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(asked); took != 30*time.Millisecond {
			t.Errorf("took %v: not as long as the third fastest", took)
		}
		q, err := NewQuorum(v, 3)
		if err != nil {
			t.Fatal(err)
		}
		want, stamps, err := q.Verify(tokens, imprint)
		if err != nil || want != got || got != auction.TimeOf(start.Add(2*time.Second)) || stamps[0].Authority != "t0" {
			t.Fatalf("got %d, verified as %d, %+v, %v", got, want, stamps, err)
		}
		if want := []string{"t3 10ms", "t2 20ms", "t0 30ms"}; !slices.Equal(observed, want) {
			t.Errorf("observed %v, want %v", observed, want)
		}
	})
}

// Each kind of bad answer counts as none.
func TestClientRefusesBadAnswers(t *testing.T) {
	all, v := newTestAuthorities(t, 2)
	var recorded []byte
	respond := func(a *testAuthority, edit func(*Request)) roundTrip {
		return func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			request, err := ParseRequest(body)
			if err != nil {
				return nil, err
			}
			edit(&request)
			request.messageImprint = nil
			return reply(http.StatusOK, ReplyType, a.issuer(t, at(start)).Respond(mustMarshal(t, request))), nil
		}
	}
	record := func(r *http.Request) (*http.Response, error) {
		resp, err := all[0].serving(t, at(start), 0)(r)
		if err == nil {
			recorded, err = io.ReadAll(resp.Body)
		}
		return reply(http.StatusOK, ReplyType, recorded), err
	}
	imprint := digestOf("bid")
	if _, _, err := newTestClient(t, v[:1], 1, network{"t0": record}, nil).Stamp(t.Context(), imprint); err != nil {
		t.Fatal(err)
	}
	fixed := func(status int, contentType string, body []byte) roundTrip {
		return func(*http.Request) (*http.Response, error) { return reply(status, contentType, body), nil }
	}
	// A good answer but for the one thing that edit changes.
	edited := func(edit func(*http.Response)) roundTrip {
		good := all[0].serving(t, at(start), 0)
		return func(r *http.Request) (*http.Response, error) {
			resp, err := good(r)
			if err == nil && r.URL.Path == "/api/timestamp" {
				edit(resp)
			}
			return resp, err
		}
	}
	for name, answer := range map[string]roundTrip{
		"an earlier answer": fixed(http.StatusOK, ReplyType, recorded),
		"another nonce":     respond(all[0], func(r *Request) { r.Nonce = []byte{1} }),
		"no nonce":          respond(all[0], func(r *Request) { r.Nonce = nil }),
		"another imprint":   respond(all[0], func(r *Request) { r.Imprint = make([]byte, 32) }),
		"certificates":      respond(all[0], func(r *Request) { r.CertReq = true }),
		"another authority": respond(all[1], func(*Request) {}),
		"a redirect": edited(func(r *http.Response) {
			r.StatusCode, r.Header = http.StatusTemporaryRedirect, http.Header{"Location": {"http://t0/elsewhere"}}
		}),
		"a refusal":              fixed(http.StatusOK, ReplyType, marshalFailure(fail(TimeNotAvailable, "no"))),
		"an error":               edited(func(r *http.Response) { r.StatusCode = http.StatusServiceUnavailable }),
		"a page":                 edited(func(r *http.Response) { r.Header.Set("Content-Type", "text/html") }),
		"no type":                edited(func(r *http.Response) { r.Header.Del("Content-Type") }),
		"junk":                   fixed(http.StatusOK, ReplyType, []byte("junk")),
		"nothing":                fixed(http.StatusOK, ReplyType, nil),
		"more than it may":       fixed(http.StatusOK, ReplyType, make([]byte, MaxResponse+1)),
		"a broken connection":    func(*http.Request) (*http.Response, error) { return nil, errors.New("reset") },
		"a body that breaks off": func(*http.Request) (*http.Response, error) { return brokenBody(), nil },
	} {
		t.Run(name, func(t *testing.T) {
			n := network{"t0": answer, "t1": all[1].serving(t, at(start), 0)}
			var observed error
			c := newTestClient(t, v[:1], 1, n, func(_ string, _ time.Duration, err error) { observed = err })
			_, _, err := c.Stamp(t.Context(), imprint)
			wantCode(t, err, auction.CodeUnavailable)
			if observed == nil {
				t.Error("the observer was told that it went well")
			}
			// The other authority makes up for it.
			if _, _, err := newTestClient(t, v, 1, n, nil).Stamp(t.Context(), imprint); err != nil {
				t.Error(err)
			}
		})
	}
}

func brokenBody() *http.Response {
	resp := reply(http.StatusOK, ReplyType, nil)
	resp.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))
	return resp
}

func TestClientGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, v := newTestAuthorities(t, 4)
		n := network{"t0": silent, "t1": silent, "t2": all[2].serving(t, at(start), 0), "t3": all[3].serving(t, at(start), 0)}
		c := newTestClient(t, v, 3, n, nil)
		asked := time.Now()
		_, _, err := c.Stamp(t.Context(), digestOf("bid"))
		wantCode(t, err, auction.CodeUnavailable)
		if took := time.Since(asked); took != stampTimeout {
			t.Errorf("took %v, want %v", took, stampTimeout)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err = c.Stamp(ctx, digestOf("bid"))
		wantCode(t, err, auction.CodeUnavailable)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v does not say that the caller's time was over", err)
		}
	})
}

func TestNewClientRefuses(t *testing.T) {
	_, v := newTestAuthorities(t, 2)
	for name, cfg := range map[string]ClientConfig{
		"no endpoints": {Quorum: 1},
		"even quorum":  {Endpoints: []Endpoint{{v[0], "http://t0"}, {v[1], "http://t1"}}, Quorum: 2},
		"one twice":    {Endpoints: []Endpoint{{v[0], "http://t0"}, {v[0], "http://t1"}}, Quorum: 1},
	} {
		if _, err := NewClient(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Over a real socket, with the standard client.
func TestClientOverHTTP(t *testing.T) {
	all, v := newTestAuthorities(t, 1)
	issuer := all[0].issuer(t, at(start))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != QueryType {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", ReplyType)
		w.Write(issuer.Respond(body))
	}))
	defer server.Close()
	c, err := NewClient(ClientConfig{Endpoints: []Endpoint{{v[0], server.URL}}, Quorum: 1})
	if err != nil {
		t.Fatal(err)
	}
	tokens, got, err := c.Stamp(t.Context(), digestOf("bid"))
	if err != nil || len(tokens) != 1 || got != auction.TimeOf(start) {
		t.Fatalf("got %d tokens, %d, %v", len(tokens), got, err)
	}
}
