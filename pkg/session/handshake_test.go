package session

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestHandshake(t *testing.T) {
	everyMode(t, testHandshake)
}

func testHandshake(t *testing.T, mode string) {
	cc, sc := clientConfig(mode, client), serverConfig(mode, dms)
	var sawTime auction.Time
	verify := cc.VerifyServer
	cc.VerifyServer = func(chain [][]byte, at auction.Time) (*ecdsa.PublicKey, error) {
		sawTime = at
		if !slices.EqualFunc(chain, dms.chain, bytes.Equal) {
			t.Errorf("client saw another chain")
		}
		return verify(chain, at)
	}
	authenticate := sc.Authenticate
	sc.Authenticate = func(ctx context.Context, c Credentials) (*ecdsa.PublicKey, error) {
		if c.Token != testToken || !slices.EqualFunc(c.Chain, client.chain, bytes.Equal) {
			t.Errorf("server saw other credentials")
		}
		return authenticate(ctx, c)
	}
	m := meet(cc, sc, nil)
	if m.clientErr != nil || m.serverErr != nil {
		t.Fatalf("client %v, server %v", m.clientErr, m.serverErr)
	}
	if sawTime != testTime || string(m.ready) != testReady {
		t.Errorf("client saw time %d and ready %q", sawTime, m.ready)
	}
	if m.client.ID() != m.server.ID() || m.client.ID() == (ID{}) || len(m.client.ID().String()) != 32 {
		t.Errorf("ids %v and %v", m.client.ID(), m.server.ID())
	}
	if m.client.Mode() != mode || m.server.Mode() != mode {
		t.Errorf("modes %q and %q", m.client.Mode(), m.server.Mode())
	}
	for _, way := range []struct{ from, to *Session }{{m.client, m.server}, {m.server, m.client}} {
		for _, text := range []string{"one", "two"} {
			frame, err := way.from.Seal([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			got, err := way.to.Open(frame)
			if err != nil || string(got) != text {
				t.Errorf("opened %q, %v; want %q", got, err, text)
			}
		}
	}
	for _, msg := range append(m.clientWrote, m.serverWrote...) {
		for _, secret := range []string{testToken, string(client.chain[0]), testReady} {
			if bytes.Contains(msg, []byte(secret)) {
				t.Errorf("the wire shows what is to be sealed")
			}
		}
	}
}

// Whatever a side's own callbacks say reaches its caller, and the callbacks'
// keys are what the signatures are checked with.
func TestCallbacksDecide(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name           string
		change         func(*ClientConfig, *ServerConfig)
		client, server auction.Code // "" for a side that only sees the other go
	}{
		{"another house's hello", func(_ *ClientConfig, sc *ServerConfig) {
			sc.Key, sc.Chain = stranger.key, stranger.chain
		}, auction.CodeBadCertificate, ""},
		{"the house's chain with another key", func(_ *ClientConfig, sc *ServerConfig) {
			sc.Key = stranger.key
		}, auction.CodeBadSignature, ""},
		{"server key on P-384", func(cc *ClientConfig, _ *ServerConfig) {
			cc.VerifyServer = func([][]byte, auction.Time) (*ecdsa.PublicKey, error) { return &p384.PublicKey, nil }
		}, auction.CodeBadCertificate, ""},
		{"server key missing", func(cc *ClientConfig, _ *ServerConfig) {
			cc.VerifyServer = func([][]byte, auction.Time) (*ecdsa.PublicKey, error) { return nil, nil }
		}, auction.CodeBadCertificate, ""},
		{"no trusted time", func(_ *ClientConfig, sc *ServerConfig) {
			sc.Now = func() (auction.Time, error) { return 0, auction.Refuse(auction.CodeUnavailable, "no time") }
		}, "", auction.CodeUnavailable},
		{"time out of range", func(_ *ClientConfig, sc *ServerConfig) {
			sc.Now = func() (auction.Time, error) { return 1 << 53, nil }
		}, auction.CodeBadRequest, ""},
		{"token refused", func(_ *ClientConfig, sc *ServerConfig) {
			sc.Authenticate = func(context.Context, Credentials) (*ecdsa.PublicKey, error) {
				return nil, auction.Refuse(auction.CodeTokenExpired, "get a new one")
			}
		}, "", auction.CodeTokenExpired},
		{"nothing to be ready with", func(_ *ClientConfig, sc *ServerConfig) {
			sc.Ready = func() ([]byte, error) { return nil, auction.Refuse(auction.CodeUnavailable, "no policy") }
		}, "", auction.CodeUnavailable},
		{"auth by another key than the certificate's", func(cc *ClientConfig, _ *ServerConfig) {
			cc.Key = stranger.key
		}, "", auction.CodeBadSignature},
		{"client key on P-384", func(_ *ClientConfig, sc *ServerConfig) {
			sc.Authenticate = func(context.Context, Credentials) (*ecdsa.PublicKey, error) { return &p384.PublicKey, nil }
		}, "", auction.CodeBadCertificate},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			everyMode(t, func(t *testing.T, mode string) {
				cc, sc := clientConfig(mode, client), serverConfig(mode, dms)
				tc.change(&cc, &sc)
				m := meet(cc, sc, nil)
				if m.client != nil || m.server != nil {
					t.Fatalf("a session came of it")
				}
				if tc.client != "" {
					wantCode(t, "client", m.clientErr, tc.client)
				}
				if tc.server != "" {
					wantCode(t, "server", m.serverErr, tc.server)
				}
			})
		})
	}
}

