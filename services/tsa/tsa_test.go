package tsa

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
)

func TestStampsOverHTTP(t *testing.T) {
	h := newHouse(t)
	s := h.start(t)
	before := auction.TimeOf(time.Now())
	got := stampedNow(t, h.client(t, s, tsp.RealTime))
	if after := auction.TimeOf(time.Now()); got < before || got > after {
		t.Fatalf("stamped %d, between %d and %d", got, before, after)
	}
	status, header, body := do(t, http.MethodGet, s.public+"/api/certificates", nil, nil)
	chain, err := identity.ParseChain(body)
	if status != http.StatusOK || header.Get("Content-Type") != "application/pem-certificate-chain" || err != nil ||
		len(chain) != 2 || !bytes.Equal(chain[0], h.chain[0]) {
		t.Fatalf("certificates: status %d, %d of them, %v", status, len(chain), err)
	}
}

// A person with nothing but openssl and curl gets a stamp and checks it.
func TestOpenSSLOverHTTP(t *testing.T) {
	h := newHouse(t)
	s := h.start(t)
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
	data := h.write(t, "data", []byte("a signed command"))
	root := h.write(t, "root.pem", identity.EncodeChain([][]byte{h.root}))
	untrusted, tsq, tsr := filepath.Join(h.dir, "chain.pem"), filepath.Join(h.dir, "tsq"), filepath.Join(h.dir, "tsr")
	run("curl", "-sS", "--fail", "-o", untrusted, s.public+"/api/certificates")
	for _, hash := range []string{"-sha256", "-sha384", "-sha512"} {
		for _, cert := range [][]string{nil, {"-cert"}} {
			run("openssl", append([]string{"ts", "-query", "-data", data, hash, "-out", tsq}, cert...)...)
			run("curl", "-sS", "--fail", "-H", "Content-Type: "+tsp.QueryType, "--data-binary", "@"+tsq, "-o", tsr, s.public+"/api/timestamp")
			run("openssl", "ts", "-verify", "-in", tsr, "-queryfile", tsq, "-CAfile", root, "-untrusted", untrusted)
		}
	}
}

