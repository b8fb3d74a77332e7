package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/session"
)

// Handshake measures what setting up a session costs each side in each mode: CPU
// by the thread's own clock, and bytes. The modes take turns, so that what else
// the machine does meets them alike. Certificates and tokens are not checked:
// that costs the same in every mode.
func Handshake(ctx context.Context, rounds int) (Result, error) {
	if rounds < 1 {
		return Result{}, errors.New("rounds is at least 1")
	}
	result := newResult("handshake")
	client, err := newEndpoint()
	if err != nil {
		return Result{}, err
	}
	server, err := newEndpoint()
	if err != nil {
		return Result{}, err
	}
	sums := make(map[string]*setupCost)
	for range rounds {
		for _, mode := range session.Modes() {
			if sums[mode] == nil {
				sums[mode] = new(setupCost)
			}
			if err := sums[mode].add(ctx, mode, client, server); err != nil {
				return Result{}, fmt.Errorf("shake hands in mode %s: %w", mode, err)
			}
		}
	}
	for mode, sum := range sums {
		short := mode[strings.LastIndexByte(mode, '.')+1:]
		result.set(short+"_server_us", float64(sum.server)/float64(rounds)/float64(time.Microsecond))
		result.set(short+"_client_us", float64(sum.client)/float64(rounds)/float64(time.Microsecond))
		result.set(short+"_bytes", float64(sum.bytes)/float64(rounds))
	}
	hybrid, p256 := sums[session.ModeHybrid], sums[session.ModeP256]
	result.ratio("hybrid_server_cpu_to_p256", float64(hybrid.server), float64(p256.server))
	result.ratio("hybrid_client_cpu_to_p256", float64(hybrid.client), float64(p256.client))
	result.ratio("hybrid_bytes_to_p256", float64(hybrid.bytes), float64(p256.bytes))
	return result, nil
}

// endpoint is one side: a key, and its public half in place of a certificate.
type endpoint struct {
	key   *ecdsa.PrivateKey
	chain [][]byte
}

func newEndpoint() (endpoint, error) {
	key, err := identity.NewKey()
	if err != nil {
		return endpoint{}, err
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	return endpoint{key, [][]byte{spki}}, err
}

// setupCost is what handshakes took.
type setupCost struct {
	client, server time.Duration // of CPU
	bytes          int           // of both directions
}

// add makes one session and adds what it took.
func (c *setupCost) add(ctx context.Context, mode string, client, server endpoint) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	up, down := make(chan []byte, 1), make(chan []byte, 1)
	atClient, atServer := &pipe{in: down, out: up}, &pipe{in: up, out: down}
	var serverErr, clientErr error
	var clockErr [2]error
	done := make(chan struct{})
	go func() {
		defer close(done)
		var used time.Duration
		used, clockErr[0] = threadCPU(func() {
			_, serverErr = session.Server(ctx, atServer, session.ServerConfig{
				Mode: mode, Chain: server.chain, Key: server.key,
				Now: func() (auction.Time, error) { return auction.TimeOf(time.Now()), nil },
				Authenticate: func(context.Context, session.Credentials) (*ecdsa.PublicKey, error) {
					return &client.key.PublicKey, nil
				},
				Ready: func() ([]byte, error) { return []byte("{}"), nil },
			})
		})
		c.server += used
		if serverErr != nil {
			cancel() // the client waits for ever otherwise
		}
	}()
	var used time.Duration
	used, clockErr[1] = threadCPU(func() {
		_, _, clientErr = session.Client(ctx, atClient, session.ClientConfig{
			Mode: mode, Offered: []string{mode}, Token: "token", Chain: client.chain, Key: client.key,
			VerifyServer: func([][]byte, auction.Time) (*ecdsa.PublicKey, error) { return &server.key.PublicKey, nil },
		})
	})
	if clientErr != nil {
		cancel()
	}
	<-done
	c.client += used
	c.bytes += atClient.sent + atServer.sent
	return errors.Join(serverErr, clientErr, clockErr[0], clockErr[1])
}

// pipe is one end of a connection in memory, and counts what it sends.
type pipe struct {
	in   <-chan []byte
	out  chan<- []byte
	sent int
}

// Read implements [session.Conn].
func (p *pipe) Read(ctx context.Context) ([]byte, error) {
	select {
	case msg := <-p.in:
		return msg, nil
	case <-ctx.Done():
		return nil, io.ErrUnexpectedEOF
	}
}

// Write implements [session.Conn].
func (p *pipe) Write(ctx context.Context, msg []byte) error {
	p.sent += len(msg)
	select {
	case p.out <- msg:
		return nil
	case <-ctx.Done():
		return io.ErrClosedPipe
	}
}
