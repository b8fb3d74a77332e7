package dms

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

// clockHouse is a stage whose policy names a real time authority, which stamps
// whatever time it is told, to the millisecond.
type clockHouse struct {
	*stage
	crosscheck *crosscheck
	key        *ecdsa.PrivateKey // of the authority, and of everybody who signs here
	chain      [][]byte
	oid        []int
	id         auction.ID
}

func newClockHouse(t *testing.T, simulated bool) *clockHouse {
	t.Helper()
	h := &clockHouse{stage: newStage(t, nil), oid: tsp.RealTime}
	if simulated {
		h.oid = tsp.SimulatedTime
	}
	from := auctiontest.Start.Std().Truncate(time.Hour).Add(-time.Hour)
	until := from.Add(100 * time.Hour)
	rootKey, err := identity.NewKey()
	h.ok(err)
	root, err := identity.NewRoot(rootKey, "demo", from, until)
	h.ok(err)
	issuer, err := identity.NewIssuer([][]byte{root}, rootKey)
	h.ok(err)
	h.key, err = identity.NewKey()
	h.ok(err)
	h.chain, err = issuer.Issue(&h.key.PublicKey, identity.Profile{
		Role: identity.RoleTSA, House: "demo", Authority: "tsa1", Simulated: simulated, NotBefore: from, NotAfter: until,
	})
	h.ok(err)
	h.Policy.Roots = []auction.Hash{sha256.Sum256(root)}
	h.Policy.Skew, h.Policy.Freshness, h.Policy.Grace = 30_000_000, 60_000_000, 60_000_000
	h.Policy.Simulated = simulated
	h.Policy.Authorities = []auction.Authority{{
		Name: "tsa1", Policy: tsp.RealTime.String(), Certificates: []auction.Blob{h.chain[0]},
	}}
	if simulated {
		h.Policy.Authorities[0].Policy = tsp.SimulatedTime.String()
	}
	h.Doc, err = h.Policy.Encode()
	h.ok(err)
	h.ok(h.Adopt(t.Context(), h.Doc))
	h.srv.checker, err = accept.New("demo", [][]byte{root}, nil)
	h.ok(err)
	h.crosscheck = newCrosscheck(h.Backend, h.srv, [][]byte{root})
	h.Clock.Advance(time.Minute)
	h.id = h.place(h.real(h.List("seller", h.Terms()), 0)).Receipt.Auction
	h.Clock.Advance(time.Minute)
	return h
}

func (h *clockHouse) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// real signs and stamps a command, as far from its time as the authority says.
func (h *clockHouse) real(c auction.Command, off time.Duration) auction.Command {
	h.t.Helper()
	disclosure, err := ecdh.P256().GenerateKey(rand.Reader)
	h.ok(err)
	cmd := wire.Command{
		House: "demo", Kind: c.Kind, Pseudonym: c.Pseudonym, Head: c.Head, DisclosureKey: disclosure.PublicKey().Bytes(),
		Auction: c.Auction, Terms: c.Terms, TermsHash: c.TermsHash, Amount: c.Amount, Currency: c.Currency,
	}
	if c.Kind == auction.KindList {
		cmd.Auction, cmd.TermsHash = "", auction.Hash{}
	}
	c.JWS, err = wire.Sign(h.key, c.Certificate, cmd, nil)
	h.ok(err)
	c.Digest, c.TS = sha256.Sum256(c.JWS), c.TS.Add(off)
	c.Tokens = [][]byte{h.token(c.Digest, c.TS)}
	return c
}

func (h *clockHouse) token(digest auction.Hash, at auction.Time) []byte {
	h.t.Helper()
	issuer, err := tsp.NewIssuer(tsp.IssuerConfig{
		Key: h.key, Chain: h.chain, Policy: h.oid, Accuracy: time.Millisecond, Now: at.Std, Rand: rand.Reader,
	})
	h.ok(err)
	request, err := tsp.NewRequest(digest, h.oid, rand.Reader)
	h.ok(err)
	der, err := request.Marshal()
	h.ok(err)
	token, err := tsp.ParseResponse(issuer.Respond(der))
	h.ok(err)
	return token
}

