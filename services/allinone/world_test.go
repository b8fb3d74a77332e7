package allinone_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
	"github.com/sigilo/sigilo/services/allinone"
	"github.com/sigilo/sigilo/services/ca"
)

// world is a house under simulated time with four time authorities, of which
// three must stamp, whose keys are all in the test's hands, and with people in it.
type world struct {
	t        testing.TB // of the row at work
	top      testing.TB // of all rows
	ctx      context.Context
	h        *allinone.House
	dir      string // of the house's keys
	root     []byte
	verifier *identity.Verifier
	tsa      []*clockwork // tsa1 to tsa4

	sofia, bruno, olga *person // participants: a seller, a bidder, a stranger
	ada                *person // an auditor
	emil               *person // a participant who does nothing but look

	open   auction.ID // of sofia, an hour long, with a bid of 1500 by bruno
	sold   auction.ID // closed: of sofia, to bruno
	second auction.ID // of sofia, as long, with no bid
}

// newWorld makes the house and its people, and holds two auctions in it.
func newWorld(t testing.TB, ctx context.Context) *world {
	t.Helper()
	w := &world{t: t, top: t, ctx: ctx, dir: t.TempDir()}
	var err error
	w.h, err = allinone.Start(ctx, allinone.Config{Dir: w.dir, Replicas: 1, Authorities: 4, SimulatedTime: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.h.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.dir = filepath.Join(w.dir, "keys")
	w.root = w.loadChain(ca.FileRoot)[0]
	if w.verifier, err = identity.NewVerifier(w.h.Ready.House, w.root); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		key, chain := ca.TSAFiles(fmt.Sprintf("tsa%d", i+1), true)
		w.tsa = append(w.tsa, &clockwork{t, w.loadKey(key), w.loadChain(chain)})
	}
	w.sofia = w.newPerson("sofia", identity.RoleParticipant)
	w.bruno = w.newPerson("bruno", identity.RoleParticipant)
	w.olga = w.newPerson("olga", identity.RoleParticipant)
	w.ada = w.newPerson("ada", identity.RoleAuditor)
	w.emil = w.newPerson("emil", identity.RoleParticipant)
	w.hold()
	return w
}

// hold brings the auctions to where the rows want them.
func (w *world) hold() {
	w.t.Helper()
	w.sold = w.list(20 * time.Second)
	w.open = w.list(time.Hour)
	w.second = w.list(time.Hour)
	w.pass(time.Second)
	w.accept(w.bruno, w.bid(w.bruno, w.sold, 1500), w.now())
	w.accept(w.bruno, w.bid(w.bruno, w.open, 1500), w.now())
	w.pass(30 * time.Second)
	for w.item(w.sold).Item.Status != wire.StatusClosed {
		if w.ctx.Err() != nil {
			w.t.Fatal("the auction is not closed")
		}
	}
}

// pass lets simulated time pass.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	if err := w.h.SetTime(w.ctx, w.now().Add(d)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) loadKey(name string) *ecdsa.PrivateKey {
	w.t.Helper()
	key, err := identity.LoadKey(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

func (w *world) loadChain(name string) [][]byte {
	w.t.Helper()
	chain, err := identity.LoadChain(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return chain
}

// policy returns the document of the policy in force.
func (w *world) policy() []byte {
	w.t.Helper()
	doc, err := os.ReadFile(filepath.Join(w.dir, ca.FilePolicy))
	if err != nil {
		w.t.Fatal(err)
	}
	return doc
}

// now returns the simulated time, as the house's time authority says it.
func (w *world) now() auction.Time {
	w.t.Helper()
	request, err := tsp.NewRequest(sha256.Sum256([]byte("now")), tsp.SimulatedTime, rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	der, err := request.Marshal()
	if err != nil {
		w.t.Fatal(err)
	}
	_, data := w.call("POST", w.h.Ready.TSA[0]+"/api/timestamp", tsp.QueryType, "", der)
	authority, err := tsp.NewAuthority(tsp.AuthorityConfig{
		House: w.h.Ready.House, Name: "tsa1", Certificates: w.tsa[0].chain, Roots: [][]byte{w.root}, Policy: tsp.SimulatedTime,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	_, stamp, err := authority.VerifyResponse(data, request)
	if err != nil {
		w.t.Fatal(err)
	}
	return stamp.Time
}

// clockwork is a time authority that stamps whatever time it is told.
type clockwork struct {
	t     testing.TB
	key   *ecdsa.PrivateKey
	chain [][]byte
}

// stamp returns a token over a digest with the given time in it.
func (c *clockwork) stamp(digest auction.Hash, at auction.Time) []byte {
	c.t.Helper()
	issuer, err := tsp.NewIssuer(tsp.IssuerConfig{
		Key: c.key, Chain: c.chain, Policy: tsp.SimulatedTime, Accuracy: time.Millisecond,
		Now: at.Std, Rand: rand.Reader,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	request, err := tsp.NewRequest(digest, tsp.SimulatedTime, rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	der, err := request.Marshal()
	if err != nil {
		c.t.Fatal(err)
	}
	token, err := tsp.ParseResponse(issuer.Respond(der))
	if err != nil {
		c.t.Fatal(err)
	}
	return token
}

// stamps returns the stamps of three authorities, as the policy demands.
func (w *world) stamps(jws string, at auction.Time) []auction.Blob {
	digest := sha256.Sum256([]byte(jws))
	return []auction.Blob{w.tsa[0].stamp(digest, at), w.tsa[1].stamp(digest, at), w.tsa[2].stamp(digest, at)}
}

// payload returns the JSON of a command.
func (w *world) payload(by *person, c wire.Command) string {
	w.t.Helper()
	c.House = w.h.Ready.House
	if c.Pseudonym == "" {
		c.Pseudonym = auction.Pseudonym(uuid.NewString())
	}
	if c.Kind == auction.KindList || c.Kind == auction.KindBid {
		key, err := hpke.DHKEM(ecdh.P256()).GenerateKey()
		if err != nil {
			w.t.Fatal(err)
		}
		c.DisclosureKey = key.PublicKey().Bytes()
	}
	jws, err := wire.Sign(by.key, by.cert.Thumbprint, c, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return payloadOf(w.t, string(jws))
}

// bid returns the JSON of a bid over the auction as it stands.
func (w *world) bid(by *person, id auction.ID, amount auction.Amount) string {
	item := w.item(id).Item
	return w.payload(by, wire.Command{
		Kind: auction.KindBid, Auction: id, Head: item.Head, Amount: amount, Currency: "EUR", TermsHash: item.TermsHash,
	})
}

func (w *world) terms(open time.Duration) auction.Terms {
	return auction.Terms{
		V: 1, Policy: auction.PolicyHash(w.policy()), Title: "A clock", Currency: "EUR", Minimum: 1000, Increment: 100,
		Closes: w.now().Add(open), TieWindow: time.Second.Microseconds(), Disclose: []string{"username"},
	}
}

func (w *world) listing(terms auction.Terms) string {
	w.t.Helper()
	doc, err := terms.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.payload(w.sofia, wire.Command{Kind: auction.KindList, Head: w.houseHead(), Terms: doc})
}

// list lists an item of sofia's. It is stamped a little ahead of its arrival,
// so that stamps of just before the listing can name it as their head.
func (w *world) list(open time.Duration) auction.ID {
	w.t.Helper()
	receipt := w.accept(w.sofia, w.listing(w.terms(open)), w.now().Add(400*time.Millisecond))
	return receipt.Receipt.Auction
}

// accept sends a command that must be taken.
func (w *world) accept(by *person, payload string, at auction.Time) *wire.ReceiptAnswer {
	w.t.Helper()
	r := w.command(by, payload, at)
	receipt, ok := r.m.(*wire.ReceiptAnswer)
	if !ok {
		w.t.Fatalf("not taken: %s", r.code)
	}
	return receipt
}

// command signs a payload as it is, stamps it, and sends it.
func (w *world) command(by *person, payload string, at auction.Time) reply {
	w.t.Helper()
	jws := signed(w.t, by.key, by.cert.Thumbprint, payload)
	return w.sendCommand(by.conn, jws, w.stamps(jws, at))
}

func (w *world) sendCommand(c *rawConn, jws string, stamps []auction.Blob) reply {
	w.t.Helper()
	if stamps == nil {
		stamps = []auction.Blob{}
	}
	return c.ask(func(id uint32) wire.ClientMessage {
		return &wire.CommandRequest{ID: id, JWS: jws, Stamps: stamps}
	})
}

// query sends an unstamped command.
func (w *world) query(by *person, c wire.Command) reply {
	w.t.Helper()
	return w.sendCommand(by.conn, signed(w.t, by.key, by.cert.Thumbprint, w.payload(by, c)), nil)
}

// look asks for what anybody may see, again for as long as that is too often.
func (w *world) look(ask func(*rawConn) reply) reply {
	w.t.Helper()
	for {
		if r := ask(w.emil.conn); r.code != auction.CodeRateLimited || w.ctx.Err() != nil {
			return r
		}
	}
}

func (w *world) item(id auction.ID) *wire.ItemAnswer {
	w.t.Helper()
	jws := signed(w.t, w.emil.key, w.emil.cert.Thumbprint, w.payload(w.emil, wire.Command{Kind: auction.KindItem, Auction: id}))
	r := w.look(func(c *rawConn) reply { return w.sendCommand(c, jws, nil) })
	item, ok := r.m.(*wire.ItemAnswer)
	if !ok {
		w.t.Fatalf("item: %s", r.code)
	}
	return item
}

func (w *world) entries(c *rawConn, log auction.LogID, view wire.View) reply {
	w.t.Helper()
	return c.ask(func(id uint32) wire.ClientMessage {
		return &wire.EntriesRequest{ID: id, Log: log, From: 1, View: view}
	})
}

// log returns the whole of a log's public part and its signed head.
func (w *world) log(log auction.LogID) *wire.EntriesAnswer {
	w.t.Helper()
	r := w.look(func(c *rawConn) reply { return w.entries(c, log, wire.ViewPublic) })
	page, ok := r.m.(*wire.EntriesAnswer)
	if !ok || page.More {
		w.t.Fatalf("entries: %s", r.code)
	}
	return page
}

func (w *world) houseHead() auction.Head {
	w.t.Helper()
	var chain auction.House
	for _, e := range w.log(auction.HouseLog).Entries {
		entry, err := e.Entry()
		if err != nil {
			w.t.Fatal(err)
		}
		if err := chain.Apply(entry); err != nil {
			w.t.Fatal(err)
		}
	}
	return chain.Head()
}

// state is what everybody can see: the heads of the logs, and how the auctions
// stand.
func (w *world) state() string {
	w.t.Helper()
	all := []any{w.log(auction.HouseLog).Head}
	for _, id := range []auction.ID{w.open, w.sold, w.second} {
		all = append(all, w.item(id))
	}
	for _, m := range all[1:] {
		m.(*wire.ItemAnswer).ID = 0
	}
	data, err := json.Marshal(all)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// signed makes the JWS of any payload: wire.Sign refuses the wrong ones.
func signed(t testing.TB, key *ecdsa.PrivateKey, thumbprint auction.Hash, payload string) string {
	t.Helper()
	header := `{"alg":"ES256","typ":"sigilo-command+jwt","x5t#S256":"` + b64(thumbprint[:]) + `"}`
	return signedAs(t, key, header, payload)
}

func signedAs(t testing.TB, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	var raw [64]byte
	r.FillBytes(raw[:32])
	s.FillBytes(raw[32:])
	return input + "." + b64(raw[:])
}

func payloadOf(t testing.TB, jws string) string {
	t.Helper()
	payload, err := decode64(strings.Split(jws, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}
