package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
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
	// try is one go; it ends with ctx, or when the house ends it. It counts as one
	// try, and so does each of those that it sends by enemy.fire.
	try func(e *enemy, ctx context.Context, w *worker) error
}

var attacks = []attack{
	{"false_signatures", 16, 16, (*enemy).signFalsely},
	{"wrong_keys", 16, 16, (*enemy).useWrongKeys},
	{"handshakes", 32, 4, (*enemy).shakeHands},
	{"half_open", 1200, 8, (*enemy).standInTheDoor},
	{"spectators", 400, 4, (*enemy).gape},
}

const (
	// traitors is how many of the enemy are enrolled beside the liars.
	traitors = 16
	// maxLiars bounds those who sign falsely. The house keeps out who has done so a
	// few times, so each can do it in one session.
	maxLiars = 4000
)

// enemy is all who mean harm.
type enemy struct {
	house  *house
	url    string // of the replica
	lot    auction.LogID
	people []traitor
	liars  []traitor
	lied   atomic.Uint64 // sessions of liars so far
	flow   float64       // tries a second
	pace   *rate.Limiter // of the attack that goes on
	tries  atomic.Uint64
	count  int // of attacks so far: each comes from addresses of its own
}

// traitor is one who is enrolled.
type traitor struct {
	*person
	token string
	lie   []byte // a message with a bid under somebody else's key
}

// worker is one of them, at an address.
type worker struct {
	number int
	from   net.IP
	buffer []byte // for what a burst holds back
}

// recruit enrols the traitors of the honest ones' house, and as many liars as
// attacks for so long need.
func recruit(ctx context.Context, t *traffic, perSecond float64, long time.Duration) (*enemy, error) {
	lot := t.lots[0]
	e := &enemy{
		house: t.house, url: strings.TrimSuffix(t.house.replicas[0], "/") + "/ws", lot: auction.LogID(lot.id), flow: perSecond,
	}
	key, err := identity.NewKey() // nobody's
	if err != nil {
		return nil, err
	}
	liars := min(maxLiars, 1+int(perSecond*long.Seconds()/volley))
	e.people, e.liars = make([]traitor, traitors), make([]traitor, liars)
	prefix := "traitor-" + strings.ToLower(rand.Text()[:10])
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range traitors + liars {
		group.Go(func() error {
			who, err := t.house.recruit(ctx, fmt.Sprintf("%s-%d", prefix, i+1), key, lot)
			if i < traitors {
				e.people[i] = who
			} else {
				e.liars[i-traitors] = who
			}
			return err
		})
	}
	return e, group.Wait()
}

// recruit enrols a traitor, who lies with a key about a lot.
func (h *house) recruit(ctx context.Context, name string, key *ecdsa.PrivateKey, lot *lot) (t traitor, err error) {
	if t.person, err = h.ca.enrol(ctx, name); err != nil {
		return t, err
	}
	if t.token, err = h.ca.token(ctx, t.person); err != nil {
		return t, err
	}
	jws, err := wire.Sign(key, t.thumbprint, wire.Command{
		House: h.id, Kind: auction.KindBid, Auction: lot.id, Pseudonym: auction.Pseudonym(uuid.NewString()),
		Head: lot.head(), DisclosureKey: t.disclosure, Amount: firstBid, Currency: currency, TermsHash: lot.terms,
	}, rand.Reader)
	stamps := make([]auction.Blob, h.policy.Quorum)
	for i := range stamps {
		stamps[i] = auction.Blob("not looked at")
	}
	t.lie = wire.EncodeClient(&wire.CommandRequest{ID: 1, JWS: string(jws), Stamps: stamps})
	return t, err
}

// flood begins an attack, which goes on until stop.
func (e *enemy) flood(ctx context.Context, a attack) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	e.count++
	// A new one: who waited for a turn when the last attack ended has it still.
	e.pace = rate.NewLimiter(rate.Limit(e.flow), int(e.flow/10)+1)
	for i := range a.workers {
		w := &worker{number: i, from: net.IPv4(127, 1, byte(e.count), byte(1+i%a.addresses))}
		running.Go(func() {
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

// connect opens a session.
func (e *enemy) connect(ctx context.Context, w *worker, t traitor) (*burst, *link, error) {
	b, client, err := e.reach(ctx, w)
	if err != nil {
		return nil, nil, err
	}
	l, err := dial(ctx, client, e.house.verifier, strings.TrimSuffix(e.url, "/ws"), t.person, t.token)
	if err != nil {
		_ = b.Close() // the first error tells more
	}
	return b, l, err
}

// signFalsely opens a session and sends bids whose signature does not hold, until
// the house ends it.
func (e *enemy) signFalsely(ctx context.Context, w *worker) error {
	who := e.liars[e.lied.Add(1)%uint64(len(e.liars))]
	b, l, err := e.connect(ctx, w, who)
	if err != nil {
		return err
	}
	defer l.ws.CloseNow()
	for l.usable() && err == nil {
		err = e.fire(ctx, w, b, func() error { return l.send(ctx, who.lie) })
	}
	return err
}

// useWrongKeys opens a session and sends frames that are sealed with no key of it.
func (e *enemy) useWrongKeys(ctx context.Context, w *worker) error {
	b, l, err := e.connect(ctx, w, e.people[w.number%traitors])
	if err != nil {
		return err
	}
	defer l.ws.CloseNow()
	frame := make([]byte, session.ClientFrame+session.Overhead)
	_, _ = rand.Read(frame) // it never fails
	for l.usable() && err == nil {
		err = e.fire(ctx, w, b, func() error { return socket{l.ws}.Write(ctx, frame) })
	}
	return err
}

// shakeHands lets the replica do all the work of a handshake for a token that is
// none, with as little of its own as can be. Who is not let in knocks.
func (e *enemy) shakeHands(ctx context.Context, w *worker) error {
	_, ws, err := e.open(ctx, w, session.Modes()...)
	if err != nil {
		return e.knock(ctx, w)
	}
	defer ws.CloseNow()
	p := e.people[w.number%traitors]
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
	_, ws, err := e.open(ctx, w, session.Modes()...)
	if err != nil {
		return err
	}
	defer ws.CloseNow()
	if w.number%2 == 0 {
		_, _, err := ws.Read(ctx)
		return err
	}
	message, err := ws.Writer(ctx, websocket.MessageBinary)
	for err == nil && sleepUntil(ctx, time.Now().Add(time.Second)) {
		_, err = message.Write([]byte{1})
	}
	return err
}

// gape watches an auction, reads what comes, and asks for its entries all the time.
func (e *enemy) gape(ctx context.Context, w *worker) error {
	b, ws, err := e.open(ctx, w, session.ModePublic)
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
	ask := wire.EncodeClient(&wire.FollowRequest{ID: 1, Log: e.lot})
	for err == nil {
		err = e.fire(ctx, w, b, func() error { return ws.Write(ctx, websocket.MessageText, ask) })
		ask = wire.EncodeClient(&wire.EntriesRequest{ID: 2, Log: e.lot, From: 1, View: wire.ViewPublic})
	}
	return err
}

func (e *enemy) open(ctx context.Context, w *worker, modes ...string) (*burst, *websocket.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	b, client, err := e.reach(ctx, w)
	if err != nil {
		return nil, nil, err
	}
	ws, _, err := websocket.Dial(ctx, e.url, &websocket.DialOptions{Subprotocols: modes, HTTPClient: client})
	if err != nil {
		_ = b.Close() // the first error tells more
	}
	return b, ws, err
}
