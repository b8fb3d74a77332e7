package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// attack is a kind of hostile load: many do the same over and over.
type attack struct {
	name      string
	workers   int
	addresses int // that they come from, alike
	// try is one go; it ends with ctx, or when the house ends it. What it counts
	// as a try of its own it announces by enemy.next first.
	try func(e *enemy, ctx context.Context, w *worker) error
}

var attacks = []attack{
	{"false_signatures", 64, 4, (*enemy).signFalsely},
	{"wrong_keys", 32, 4, (*enemy).useWrongKeys},
	{"handshakes", 32, 4, (*enemy).shakeHands},
	{"half_open", 1200, 8, (*enemy).standInTheDoor},
	{"spectators", 400, 4, (*enemy).gape},
}

// traitors is how many of the enemy are enrolled: certificates are not for free.
const traitors = 16

// enemy is all who mean harm.
type enemy struct {
	house  *house
	url    string // of the replica
	lot    auction.LogID
	people []*person
	tokens []string
	lies   []string      // of each person, a bid under somebody else's key
	flow   float64       // tries a second
	pace   *rate.Limiter // of the attack that goes on
	tries  atomic.Uint64
	count  int // of attacks so far: each comes from addresses of its own
}

// worker is one of them, at an address.
type worker struct {
	number int
	http   *http.Client
}

// recruit enrols the traitors of the honest ones' house.
func recruit(ctx context.Context, t *traffic, perSecond float64) (*enemy, error) {
	lot := t.lots[0]
	e := &enemy{
		house: t.house, url: strings.TrimSuffix(t.house.replicas[0], "/") + "/ws", lot: auction.LogID(lot.id), flow: perSecond,
	}
	other, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	prefix := "traitor-" + strings.ToLower(rand.Text()[:10])
	for i := range traitors {
		p, err := t.house.ca.enrol(ctx, fmt.Sprintf("%s-%d", prefix, i+1))
		if err != nil {
			return nil, err
		}
		token, err := t.house.ca.token(ctx, p)
		if err != nil {
			return nil, err
		}
		jws, err := wire.Sign(other, p.thumbprint, wire.Command{
			House: t.house.id, Kind: auction.KindBid, Auction: lot.id, Pseudonym: auction.Pseudonym(uuid.NewString()),
			Head: lot.head(), DisclosureKey: p.disclosure, Amount: firstBid, Currency: currency, TermsHash: lot.terms,
		}, rand.Reader)
		if err != nil {
			return nil, err
		}
		e.people, e.tokens, e.lies = append(e.people, p), append(e.tokens, token), append(e.lies, string(jws))
	}
	return e, nil
}

// flood begins an attack, which goes on until stop.
func (e *enemy) flood(ctx context.Context, a attack) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	e.count++
	// A new one: who waited for a turn when the last attack ended has it still.
	e.pace = rate.NewLimiter(rate.Limit(e.flow), int(e.flow/10)+1)
	for i := range a.workers {
		w := &worker{number: i, http: clientAt(net.IPv4(127, 1, byte(e.count), byte(1+i%a.addresses)))}
		running.Go(func() {
			defer w.http.CloseIdleConnections()
			for e.next(ctx) == nil {
				_ = a.try(e, ctx, w) // however it ended, on to the next
			}
		})
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// next waits for the turn of one more try.
func (e *enemy) next(ctx context.Context) error {
	if err := e.pace.Wait(ctx); err != nil {
		return err
	}
	e.tries.Add(1)
	return nil
}

// clientAt is a client that comes from an address of this machine.
func clientAt(ip net.IP) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, LocalAddr: &net.TCPAddr{IP: ip}}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}
}

func (e *enemy) person(w *worker) (*person, string) {
	return e.people[w.number%traitors], e.tokens[w.number%traitors]
}

