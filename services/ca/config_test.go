package ca

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/services/ca/registry"
)

func TestConfigRefuses(t *testing.T) {
	good := testConfig(".")
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"mode":                         func(c *Config) { c.Mode = "closed" },
		"oidc without a provider":      func(c *Config) { c.Mode = ModeOIDC },
		"oidc without a client":        func(c *Config) { c.Mode, c.OIDCIssuer = ModeOIDC, "https://id.example" },
		"oidc over plain http":         func(c *Config) { withOIDC(c, "http://id.example") },
		"oidc at no URL":               func(c *Config) { withOIDC(c, "id.example") },
		"oidc without a username":      func(c *Config) { withOIDC(c, "https://id.example"); c.OIDCUsername = "" },
		"a provider without oidc":      func(c *Config) { withOIDC(c, "https://id.example"); c.Mode = ModeInvite },
		"open on every address":        func(c *Config) { c.Mode, c.Listen = ModeOpen, ":8080" },
		"open on 0.0.0.0":              func(c *Config) { c.Mode, c.Listen = ModeOpen, "0.0.0.0:8080" },
		"open on ::":                   func(c *Config) { c.Mode, c.Listen = ModeOpen, "[::]:8080" },
		"open on a public address":     func(c *Config) { c.Mode, c.Listen = ModeOpen, "192.0.2.1:8080" },
		"open on a name":               func(c *Config) { c.Mode, c.Listen = ModeOpen, "ca.example:8080" },
		"open on nothing":              func(c *Config) { c.Mode, c.Listen = ModeOpen, "" },
		"short certificates":           func(c *Config) { c.CertificateLife = time.Minute },
		"long certificates":            func(c *Config) { c.CertificateLife = 8 * 24 * time.Hour },
		"negative keys":                func(c *Config) { c.MaxKeys = -1 },
		"many keys":                    func(c *Config) { c.MaxKeys = maxMaxKeys + 1 },
		"a short retention":            func(c *Config) { c.Retention = registry.RenewalGrace - 1 },
		"a negative retention":         func(c *Config) { c.Retention = -1 },
		"a negative rate":              func(c *Config) { c.Rate = -1 },
		"simulated time without a TSA": func(c *Config) { c.SimulatedTime = true },
		"a TSA without simulated time": func(c *Config) { c.TSA, c.TSACertificate = "http://127.0.0.1:1", "tsa.pem" },
		"TLS without a key":            func(c *Config) { c.TLSCert = "x" },
	} {
		cfg := good
		change(&cfg)
		if err := cfg.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, change := range map[string]func(*Config){
		"open on loopback":    func(c *Config) { c.Mode, c.Listen = ModeOpen, "127.0.0.1:8080" },
		"open on ::1":         func(c *Config) { c.Mode, c.Listen = ModeOpen, "[::1]:0" },
		"open on localhost":   func(c *Config) { c.Mode, c.Listen = ModeOpen, "localhost:8080" },
		"open, when one must": func(c *Config) { c.Mode, c.Listen, c.OpenPublic = ModeOpen, ":8080", true },
	} {
		cfg := good
		change(&cfg)
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFlags(t *testing.T) {
	var cfg Config
	err := ops.Program{Name: "ca"}.Parse(&cfg, strings.Fields(`--house demo --root r --certificate c --key k --token-key t
		--credential-key d --operator-token o --trusted-proxies 10.0.0.0/8,fd00::/8 --certificate-life 4h --rate 0.5`))
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.TrustedProxies) != 2 || cfg.CertificateLife != 4*time.Hour || cfg.Rate != 0.5 || cfg.Mode != ModeInvite {
		t.Errorf("%+v", cfg)
	}
}

func TestRunRefuses(t *testing.T) {
	dir := newFolder(t)
	other := newFolder(t)
	write := func(name, content string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, change := range map[string]func(*Config){
		"another house":                func(c *Config) { c.House = "other" },
		"no root":                      func(c *Config) { c.Root = "absent" },
		"another root":                 func(c *Config) { c.Root = filepath.Join(other, FileRoot) },
		"a leaf as root":               func(c *Config) { c.Root = filepath.Join(dir, FileDMS) },
		"another key":                  func(c *Config) { c.Key = filepath.Join(other, FileKey) },
		"a leaf as CA":                 func(c *Config) { c.Certificate, c.Key = filepath.Join(dir, FileDMS), filepath.Join(dir, FileDMSKey) },
		"the root as CA":               func(c *Config) { c.Certificate, c.Key = filepath.Join(dir, FileRoot), filepath.Join(dir, FileRootKey) },
		"one key for two":              func(c *Config) { c.TokenKey = c.CredentialKey },
		"no token key":                 func(c *Config) { c.TokenKey = []string{"absent"} },
		"no credential key":            func(c *Config) { c.CredentialKey = []string{"absent"} },
		"the CA's key for tokens":      func(c *Config) { c.TokenKey = append(c.TokenKey, c.Key) },
		"a token key twice":            func(c *Config) { c.TokenKey = append(c.TokenKey, c.TokenKey...) },
		"no passphrase":                func(c *Config) { c.KeyPassphrase = "absent" },
		"an empty passphrase":          func(c *Config) { c.KeyPassphrase = write("passphrase", "\n") },
		"no operator token":            func(c *Config) { c.OperatorToken = "absent" },
		"a short operator token":       func(c *Config) { c.OperatorToken = write("token", "secret\n") },
		"no folder for registry":       func(c *Config) { c.Registry = filepath.Join(dir, "absent", "registry.db") },
		"an open mode for all":         func(c *Config) { c.Mode, c.Listen = ModeOpen, ":0" },
		"a registry that is no SQLite": func(c *Config) { c.Registry = write("registry.db", strings.Repeat("x", 4096)) },
		"simulated time by a real clock": func(c *Config) {
			c.SimulatedTime, c.TSA, c.TSACertificate = true, "http://127.0.0.1:1", filepath.Join(dir, "tsa-clock.pem")
		},
	} {
		cfg := testConfig(dir)
		cfg.Log = ops.NewLogger(io.Discard, cfg.LogLevel)
		ctx, cancel := context.WithCancel(t.Context())
		cfg.OnListen = func(string, string) { cancel() } // which is what must not happen
		change(&cfg)
		if err := Run(ctx, cfg); err == nil {
			t.Errorf("%s: runs", name)
		}
		cancel()
	}
}

// Under simulated time the CA follows the authority at once, and says so when
// it cannot.
func TestSimulatedTime(t *testing.T) {
	dir := t.TempDir()
	if err := Bootstrap(dir, BootstrapConfig{House: testHouse, Authorities: []string{"clock"}, SimulatedTime: true, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	keyFile, certFile := TSAFiles("clock", true)
	var offset atomic.Int64
	issuer := must[*tsp.Issuer](t)(tsp.NewIssuer(tsp.IssuerConfig{
		Key:   must[*ecdsa.PrivateKey](t)(identity.LoadKey(filepath.Join(dir, keyFile))),
		Chain: must[[][]byte](t)(identity.LoadChain(filepath.Join(dir, certFile))), Policy: tsp.SimulatedTime,
		Accuracy: time.Second, Rand: rand.Reader,
		Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) },
	}))
	authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := must[[]byte](t)(io.ReadAll(r.Body))
		w.Header().Set("Content-Type", "application/timestamp-reply")
		w.Write(issuer.Respond(body))
	}))
	defer authority.Close()
	ca := startCA(t, dir, func(c *Config) {
		c.Clock, c.SimulatedTime, c.TSA, c.TSACertificate = nil, true, authority.URL, filepath.Join(dir, certFile)
	})
	alice := ca.enrolled("alice", nil)
	offset.Store(int64(30 * 24 * time.Hour))
	if _, code := alice.issue(); code != "bad_certificate" {
		t.Errorf("a month later: %q", code)
	}
	wantCode(t, "renewal a month later", alice.renew(), "")
	ca.now.Store(time.Now().Add(30 * 24 * time.Hour).UnixMicro())
	if left := alice.certificate().NotAfter.Sub(ca.time().Std()); left < 7*time.Hour || left > 8*time.Hour {
		t.Errorf("the certificate ends in %v", left)
	}
	if response, _ := ca.do(ca.inside("/readyz")); response.StatusCode != http.StatusOK {
		t.Errorf("not ready: %d", response.StatusCode)
	}
	authority.Close()
	wantCode(t, "without the authority", ca.call("GET", "/api/nonce", nil, nil, ""), "unavailable")
	if response, _ := ca.do(ca.inside("/readyz")); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("ready without time: %d", response.StatusCode)
	}
}

func TestMetrics(t *testing.T) {
	ca := newCA(t)
	alice := ca.enrolled("alice", nil)
	alice.issue()
	ca.newClient().sign(map[string]any{"invite": "x"})
	_, body := ca.do(ca.inside("/metrics"))
	for _, want := range []string{
		`sigilo_ca_requests_total{endpoint="/api/sign-csr",result="ok"} 1`,
		`sigilo_ca_requests_total{endpoint="/api/sign-csr",result="bad_enrolment"} 1`,
		`sigilo_ca_issued_total{kind="enrolment"} 1`, `sigilo_ca_issued_total{kind="token"} 1`,
		`sigilo_crypto_seconds_count{op="certificate"} 1`, `sigilo_crypto_seconds_count{op="token"} 1`,
		`sigilo_certificate_expiry_seconds{certificate="ca"} `,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s", want)
		}
	}
}
