package session

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"io"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	testTime  = auction.Time(1_790_000_000_123_456)
	testToken = "header.claims.signature"
	testReady = `{"policy":"00"}`
)

// A party is one side of the tests. Its certificate is its public key in SPKI
// DER: what a certificate says is not this package's business.
type party struct {
	key   *ecdsa.PrivateKey
	chain [][]byte
}

// The parties of the tests; stranger is certified like client and dms.
var dms, client, stranger = newParty(), newParty(), newParty()

func newParty() party {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return partyOf(key)
}

func partyOf(key *ecdsa.PrivateKey) party {
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return party{key, [][]byte{spki, []byte("intermediate")}}
}

// certifiedKey accepts the certificates of those allowed.
func certifiedKey(chain [][]byte, allowed ...party) (*ecdsa.PublicKey, error) {
	for _, p := range allowed {
		if bytes.Equal(chain[0], p.chain[0]) {
			return &p.key.PublicKey, nil
		}
	}
	return nil, auction.Refuse(auction.CodeBadCertificate, "not certified")
}

func clientConfig(mode string, p party) ClientConfig {
	return ClientConfig{
		Mode:    mode,
		Offered: []string{mode},
		VerifyServer: func(chain [][]byte, _ auction.Time) (*ecdsa.PublicKey, error) {
			return certifiedKey(chain, dms)
		},
		Token: testToken,
		Chain: p.chain,
		Key:   p.key,
	}
}

func serverConfig(mode string, p party) ServerConfig {
	return ServerConfig{
		Mode:  mode,
		Chain: p.chain,
		Key:   p.key,
		Now:   func() (auction.Time, error) { return testTime, nil },
		Authenticate: func(_ context.Context, c Credentials) (*ecdsa.PublicKey, error) {
			return certifiedKey(c.Chain, client, stranger)
		},
		Ready: func() ([]byte, error) { return []byte(testReady), nil },
	}
}

// A middle stands between the two sides: it is given the n-th message of a
// direction, from 0, and returns those that it delivers in its place. With none
// it cuts the connection, for the other side would wait for ever.
type middle func(toServer bool, n int, msg []byte) [][]byte

// end is one end of a connection in memory.
type end struct {
	in     <-chan []byte
	out    chan<- []byte
	n      int
	server bool
	middle middle
}

func (e *end) Read(ctx context.Context) ([]byte, error) {
	select {
	case msg, ok := <-e.in:
		if !ok {
			return nil, io.EOF
		}
		return bytes.Clone(msg), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *end) Write(ctx context.Context, msg []byte) error {
	deliver := [][]byte{msg}
	if e.middle != nil {
		deliver = e.middle(!e.server, e.n, bytes.Clone(msg))
	}
	e.n++
	if len(deliver) == 0 {
		return io.ErrClosedPipe
	}
	for _, m := range deliver {
		select {
		case e.out <- bytes.Clone(m):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// A meeting is how a handshake went, and what its two sides wrote.
type meeting struct {
	client, server       *Session
	ready                []byte
	clientErr, serverErr error
	clientWrote          [][]byte // start, auth
	serverWrote          [][]byte // hello, ready
}

// meet runs both sides of a handshake, with a middle or without (nil).
func meet(cc ClientConfig, sc ServerConfig, mid middle) *meeting {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var m meeting
	up, down := make(chan []byte, 8), make(chan []byte, 8)
	record := func(wrote *[][]byte) middle {
		return func(toServer bool, n int, msg []byte) [][]byte {
			*wrote = append(*wrote, msg)
			if mid == nil {
				return [][]byte{msg}
			}
			return mid(toServer, n, msg)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(down)
		m.server, m.serverErr = Server(ctx, &end{in: up, out: down, server: true, middle: record(&m.serverWrote)}, sc)
	}()
	m.client, m.ready, m.clientErr = Client(ctx, &end{in: down, out: up, middle: record(&m.clientWrote)}, cc)
	close(up)
	<-done
	return &m
}

// everyMode runs a test in each mode.
func everyMode(t *testing.T, test func(t *testing.T, mode string)) {
	t.Helper()
	for _, mode := range Modes() {
		t.Run(mode, func(t *testing.T) { test(t, mode) })
	}
}

// newPair returns the two sides of a good session. T is a test, a benchmark, a
// fuzz target or a property.
func newPair(t interface {
	Helper()
	Fatalf(string, ...any)
}, mode string,
) (c, s *Session) {
	t.Helper()
	m := meet(clientConfig(mode, client), serverConfig(mode, dms), nil)
	if m.clientErr != nil || m.serverErr != nil {
		t.Fatalf("handshake: client %v, server %v", m.clientErr, m.serverErr)
	}
	return m.client, m.server
}

func wantCode(t *testing.T, who string, err error, code auction.Code) {
	t.Helper()
	if got := auction.CodeOf(err); got != code {
		t.Errorf("%s: got %v, want code %q", who, err, code)
	}
}

// A fixedSigner signs nothing: it gives a signature made before.
type fixedSigner struct {
	party
	sig []byte
}

func (s fixedSigner) Public() crypto.PublicKey { return &s.key.PublicKey }

func (s fixedSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return s.sig, nil }