// A side that is set up wrongly says so itself and sends nothing.
func TestConfigIsChecked(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string]func(*ClientConfig){
		"public mode":          func(c *ClientConfig) { c.Mode, c.Offered = ModePublic, []string{ModePublic} },
		"unknown mode":         func(c *ClientConfig) { c.Mode, c.Offered = "sigilo.v9", []string{"sigilo.v9"} },
		"mode not offered":     func(c *ClientConfig) { c.Offered = []string{ModePublic} },
		"mode offered twice":   func(c *ClientConfig) { c.Offered = []string{ModeP256, ModeP256} },
		"empty mode offered":   func(c *ClientConfig) { c.Offered = []string{ModeP256, ""} },
		"mode with a space":    func(c *ClientConfig) { c.Offered = []string{ModeP256, "a b"} },
		"nine modes offered":   func(c *ClientConfig) { c.Offered = append(strings.Split("abcdefgh", ""), ModeP256) },
		"too long a list":      func(c *ClientConfig) { c.Offered = []string{ModeP256, strings.Repeat("a", 250)} },
		"no check":             func(c *ClientConfig) { c.VerifyServer = nil },
		"no token":             func(c *ClientConfig) { c.Token = "" },
		"token too long":       func(c *ClientConfig) { c.Token = strings.Repeat("a", maxToken+1) },
		"no key":               func(c *ClientConfig) { c.Key = nil },
		"key on P-384":         func(c *ClientConfig) { c.Key = p384 },
		"no chain":             func(c *ClientConfig) { c.Chain = nil },
		"four certificates":    func(c *ClientConfig) { c.Chain = slices.Repeat(client.chain[:1], 4) },
		"empty certificate":    func(c *ClientConfig) { c.Chain = [][]byte{{}} },
		"certificate too long": func(c *ClientConfig) { c.Chain = [][]byte{make([]byte, maxCert+1)} },
		"no randomness":        func(c *ClientConfig) { c.Rand = iotest.ErrReader(errors.New("none")) },
	}
	for name, change := range clients {
		t.Run("client/"+name, func(t *testing.T) {
			cc := clientConfig(ModeP256, client)
			change(&cc)
			m := meet(cc, serverConfig(ModeP256, dms), nil)
			if m.clientErr == nil || len(m.clientWrote) > 0 {
				t.Errorf("error %v after %d messages", m.clientErr, len(m.clientWrote))
			}
		})
	}
	servers := map[string]func(*ServerConfig){
		"public mode":       func(c *ServerConfig) { c.Mode = ModePublic },
		"mode not taken":    func(c *ServerConfig) { c.Spoken = []string{ModeHybrid} },
		"no clock":          func(c *ServerConfig) { c.Now = nil },
		"no authentication": func(c *ServerConfig) { c.Authenticate = nil },
		"no ready":          func(c *ServerConfig) { c.Ready = nil },
		"no key":            func(c *ServerConfig) { c.Key = nil },
		"no chain":          func(c *ServerConfig) { c.Chain = nil },
		"no randomness":     func(c *ServerConfig) { c.Rand = iotest.ErrReader(errors.New("none")) },
	}
	for name, change := range servers {
		t.Run("server/"+name, func(t *testing.T) {
			sc := serverConfig(ModeP256, dms)
			change(&sc)
			m := meet(clientConfig(ModeP256, client), sc, nil)
			if m.serverErr == nil || len(m.serverWrote) > 0 {
				t.Errorf("error %v after %d messages", m.serverErr, len(m.serverWrote))
			}
		})
	}
	t.Run("server/ready too long", func(t *testing.T) {
		sc := serverConfig(ModeP256, dms)
		sc.Ready = func() ([]byte, error) { return make([]byte, maxReady+1), nil }
		if m := meet(clientConfig(ModeP256, client), sc, nil); m.serverErr == nil || len(m.serverWrote) != 1 {
			t.Errorf("error %v after %d messages", m.serverErr, len(m.serverWrote))
		}
	})
}

// The largest handshake that the limits allow works and fits the read limits.
func TestLargestHandshake(t *testing.T) {
	everyMode(t, testLargestHandshake)
}

func testLargestHandshake(t *testing.T, mode string) {
	largest := func(p party) [][]byte {
		return append(p.chain[:1:1], make([]byte, maxCert), make([]byte, maxCert))
	}
	cc, sc := clientConfig(mode, client), serverConfig(mode, dms)
	cc.Chain, sc.Chain = largest(client), largest(dms)
	cc.Token = strings.Repeat("t", maxToken)
	sc.Ready = func() ([]byte, error) { return make([]byte, maxReady), nil }
	m := meet(cc, sc, nil)
	if m.clientErr != nil || m.serverErr != nil {
		t.Fatalf("client %v, server %v", m.clientErr, m.serverErr)
	}
	for _, msg := range m.clientWrote {
		if len(msg) > MaxClientMessage {
			t.Errorf("a client's message has %d bytes", len(msg))
		}
	}
	for _, msg := range m.serverWrote {
		if len(msg) > MaxServerMessage {
			t.Errorf("a server's message has %d bytes", len(msg))
		}
	}
	if MaxClientMessage < LargeClientFrame+Overhead {
		t.Error("a client's frame is over the read limit")
	}
}

func TestContextEndsHandshake(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	silent := func() *end { return &end{in: make(chan []byte), out: make(chan []byte, 1)} }
	if _, _, err := Client(ctx, silent(), clientConfig(ModeP256, client)); !errors.Is(err, context.Canceled) {
		t.Errorf("client: %v", err)
	}
	if _, err := Server(ctx, silent(), serverConfig(ModeP256, dms)); !errors.Is(err, context.Canceled) {
		t.Errorf("server: %v", err)
	}
}