// see shows a command to the crosscheck, as the checker does.
func (h *clockHouse) see(c auction.Command) {
	h.t.Helper()
	cmd, err := wire.ParseCommand(c.JWS)
	h.ok(err)
	quorum, err := h.srv.checker.QuorumOf(auction.PolicyHash(h.Doc), h.Policy)
	h.ok(err)
	_, stamps, err := quorum.Verify(c.Tokens, c.Digest)
	h.ok(err)
	h.crosscheck.saw(cmd, h.Policy, c.Tokens, stamps)
}

// place has a command committed, by whatever replica.
func (h *clockHouse) place(c auction.Command) auction.Answer {
	h.t.Helper()
	return h.Accept(c)
}

// proofs looks into all that waits, and returns the proofs that hold.
func (h *clockHouse) proofs() int {
	h.t.Helper()
	for len(h.crosscheck.ended) > 0 {
		h.ok(h.crosscheck.lookThrough(context.Background(), auction.LogID(<-h.crosscheck.ended)))
	}
	for len(h.crosscheck.waiting) > 0 {
		h.ok(h.crosscheck.look(context.Background(), <-h.crosscheck.waiting))
	}
	proofs, err := h.Proofs(context.Background())
	h.ok(err)
	trust := &evidence.Trust{House: "demo", Roots: h.Policy.Roots}
	for _, proof := range proofs {
		if v, err := evidence.VerifyContradiction(proof, trust); err != nil || v.Authority != "tsa1" {
			h.t.Errorf("a proof that is none: %+v, %v", v, err)
		}
	}
	counted := testutil.ToFloat64(h.srv.metrics.contradictions.WithLabelValues("tsa1"))
	if int(counted) < len(proofs) {
		h.t.Errorf("%v counted, %d proofs", counted, len(proofs))
	}
	return len(proofs)
}

// The rules need not accept what proves a lie.
func TestLateStampIsLookedInto(t *testing.T) {
	h := newClockHouse(t, false)
	first := h.real(h.Bid(h.id, "first", 1000), 0)
	h.see(first)
	h.place(first)
	h.see(h.real(h.Bid(h.id, "second", 1100), time.Millisecond)) // an honest one
	if n := h.proofs(); n != 0 {
		t.Fatalf("%d proofs of nothing", n)
	}
	h.see(h.real(h.Bid(h.id, "friend", 1100), -10*time.Second))
	if n := h.proofs(); n != 1 {
		t.Fatalf("%d proofs, want 1", n)
	}
	h.see(h.real(h.List("friend", h.Terms()), -10*time.Minute)) // over the house log, in which the listing is
	if n := h.proofs(); n != 2 {
		t.Fatalf("%d proofs, want 2", n)
	}
}

// What was under way for long names a head from before it left.
func TestDelayIsNoLie(t *testing.T) {
	h := newClockHouse(t, false)
	slow := h.real(h.Bid(h.id, "slow", 1000), 0)
	h.Clock.Advance(10 * time.Second)
	fast := h.real(h.Bid(h.id, "fast", 1000), 0)
	h.see(fast)
	h.place(fast)
	h.see(slow)
	if len(h.crosscheck.waiting) != 1 {
		t.Error("a stamp that looks late is not looked into")
	}
	made := h.Bid(h.id, "forger", 1100)
	made.Head.Root[0] ^= 1
	h.see(h.real(made, -10*time.Second))
	if n := h.proofs(); n != 0 {
		t.Errorf("%d proofs of nothing", n)
	}
}

// Another replica took the commands: the log tells it, when it is closed.
func TestClosedLogIsLookedThrough(t *testing.T) {
	h := newClockHouse(t, false)
	h.place(h.real(h.Bid(h.id, "first", 1000), 0))
	h.place(h.real(h.Bid(h.id, "friend", 1100), -10*time.Second))
	h.place(h.real(h.Bid(h.id, "third", 1200), 0))
	h.crosscheck.closed(h.id)
	if n := h.proofs(); n != 1 {
		t.Errorf("%d proofs, want 1", n)
	}
	if len(h.crosscheck.logs) != 0 {
		t.Error("a closed log is remembered")
	}
}