func TestBadInput(t *testing.T) {
	h := newHouse(t).simulated(t)
	s := h.start(t)
	query := map[string]string{"Content-Type": tsp.QueryType}
	operator := map[string]string{"Authorization": "Bearer " + operatorToken}
	settime := `{"time":` + itoa(auction.TimeOf(time.Now().Add(time.Hour))) + `}`
	for _, c := range []struct {
		name, method, path string
		header             map[string]string
		body               string
		status             int
		want               string // in the body
	}{
		{"no content type", "POST", "/api/timestamp", nil, "", 415, `"code":"bad_request"`},
		{"another content type", "POST", "/api/timestamp", map[string]string{"Content-Type": "application/json"}, "{}", 415, `"code":"bad_request"`},
		{"malformed content type", "POST", "/api/timestamp", map[string]string{"Content-Type": ";"}, "", 415, `"code":"bad_request"`},
		{"a body too large", "POST", "/api/timestamp", query, strings.Repeat("x", maxBody+1), 413, `"code":"too_large"`},
		{"an empty query", "POST", "/api/timestamp", query, "", 200, "not one DER sequence"},
		{"junk for a query", "POST", "/api/timestamp", query, strings.Repeat("x", maxBody), 200, "too large"},
		{"another method", "GET", "/api/timestamp", nil, "", 405, `"code":"bad_request"`},
		{"an unknown path", "GET", "/api/time", nil, "", 404, `"code":"bad_request"`},
		{"metrics are not public", "GET", "/metrics", nil, "", 404, `"code":"bad_request"`},

		{"no token", "POST", "/api/settime", nil, settime, 403, `"code":"not_allowed"`},
		{"wrong token", "POST", "/api/settime", map[string]string{"Authorization": "Bearer wrong"}, settime, 403, `"code":"not_allowed"`},
		{"empty token", "POST", "/api/settime", map[string]string{"Authorization": "Bearer "}, settime, 403, `"code":"not_allowed"`},
		{"token without its scheme", "POST", "/api/settime", map[string]string{"Authorization": operatorToken}, settime, 403, `"code":"not_allowed"`},
		{"token in the query", "POST", "/api/settime?token=" + operatorToken, nil, settime, 403, `"code":"not_allowed"`},
		{"reset without token", "POST", "/api/resettime", nil, "", 403, `"code":"not_allowed"`},
		{"reset with wrong token", "POST", "/api/resettime", map[string]string{"Authorization": "Bearer wrong"}, "", 403, `"code":"not_allowed"`},
		{"reset with a body", "POST", "/api/resettime", operator, "{}", 400, `"code":"bad_request"`},
		{"no body", "POST", "/api/settime", operator, "", 400, `"code":"bad_request"`},
		{"no time", "POST", "/api/settime", operator, "{}", 400, `"code":"bad_request"`},
		{"time as text", "POST", "/api/settime", operator, `{"time":"1"}`, 400, `"code":"bad_request"`},
		{"fractional time", "POST", "/api/settime", operator, `{"time":1.5}`, 400, `"code":"bad_request"`},
		{"time twice", "POST", "/api/settime", operator, `{"time":1,"time":2}`, 400, `"code":"bad_request"`},
		{"unknown field", "POST", "/api/settime", operator, settime[:len(settime)-1] + `,"now":1}`, 400, `"code":"bad_request"`},
		{"trailing bytes", "POST", "/api/settime", operator, settime + "{}", 400, `"code":"bad_request"`},
		{"backwards", "POST", "/api/settime", operator, `{"time":` + itoa(auction.TimeOf(time.Now().Add(-time.Second))) + `}`, 400, "forward only"},
		{"before the epoch", "POST", "/api/settime", operator, `{"time":-1}`, 400, `"code":"bad_request"`},
		{"after the certificate", "POST", "/api/settime", operator, `{"time":` + itoa(auction.TimeOf(time.Now().Add(2000*time.Hour))) + `}`, 400, "certificate ends"},
		{"after all time", "POST", "/api/settime", operator, `{"time":9223372036854775807}`, 400, `"code":"bad_request"`},
		{"too large a body", "POST", "/api/settime", operator, strings.Repeat(" ", maxBody+1), 413, `"code":"too_large"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, _, body := do(t, c.method, s.public+c.path, c.header, []byte(c.body))
			if status != c.status || !strings.Contains(string(body), c.want) {
				t.Errorf("got %d %q, want %d with %q", status, body, c.status, c.want)
			}
		})
	}
	// Nothing of it moved the time.
	if got := stampedNow(t, h.client(t, s, tsp.SimulatedTime)); got > auction.TimeOf(time.Now()) {
		t.Fatalf("the time is %d", got)
	}
}

func TestNoSimulatedTimeUnlessStartedSo(t *testing.T) {
	s := newHouse(t).start(t)
	for _, path := range []string{"/api/settime", "/api/resettime"} {
		for _, header := range []map[string]string{nil, {"Authorization": "Bearer " + operatorToken}, {"Authorization": "Bearer "}} {
			if status, _, _ := do(t, http.MethodPost, s.public+path, header, []byte(`{"time":9000000000000000}`)); status != http.StatusNotFound {
				t.Errorf("%s: status %d", path, status)
			}
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for name, edit := range map[string]func(*testing.T, *house){
		"no key":         func(_ *testing.T, h *house) { h.cfg.Key = filepath.Join(h.dir, "none") },
		"no certificate": func(_ *testing.T, h *house) { h.cfg.Certificate = filepath.Join(h.dir, "none") },
		"another key":    func(t *testing.T, h *house) { h.cfg.Key = h.write(t, "other", newKeyFile(t)) },
		"the root's certificate": func(t *testing.T, h *house) {
			h.cfg.Certificate = h.write(t, "other", identity.EncodeChain([][]byte{h.root}))
		},
		"simulated without a token":              func(_ *testing.T, h *house) { h.cfg.SimulatedTime = true },
		"a token without simulated":              func(t *testing.T, h *house) { h.simulated(t).cfg.SimulatedTime = false },
		"an empty operator's token":              func(t *testing.T, h *house) { h.simulated(t).write(t, "operator.token", []byte("\n")) },
		"no such operator's token":               func(t *testing.T, h *house) { h.simulated(t).cfg.OperatorToken = filepath.Join(h.dir, "none") },
		"no accuracy":                            func(_ *testing.T, h *house) { h.cfg.Accuracy = 0 },
		"real time with a simulated certificate": func(t *testing.T, h *house) { h.certify(t, true) },
		"simulated time with a real certificate": func(t *testing.T, h *house) { h.simulated(t).certify(t, false) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			edit(t, h)
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // if it starts, it ends at once and well
			if err := Run(ctx, h.cfg); err == nil {
				t.Fatal("started")
			}
		})
	}
}

func newKeyFile(t *testing.T) []byte {
	t.Helper()
	return must(identity.EncodeKey(must(identity.NewKey())(t)))(t)
}

// A request that is in flight when the service is told to stop is answered.
func TestGracefulStop(t *testing.T) {
	h := newHouse(t)
	s := h.start(t)
	request := must(tsp.NewRequest([32]byte{1}, tsp.RealTime, rand.Reader))(t)
	der := must(request.Marshal())(t)
	body, send := io.Pipe()
	begun := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { close(begun) }})
	post := must(http.NewRequestWithContext(ctx, http.MethodPost, s.public+"/api/timestamp", body))(t)
	post.Header = http.Header{"Content-Type": {tsp.QueryType}, "Expect": {"100-continue"}}
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	answered := make(chan error, 1)
	go func() {
		resp, err := transport.RoundTrip(post)
		if err != nil {
			answered <- err
			return
		}
		defer resp.Body.Close()
		response, err := io.ReadAll(resp.Body)
		if err == nil {
			_, _, err = h.verifier(t, tsp.RealTime).VerifyResponse(response, request)
		}
		answered <- err
	}()
	<-begun // the handler reads
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	for {
		resp, err := http.Get(s.internal + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusServiceUnavailable {
			break
		}
	}
	if _, err := send.Write(der); err != nil {
		t.Fatal(err)
	}
	send.Close()
	if err := errors.Join(<-answered, <-stopped); err != nil {
		t.Fatal(err)
	}
}

func TestMetrics(t *testing.T) {
	h := newHouse(t)
	s := h.start(t)
	stampedNow(t, h.client(t, s, tsp.RealTime))
	do(t, http.MethodPost, s.public+"/api/timestamp", map[string]string{"Content-Type": tsp.QueryType}, []byte("junk"))
	_, _, body := do(t, http.MethodGet, s.internal+"/metrics", nil, nil)
	for _, want := range []string{
		`sigilo_tsa_stamps_total{result="granted"} 1`, `sigilo_tsa_stamps_total{result="badDataFormat"} 1`,
		`sigilo_crypto_seconds_count{op="timestamp_token"} 2`, `sigilo_certificate_expiry_seconds{certificate="tsa"} `,
		`sigilo_clock_simulated 0`,
	} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("no %s", want)
		}
	}
	h.simulated(t)
	_, _, body = do(t, http.MethodGet, h.start(t).internal+"/metrics", nil, nil)
	if !bytes.Contains(body, []byte("sigilo_clock_simulated 1")) {
		t.Error("simulated time is not shown")
	}
}
