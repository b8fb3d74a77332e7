package tsa

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/asn1"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const operatorToken = "an-operator-token-for-tests"

// must is for what fails on a defect of the test only.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// house is a root and the certificate of one authority, with its files.
type house struct {
	rootKey *ecdsa.PrivateKey
	root    []byte
	chain   [][]byte
	key     *ecdsa.PrivateKey
	dir     string
	cfg     Config // of a service on free ports
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{rootKey: must(identity.NewKey())(t), key: must(identity.NewKey())(t), dir: t.TempDir()}
	now := time.Now().Truncate(time.Second)
	h.root = must(identity.NewRoot(h.rootKey, "demo", now.Add(-2*time.Hour), now.Add(1500*time.Hour)))(t)
	h.cfg.Listen, h.cfg.Internal = "127.0.0.1:0", "127.0.0.1:0"
	h.cfg.Accuracy = 100 * time.Millisecond
	h.cfg.Log = slog.New(slog.DiscardHandler)
	h.cfg.Key = h.write(t, "tsa.key", must(identity.EncodeKey(h.key))(t))
	h.certify(t, false)
	return h
}

// certify issues to the authority, for real or for simulated time.
func (h *house) certify(t *testing.T, simulated bool) {
	t.Helper()
	issuer := must(identity.NewIssuer([][]byte{h.root}, h.rootKey))(t)
	now := time.Now().Truncate(time.Second)
	h.chain = must(issuer.Issue(&h.key.PublicKey, identity.Profile{
		Role: identity.RoleTSA, House: "demo", Authority: "one", Simulated: simulated,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour),
	}))(t)[:1]
	h.cfg.Certificate = h.write(t, "tsa.pem", identity.EncodeChain([][]byte{h.chain[0], h.root}))
}

// simulated makes the configuration one of simulated time.
func (h *house) simulated(t *testing.T) *house {
	t.Helper()
	h.certify(t, true)
	h.cfg.SimulatedTime = true
	h.cfg.OperatorToken = h.write(t, "operator.token", []byte(operatorToken+"\n"))
	return h
}

func (h *house) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pinned is what a client knows of the authority.
func (h *house) pinned(policy asn1.ObjectIdentifier) tsp.AuthorityConfig {
	return tsp.AuthorityConfig{House: "demo", Name: "one", Certificates: h.chain, Roots: [][]byte{h.root}, Policy: policy}
}

func (h *house) verifier(t *testing.T, policy asn1.ObjectIdentifier) *tsp.Authority {
	t.Helper()
	return must(tsp.NewAuthority(h.pinned(policy)))(t)
}

// service is one that runs.
type service struct {
	public, internal string // base URLs
	stop             func() error
}

// start runs the service until the test ends, or stop.
func (h *house) start(t *testing.T) *service {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &service{}
	listening, ended := make(chan struct{}), make(chan error, 1)
	cfg := h.cfg
	cfg.OnListen = func(public, internal net.Addr) {
		s.public, s.internal = "http://"+public.String(), "http://"+internal.String()
		close(listening)
	}
	go func() { ended <- Run(ctx, cfg) }()
	select {
	case <-listening:
	case err := <-ended:
		cancel()
		t.Fatalf("ended before it listened: %v", err)
	}
	s.stop = sync.OnceValue(func() error {
		cancel()
		http.DefaultClient.CloseIdleConnections()
		return <-ended
	})
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
	return s
}

// client is one of a person or a replica.
func (h *house) client(t *testing.T, s *service, policy asn1.ObjectIdentifier) *tsp.Client {
	t.Helper()
	return must(tsp.NewClient(tsp.ClientConfig{
		Endpoints: []tsp.Endpoint{{Authority: h.verifier(t, policy), URL: s.public + "/api/timestamp"}}, Quorum: 1,
	}))(t)
}

func stampedNow(t *testing.T, c *tsp.Client) auction.Time {
	t.Helper()
	_, at, err := c.Stamp(t.Context(), [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// do sends one request and returns its status and body.
func do(t *testing.T, method, url string, header map[string]string, body []byte) (int, http.Header, []byte) {
	t.Helper()
	req := must(http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body)))(t)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp := must(http.DefaultClient.Do(req))(t)
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header, must(io.ReadAll(resp.Body))(t)
}