// An authority that lies makes all commands look late: that keeps no closed log
// from being looked through.
func TestFloodLosesNoClosedLog(t *testing.T) {
	h := newClockHouse(t, false)
	first := h.real(h.Bid(h.id, "first", 1000), 0)
	h.see(first)
	h.place(first)
	h.place(h.real(h.Bid(h.id, "friend", 1100), -10*time.Second))
	made := h.Bid(h.id, "forger", 1200)
	made.Head.Root[0] ^= 1
	late := h.real(made, -20*time.Second)
	for range maxWaiting {
		h.see(late)
	}
	h.crosscheck.closed(h.id)
	if n := h.proofs(); n != 1 {
		t.Errorf("%d proofs, want 1", n)
	}
}

// What looks like a contradiction and makes no proof, here as the root is not at
// hand, does not keep the rest of the log from being read.
func TestNoProofIsNoEnd(t *testing.T) {
	h := newClockHouse(t, false)
	h.crosscheck.roots = nil
	h.place(h.real(h.Bid(h.id, "first", 1000), 0))
	h.place(h.real(h.Bid(h.id, "friend", 1100), -10*time.Second))
	h.place(h.real(h.Bid(h.id, "third", 1200), 0))
	log, err := h.crosscheck.open(t.Context(), auction.LogID(h.id))
	h.ok(err)
	h.ok(h.crosscheck.read(t.Context(), log, log.chain.Size()))
	if log.size != log.chain.Size() {
		t.Errorf("read %d of %d entries", log.size, log.chain.Size())
	}
	if n := h.proofs(); n != 0 {
		t.Errorf("%d proofs without a root", n)
	}
}

// The stamps of the close record are over all that was there before.
func TestCloseRecordIsCompared(t *testing.T) {
	h := newClockHouse(t, false)
	state := h.State(h.id)
	h.Clock.Set(state.End() - 1_000_000)
	h.place(h.real(h.Bid(h.id, "first", 1000), 0))
	h.pastGrace(h.id)
	state = h.State(h.id)
	stamps := []auction.Blob{h.token(auction.CloseDigest(h.id, state.Head()), state.End()-10_000_000)}
	h.ok(h.Close(t.Context(), h.id, state.Head(), stamps, h.Clock.Time()))
	h.crosscheck.closed(h.id)
	if n := h.proofs(); n != 1 {
		t.Errorf("%d proofs, want 1", n)
	}
}

func TestSimulatedTimeIsNotCompared(t *testing.T) {
	h := newClockHouse(t, true)
	first := h.real(h.Bid(h.id, "first", 1000), 0)
	h.see(first)
	h.place(first)
	friend := h.real(h.Bid(h.id, "friend", 1100), -10*time.Second)
	h.see(friend)
	h.place(friend)
	h.crosscheck.closed(h.id)
	if n := h.proofs(); n != 0 {
		t.Errorf("%d proofs of nothing", n)
	}
}

// A flood of late stamps holds nobody up, and the loop ends with its context.
func TestCrosscheckBlocksNobody(t *testing.T) {
	h := newClockHouse(t, false)
	h.see(h.real(h.Bid(h.id, "first", 1000), 0))
	late := h.real(h.Bid(h.id, "late", 1000), -10*time.Second)
	for range 2 * maxWaiting {
		h.see(late)
	}
	if len(h.crosscheck.waiting) != maxWaiting {
		t.Errorf("%d wait, want %d", len(h.crosscheck.waiting), maxWaiting)
	}
	for range 2 * maxEnded {
		h.crosscheck.closed(h.id)
	}
	if len(h.crosscheck.ended) != maxEnded {
		t.Errorf("%d closed auctions wait, want %d", len(h.crosscheck.ended), maxEnded)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.crosscheck.run(ctx); err != context.Canceled {
		t.Errorf("ended with %v", err)
	}
}
