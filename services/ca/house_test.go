package ca

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/ops"
)

// epoch is when the tests happen.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const testHouse = "demo"

// A testCA is a CA that runs on a loopback address, and its operator.
type testCA struct {
	t        testing.TB
	dir      string
	url      string
	internal string
	token    string
	log      *lockedBuffer
	now      *atomic.Int64 // microseconds
	stop     func() error
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newFolder(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := Bootstrap(dir, BootstrapConfig{House: testHouse, Authorities: []string{"clock"}, Now: epoch}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func testConfig(dir string) Config {
	cfg := Config{
		Config:   ops.Config{Listen: "127.0.0.1:0", Internal: "127.0.0.1:0"},
		House:    testHouse,
		Registry: filepath.Join(dir, "registry.db"),
		Mode:     ModeInvite, CertificateLife: 8 * time.Hour,
	}
	return cfg.WithFiles(dir)
}

// startCA runs a CA on the files of dir until the test ends.
func startCA(t testing.TB, dir string, change func(*Config)) *testCA {
	t.Helper()
	ca := &testCA{t: t, dir: dir, log: &lockedBuffer{}, now: &atomic.Int64{}}
	ca.now.Store(epoch.UnixMicro())
	cfg := testConfig(dir)
	cfg.Log = ops.NewLogger(ca.log, cfg.LogLevel)
	cfg.Clock = func() (auction.Time, error) { return auction.Time(ca.now.Load()), nil }
	listening := make(chan struct{})
	cfg.OnListen = func(public, internal string) {
		ca.url, ca.internal = "http://"+public, "http://"+internal
		close(listening)
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg) }()
	select {
	case <-listening:
	case err := <-done:
		cancel()
		t.Fatalf("the CA did not start: %v", err)
	}
	ca.token = string(must[[]byte](t)(os.ReadFile(filepath.Join(dir, FileOperatorToken))))
	ca.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := ca.stop(); err != nil {
			t.Errorf("the CA did not stop cleanly: %v", err)
		}
	})
	return ca
}

func newCA(t testing.TB) *testCA { return startCA(t, newFolder(t), nil) }

func (c *testCA) time() auction.Time { return auction.Time(c.now.Load()) }

func (c *testCA) pass(d time.Duration) { c.now.Add(d.Microseconds()) }

// do sends a request and returns the answer's status, headers and body.
func (c *testCA) do(request *http.Request) (*http.Response, []byte) {
	c.t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	return response, must[[]byte](c.t)(io.ReadAll(response.Body))
}

func (c *testCA) request(method, path string, body io.Reader, token string) *http.Request {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return request
}

// inside asks the internal address.
func (c *testCA) inside(path string) *http.Request {
	c.t.Helper()
	return must[*http.Request](c.t)(http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.internal+path, nil))
}

// call sends JSON, decodes what comes back into out, and returns the code of the
// refusal, "" for none.
func (c *testCA) call(method, path string, in any, out any, token string) auction.Code {
	c.t.Helper()
	var body io.Reader
	switch in := in.(type) {
	case nil:
	case string:
		body = strings.NewReader(in)
	default:
		body = bytes.NewReader(must[[]byte](c.t)(json.Marshal(in)))
	}
	response, data := c.do(c.request(method, path, body, token))
	if response.StatusCode != http.StatusOK {
		var refusal struct{ Code auction.Code }
		if err := json.Unmarshal(data, &refusal); err != nil || refusal.Code == "" {
			c.t.Fatalf("%s: status %d without a code: %s", path, response.StatusCode, data)
		}
		if response.StatusCode != ops.HTTPStatus(refusal.Code) {
			c.t.Fatalf("%s: status %d with code %s", path, response.StatusCode, refusal.Code)
		}
		return refusal.Code
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			c.t.Fatalf("%s: %v", path, err)
		}
	}
	return ""
}

func (c *testCA) mustCall(method, path string, in, out any, token string) {
	c.t.Helper()
	if code := c.call(method, path, in, out, token); code != "" {
		c.t.Fatalf("%s: %s\n%s", path, code, c.log)
	}
}

