package dms

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/time/rate"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/store"
	"github.com/sigilo/sigilo/pkg/store/storetest"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

// benchBidders bid at once, so that the store commits in groups, as under load.
const benchBidders = 64

// BenchmarkBid takes bids from the plaintext of their frame to the queued answer,
// over a real Redis whose writes are on disk. It shows the allocations a bid.
func BenchmarkBid(b *testing.B) {
	h := newBenchHouse(b)
	bidders := make([]*bidder, benchBidders)
	for i := range bidders {
		bidders[i] = h.bidder(i)
	}
	for i := range b.N {
		bidders[i%benchBidders].prepare(i / benchBidders)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var running sync.WaitGroup
	for _, bidder := range bidders {
		running.Go(bidder.bid)
	}
	running.Wait()
	b.StopTimer()
	if n := h.refused.Load(); n > 0 {
		b.Errorf("%d bids were refused", n)
	}
}

// benchHouse is a replica with all keys of its house, whose time stands still.
type benchHouse struct {
	b       *testing.B
	ctx     context.Context
	srv     *server
	now     auction.Time
	stamper benchStamper
	issuer  *identity.Issuer // of participants
	hash    auction.Hash     // of the policy
	seller  *bidder
	refused atomic.Int64
}

func (h *benchHouse) must(err error) {
	h.b.Helper()
	if err != nil {
		h.b.Fatal(err)
	}
}

// benchStamper is the house's time authority.
type benchStamper struct {
	issuer *tsp.Issuer
	now    auction.Time
}

func (s benchStamper) Stamp(_ context.Context, imprint [32]byte) ([][]byte, auction.Time, error) {
	request, err := tsp.NewRequest(imprint, tsp.RealTime, rand.Reader)
	if err != nil {
		return nil, 0, err
	}
	query, err := request.Marshal()
	if err != nil {
		return nil, 0, err
	}
	token, err := tsp.ParseResponse(s.issuer.Respond(query))
	return [][]byte{token}, s.now, err
}

func newBenchHouse(b *testing.B) *benchHouse {
	h := &benchHouse{b: b, ctx: b.Context()}
	now := time.Now().Truncate(time.Second)
	h.now = auction.TimeOf(now)
	rootKey, tsaKey := h.key(), h.key()
	root, err := identity.NewRoot(rootKey, "demo", now.Add(-time.Hour), now.Add(time.Hour))
	h.must(err)
	issuer, err := identity.NewIssuer([][]byte{root}, rootKey)
	h.must(err)
	leaf, err := issuer.Issue(&tsaKey.PublicKey, identity.Profile{
		Role: identity.RoleTSA, House: "demo", Authority: "tsa1", NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	})
	h.must(err)
	h.stamper.now = h.now
	h.stamper.issuer, err = tsp.NewIssuer(tsp.IssuerConfig{
		Key: tsaKey, Chain: leaf, Policy: tsp.RealTime, Accuracy: time.Minute,
		Now: func() time.Time { return now }, Rand: rand.Reader,
	})
	h.must(err)
	secret, logKey, err := note.GenerateKey(rand.Reader, "demo")
	h.must(err)
	signer, err := evidence.NewLogSigner(secret)
	h.must(err)
	policy := auction.DefaultPolicy("demo")
	policy.Roots, policy.LogKey = []auction.Hash{sha256.Sum256(root)}, logKey
	policy.Skew = time.Minute.Microseconds() // stamps are a microsecond apart, and time stands still
	policy.Authorities = []auction.Authority{{Name: "tsa1", Policy: tsp.RealTime.String(), Certificates: []auction.Blob{leaf[0]}}}
	doc, err := policy.Encode()
	h.must(err)
	h.hash = auction.PolicyHash(doc)
	key := h.key()
	ca, err := issuer.NewIntermediate(&key.PublicKey, "demo", now.Add(-time.Hour), now.Add(time.Hour))
	h.must(err)
	h.issuer, err = identity.NewIssuer([][]byte{ca}, key)
	h.must(err)
	h.serve(root, ca, signer)
	h.must(h.srv.store.Adopt(h.ctx, doc))
	h.seller = h.bidder(-1)
	return h
}

// serve makes the replica.
func (h *benchHouse) serve(root, ca []byte, signer *evidence.LogSigner) {
	now := h.now.Std()
	registry, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	srv := &server{
		cfg: Config{House: "demo"}, log: log, metrics: newMetrics(registry),
		authorities: &authorities{}, trust: &trust{}, limits: newLimits(), ctx: h.ctx,
	}
	var err error
	srv.checker, err = accept.New("demo", [][]byte{root}, srv.observe)
	h.must(err)
	srv.clock = tsp.NewClock(h.stamper, func() time.Duration { return 0 }, false)
	h.must(srv.clock.Refresh(h.ctx))
	crl, err := h.issuer.NewRevocationList(1, now.Add(-time.Minute), now.Add(time.Hour), nil)
	h.must(err)
	list, err := srv.checker.Verifier().RevocationList(crl, ca, now)
	h.must(err)
	srv.trust.list.Store(list)
	st, err := store.Open(h.ctx, store.Options{
		URL: storetest.StartRedis(h.b).URL(), House: "demo", Clock: srv.clock.Now, Signer: signer, Log: log, Registerer: registry,
	})
	h.must(err)
	h.b.Cleanup(func() { h.must(st.Stop()) })
	srv.use(st, registry)
	h.b.Cleanup(srv.stop)
	h.srv = srv
}

func (h *benchHouse) key() *ecdsa.PrivateKey {
	key, err := identity.NewKey()
	h.must(err)
	return key
}

// bidder is a connection of a participant, with an auction of somebody else to
// itself and bids for it.
type bidder struct {
	h     *benchHouse
	key   *ecdsa.PrivateKey
	conn  *conn
	point []byte // a disclosure key

	id     auction.ID
	terms  auction.Hash
	head   auction.Head
	frames [][]byte
}

// bidder makes one; a negative number makes the seller, who has no auction.
func (h *benchHouse) bidder(number int) *bidder {
	h.b.Helper()
	key := h.key()
	now := h.now.Std()
	chain, err := h.issuer.Issue(&key.PublicKey, identity.Profile{
		Role: identity.RoleParticipant, House: "demo", NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	})
	h.must(err)
	cert, err := h.srv.checker.Verifier().Verify(chain, identity.RoleParticipant, now)
	h.must(err)
	disclosure, err := ecdh.P256().GenerateKey(rand.Reader)
	h.must(err)
	b := &bidder{h: h, key: key, conn: h.srv.newConn(), point: disclosure.PublicKey().Bytes()}
	b.conn.limiter = rate.NewLimiter(rate.Inf, 1)
	b.conn.party = &accept.Party{Certificate: cert, Role: identity.RoleParticipant, Expires: h.now.Add(time.Hour)}
	for _, der := range chain {
		b.conn.party.Chain = append(b.conn.party.Chain, der)
	}
	if number >= 0 {
		b.list(number)
	}
	return b
}

// list lists the bidder's auction, by the seller.
func (b *bidder) list(number int) {
	h := b.h
	house, err := h.srv.store.House(h.ctx)
	h.must(err)
	doc, err := auction.Terms{
		V: 1, Policy: h.hash, Title: fmt.Sprintf("Item %d", number), Currency: "EUR", Minimum: 1, Increment: 1,
		Closes: h.now.Add(time.Hour), Disclose: []string{},
	}.Encode()
	h.must(err)
	name := auction.Pseudonym(uuid.NewString())
	b.id, b.terms = auction.ID(name), auction.TermsHash(doc)
	h.must(h.seller.conn.handle(h.ctx, h.seller.frame(wire.Command{
		Kind: auction.KindList, Pseudonym: name, Head: house.Head(), Terms: doc,
	})))
	state, err := h.srv.store.Auction(h.ctx, b.id)
	h.must(err)
	b.head = state.Head()
}

// frame is the plaintext of a frame with a signed and stamped command.
func (b *bidder) frame(cmd wire.Command) []byte {
	cmd.House, cmd.DisclosureKey = "demo", b.point
	jws, err := wire.Sign(b.key, b.conn.party.Certificate.Thumbprint, cmd, rand.Reader)
	b.h.must(err)
	tokens, _, err := b.h.stamper.Stamp(b.h.ctx, sha256.Sum256(jws))
	b.h.must(err)
	return wire.EncodeClient(&wire.CommandRequest{ID: 1, JWS: string(jws), Stamps: []auction.Blob{tokens[0]}})
}

// prepare makes the bidder's next bid.
func (b *bidder) prepare(number int) {
	b.frames = append(b.frames, b.frame(wire.Command{
		Kind: auction.KindBid, Auction: b.id, Pseudonym: auction.Pseudonym(uuid.NewString()), Head: b.head,
		Amount: auction.Amount(number + 1), Currency: "EUR", TermsHash: b.terms,
	}))
}

// bid hands in all of them, one after the other.
func (b *bidder) bid() {
	for _, frame := range b.frames {
		if err := b.conn.handle(b.h.ctx, frame); err != nil {
			b.h.refused.Add(1)
			continue
		}
		answers, err := b.conn.queue.Next(b.h.ctx)
		if err != nil || len(answers) != 1 {
			b.h.refused.Add(1)
			continue
		}
		if !bytes.HasPrefix(answers[0], []byte(`{"type":"receipt",`)) {
			b.h.refused.Add(1)
		}
	}
}