// signFalsely opens a session and sends bids whose signature does not hold.
func (e *enemy) signFalsely(ctx context.Context, w *worker) error {
	p, token := e.person(w)
	l, err := dial(ctx, w.http, e.house.verifier, strings.TrimSuffix(e.url, "/ws"), p, token)
	if err != nil {
		return err
	}
	defer l.ws.CloseNow()
	stamps := make([]auction.Blob, e.house.policy.Quorum)
	for i := range stamps {
		stamps[i] = auction.Blob("not looked at")
	}
	for {
		_, err := l.request(ctx, func(id uint32) wire.ClientMessage {
			return &wire.CommandRequest{ID: id, JWS: e.lies[w.number%traitors], Stamps: stamps}
		})
		if errors.Is(err, errLost) || ctx.Err() != nil {
			return err
		}
		if err := e.next(ctx); err != nil {
			return err
		}
	}
}

// useWrongKeys opens a session and sends a frame that is sealed with no key of it.
func (e *enemy) useWrongKeys(ctx context.Context, w *worker) error {
	p, token := e.person(w)
	l, err := dial(ctx, w.http, e.house.verifier, strings.TrimSuffix(e.url, "/ws"), p, token)
	if err != nil {
		return err
	}
	defer l.ws.CloseNow()
	frame := make([]byte, session.ClientFrame+session.Overhead)
	_, _ = rand.Read(frame) // it never fails
	if err := (socket{l.ws}).Write(ctx, frame); err != nil {
		return err
	}
	select {
	case <-l.dead:
	case <-ctx.Done():
	}
	return nil
}

// shakeHands lets the replica do all the work of a handshake for a token that is
// none, with as little of its own as can be.
func (e *enemy) shakeHands(ctx context.Context, w *worker) error {
	ws, err := e.open(ctx, w, session.Modes()...)
	if err != nil {
		return err
	}
	defer ws.CloseNow()
	p, _ := e.person(w)
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	_, _, err = session.Client(ctx, socket{ws}, session.ClientConfig{
		Mode: ws.Subprotocol(), Offered: session.Modes(), Token: "none", Chain: p.chain, Key: p.key,
		VerifyServer: func(chain [][]byte, _ auction.Time) (*ecdsa.PublicKey, error) {
			cert, err := x509.ParseCertificate(chain[0])
			if err != nil {
				return nil, err
			}
			key, ok := cert.PublicKey.(*ecdsa.PublicKey)
			if !ok {
				return nil, errUnexpected
			}
			return key, nil
		},
	})
	return err
}

// standInTheDoor opens a connection and does not shake hands; every other one
// begins to, a byte a second.
func (e *enemy) standInTheDoor(ctx context.Context, w *worker) error {
	ws, err := e.open(ctx, w, session.Modes()...)
	if err != nil {
		return err
	}
	defer ws.CloseNow()
	if w.number%2 == 0 {
		_, _, err := ws.Read(ctx)
		return err
	}
	message, err := ws.Writer(ctx, websocket.MessageBinary)
	for err == nil && e.next(ctx) == nil {
		_, err = message.Write([]byte{1})
	}
	return err
}

// gape watches an auction, reads what comes, and asks for its entries all the time.
func (e *enemy) gape(ctx context.Context, w *worker) error {
	ws, err := e.open(ctx, w, session.ModePublic)
	if err != nil {
		return err
	}
	defer ws.CloseNow()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ws.SetReadLimit(wire.MaxServerFrame)
	go func() {
		defer cancel()
		for {
			if _, _, err := ws.Read(ctx); err != nil {
				return
			}
		}
	}()
	for id := uint32(1); err == nil; id++ {
		var ask wire.ClientMessage = &wire.EntriesRequest{ID: id, Log: e.lot, From: 1, View: wire.ViewPublic}
		if id == 1 {
			ask = &wire.FollowRequest{ID: id, Log: e.lot}
		}
		if err = ws.Write(ctx, websocket.MessageText, wire.EncodeClient(ask)); err == nil {
			err = e.next(ctx)
		}
	}
	return err
}

func (e *enemy) open(ctx context.Context, w *worker, modes ...string) (*websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, e.url, &websocket.DialOptions{Subprotocols: modes, HTTPClient: w.http})
	return ws, err
}