// A client is a person's side.
type client struct {
	ca         *testCA
	key        *ecdsa.PrivateKey
	csr        string
	chain      []string
	credential string
}

func (c *testCA) newClient() *client {
	c.t.Helper()
	key := must[*ecdsa.PrivateKey](c.t)(identity.NewKey())
	csr := encodeChain([][]byte{must[[]byte](c.t)(identity.NewRequest(key))})[0]
	return &client{ca: c, key: key, csr: csr}
}

func (c *testCA) invite(username string, attributes map[string]string) string {
	c.t.Helper()
	var answer struct{ Invite string }
	body := map[string]any{"username": username}
	if attributes != nil {
		body["attributes"] = attributes
	}
	c.mustCall("POST", "/api/invites", body, &answer, c.token)
	return answer.Invite
}

func (c *testCA) nonce() string {
	c.t.Helper()
	var answer struct{ Nonce string }
	c.mustCall("GET", "/api/nonce", nil, &answer, "")
	return answer.Nonce
}

func (p *client) proof(purpose identity.ProofPurpose) string {
	p.ca.t.Helper()
	return must[string](p.ca.t)(identity.NewProof(p.key, purpose, testHouse, p.ca.nonce()))
}

// sign asks for a certificate with what goes beside the request.
func (p *client) sign(beside map[string]any) auction.Code {
	p.ca.t.Helper()
	body := map[string]any{"csr": p.csr}
	for name, value := range beside {
		body[name] = value
	}
	var answer struct {
		Chain      []string
		Credential string
	}
	code := p.ca.call("POST", "/api/sign-csr", body, &answer, "")
	if code == "" {
		p.chain, p.credential = answer.Chain, answer.Credential
	}
	return code
}

func (p *client) renew() auction.Code {
	p.ca.t.Helper()
	return p.sign(map[string]any{"proof": p.proof(identity.ProofForRenewal)})
}

func (p *client) issue() (string, auction.Code) {
	p.ca.t.Helper()
	var answer struct{ Token string }
	code := p.ca.call("POST", "/api/issue", map[string]any{"chain": p.chain, "proof": p.proof(identity.ProofForToken)}, &answer, "")
	return answer.Token, code
}

// enrolled is somebody who has got in by an invite.
func (c *testCA) enrolled(username string, attributes map[string]string) *client {
	c.t.Helper()
	p := c.newClient()
	if code := p.sign(map[string]any{"invite": c.invite(username, attributes)}); code != "" {
		c.t.Fatalf("enrol: %s\n%s", code, c.log)
	}
	return p
}

func (p *client) certificate() *identity.Certificate {
	p.ca.t.Helper()
	cert, err := p.ca.verifier().Verify(must[[][]byte](p.ca.t)(decodeChain(p.chain)), identity.RoleParticipant, p.ca.time().Std())
	if err != nil {
		p.ca.t.Fatal(err)
	}
	return cert
}

func (c *testCA) verifier() *identity.Verifier {
	root := must[[][]byte](c.t)(identity.LoadChain(filepath.Join(c.dir, FileRoot)))
	return must[*identity.Verifier](c.t)(identity.NewVerifier(testHouse, root[0]))
}

func (c *testCA) get(path string) []byte {
	c.t.Helper()
	response, body := c.do(c.request("GET", path, nil, ""))
	if response.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %d", path, response.StatusCode)
	}
	return body
}

func (c *testCA) keys() *identity.KeySet {
	c.t.Helper()
	return must[*identity.KeySet](c.t)(identity.ParseKeySet(c.get("/.well-known/ca-public")))
}

func (c *testCA) revocations() *identity.RevocationList {
	c.t.Helper()
	issuer := must[[][]byte](c.t)(identity.ParseChain(c.get("/ca.pem")))
	return must[*identity.RevocationList](c.t)(c.verifier().RevocationList(c.get("/crl.der"), issuer[0], c.time().Std()))
}

func wantCode(t testing.TB, what string, got, want auction.Code) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}
