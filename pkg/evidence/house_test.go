package evidence

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

// start is when the tests' auctions are listed.
var start = auction.TimeOf(time.Date(2026, 3, 4, 5, 6, 7, 250_000_000, time.UTC))

const second = auction.Time(1_000_000)

// house is a whole house with real keys, certificates and time stamps. It
// appends to a log whatever it is told to, so that it can be dishonest.
type house struct {
	t           testing.TB
	root, ca    *identity.Issuer
	rootDER     []byte
	authorities []authority
	signer      *LogSigner
	policy      auction.Policy
	policyDoc   []byte

	// wrong, if set, says by how much the clock of an authority is off.
	wrong func(i int) auction.Time
}

type authority struct {
	key   *ecdsa.PrivateKey
	chain [][]byte
	oid   asn1.ObjectIdentifier
}

type houseOptions struct {
	authorities, quorum int
	simulated           bool
	outages             bool // whether they count: of 20 s, which leave a minute
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newHouse(t testing.TB, o houseOptions) *house {
	t.Helper()
	from := start.Std().Truncate(time.Second).Add(-24 * time.Hour)
	until := from.Add(1000 * time.Hour)
	h := &house{t: t}
	rootKey := must(identity.NewKey())(t)
	h.rootDER = must(identity.NewRoot(rootKey, testHouse, from, until))(t)
	h.root = must(identity.NewIssuer([][]byte{h.rootDER}, rootKey))(t)
	caKey := must(identity.NewKey())(t)
	caDER := must(h.root.NewIntermediate(&caKey.PublicKey, testHouse, from, until))(t)
	h.ca = must(identity.NewIssuer([][]byte{caDER}, caKey))(t)

	secret, public, err := note.GenerateKey(rand.Reader, testHouse)
	if err != nil {
		t.Fatal(err)
	}
	h.signer = must(NewLogSigner(secret))(t)

	h.policy = auction.DefaultPolicy(testHouse)
	h.policy.Roots = []auction.Hash{sha256.Sum256(h.rootDER)}
	h.policy.LogKey = public
	h.policy.Quorum, h.policy.Simulated = max(o.quorum, 1), o.simulated
	h.policy.OutageAfter, h.policy.OutageExtension = 0, 0
	if o.outages {
		h.policy.OutageAfter, h.policy.OutageExtension = int64(20*second), int64(60*second)
	}
	for i := range max(o.authorities, 1) {
		name := fmt.Sprintf("clock-%d", i+1)
		a := h.authority(name, o.simulated)
		h.authorities = append(h.authorities, a)
		h.policy.Authorities = append(h.policy.Authorities, auction.Authority{
			Name: name, Policy: a.oid.String(), Certificates: blobs(a.chain),
		})
	}
	h.policyDoc = must(h.policy.Encode())(t)
	return h
}

func (h *house) authority(name string, simulated bool) authority {
	h.t.Helper()
	key := must(identity.NewKey())(h.t)
	chain := must(h.root.Issue(&key.PublicKey, identity.Profile{
		Role: identity.RoleTSA, House: testHouse, Authority: name, Simulated: simulated,
		NotBefore: start.Std().Add(-time.Hour), NotAfter: start.Std().Add(900 * time.Hour),
	}))(h.t)
	if simulated {
		return authority{key, chain, tsp.SimulatedTime}
	}
	return authority{key, chain, tsp.RealTime}
}

func (h *house) trust() *Trust {
	return &Trust{House: testHouse, Roots: h.policy.Roots, LogKeys: []string{h.policy.LogKey}}
}

// stamp returns a token of one authority over a digest, made at the given time.
func (a authority) stamp(t testing.TB, digest auction.Hash, at auction.Time) []byte {
	t.Helper()
	issuer := must(tsp.NewIssuer(tsp.IssuerConfig{
		Key: a.key, Chain: a.chain, Policy: a.oid, Accuracy: time.Millisecond,
		Now: at.Std, Rand: rand.Reader,
	}))(t)
	request := must(tsp.NewRequest(digest, a.oid, rand.Reader))(t)
	return must(tsp.ParseResponse(issuer.Respond(must(request.Marshal())(t))))(t)
}

// stamps returns tokens of the first q authorities, a millisecond apart around
// the median.
func (h *house) stamps(digest auction.Hash, median auction.Time) [][]byte {
	h.t.Helper()
	var out [][]byte
	q := h.policy.Quorum
	for i, a := range h.authorities[:q] {
		at := median + auction.Time((i-q/2)*1000)
		if h.wrong != nil {
			at += h.wrong(i)
		}
		out = append(out, a.stamp(h.t, digest, at))
	}
	return out
}

// person is somebody with a certificate.
type person struct {
	key        *ecdsa.PrivateKey
	chain      [][]byte
	thumbprint auction.Hash
}

func (h *house) person() person {
	h.t.Helper()
	return h.personOf(h.ca, identity.RoleParticipant, start.Std().Add(-time.Hour), start.Std().Add(24*time.Hour))
}

func (h *house) personOf(issuer *identity.Issuer, role identity.Role, from, until time.Time) person {
	h.t.Helper()
	key := must(identity.NewKey())(h.t)
	chain := must(issuer.Issue(&key.PublicKey, identity.Profile{Role: role, House: testHouse, NotBefore: from, NotAfter: until}))(h.t)
	return person{key, chain, sha256.Sum256(chain[0])}
}

func hash(data []byte) auction.Hash { return sha256.Sum256(data) }

func blobs(in [][]byte) []auction.Blob {
	var out []auction.Blob
	for _, b := range in {
		out = append(out, b)
	}
	return out
}

func (p person) participant() auction.Participant { return identity.ParticipantOf(&p.key.PublicKey) }

// log is an auction's log in the making.
type log struct {
	*house
	id      auction.ID
	lister  person
	terms   []byte
	entries []auction.Entry
	leaves  []auction.Hash
	chains  map[auction.Hash][]auction.Blob
	names   int

	// fake, if set, changes the next command before it is signed, and change
	// what becomes of it before it is committed to.
	fake   func(*wire.Command)
	change func(*auction.Event, *auction.Private)
}

func newLog(h *house) *log {
	return &log{house: h, chains: make(map[auction.Hash][]auction.Blob)}
}

// name returns the next pseudonym: the same in every run.
func (l *log) name() auction.Pseudonym {
	l.names++
	return auction.Pseudonym(fmt.Sprintf("00000000-0000-4000-8000-%012d", l.names))
}

// state replays the log so far, as the rules do that do not judge.
func (l *log) state() *auction.State {
	l.t.Helper()
	policies := map[auction.Hash]auction.Policy{auction.PolicyHash(l.policyDoc): l.policy}
	return must(auction.Replay(policies, l.entries))(l.t)
}

// head and headAt give heads, also of a log that is none by the rules.
func (l *log) head() auction.Head { return l.headAt(uint64(len(l.leaves))) }

func (l *log) headAt(size uint64) auction.Head {
	l.t.Helper()
	return auction.Head{Size: size, Root: oracleRoot(l.t, l.leaves[:size])}
}

func testTerms(h *house) auction.Terms {
	return auction.Terms{
		V: 1, Policy: auction.PolicyHash(h.policyDoc), Title: "A clock", Description: "It is right twice a day.",
		Currency: "EUR", Minimum: 1000, Increment: 100, Closes: start + 60*second,
		TieWindow: int64(second), Disclose: []string{"username"},
	}
}

// reserveTerms are terms with a hidden reserve of 5000, which openingOf opens.
func reserveTerms(h *house) auction.Terms {
	terms := testTerms(h)
	hash := testOpening().Hash()
	terms.Reserve = &hash
	return terms
}

func testOpening() *auction.Opening {
	salt := sha256.Sum256([]byte("reserve"))
	return &auction.Opening{Amount: 5000, Salt: salt[:]}
}

func openingOf(terms auction.Terms) *auction.Opening {
	if terms.Reserve == nil {
		return nil
	}
	return testOpening()
}

// withdraw appends a withdrawal.
func (l *log) withdraw(p person, ts, arrival auction.Time) {
	l.t.Helper()
	l.add(p, wire.Command{
		House: testHouse, Kind: auction.KindWithdraw, Auction: l.id, Pseudonym: l.name(), Head: l.head(),
	}, ts, arrival, false)
}

// softTerms are terms of which late bids move the end, from 100 s to 240 s.
func softTerms(h *house) auction.Terms {
	terms := testTerms(h)
	terms.Closes = start + 100*second
	minute := auction.MinSoft.Microseconds()
	terms.Soft = &auction.SoftClose{Window: minute, Extension: minute, Latest: start + 240*second}
	return terms
}

// extend appends the extension that the last entry, a bid, causes.
func (l *log) extend(ends auction.Time, change func(*auction.Event)) {
	l.t.Helper()
	last := l.entries[len(l.entries)-1]
	bid := must(auction.ParseEvent(last.Event))(l.t)
	ev := auction.Event{
		Kind: auction.AuctionExtended, Auction: l.id, Time: bid.Time, Ends: ends, Cause: auction.CauseBid,
	}
	if change != nil {
		change(&ev)
	}
	ev.Seq = last.Seq + 1
	last.Seq, last.Event = ev.Seq, ev.Encode()
	l.entries = append(l.entries, last)
	l.leaves = append(l.leaves, last.Leaf())
}

// list appends the listing, stamped at start.
func (l *log) list(p person, terms auction.Terms) {
	l.t.Helper()
	l.terms = must(terms.Encode())(l.t)
	name := l.name()
	l.id, l.lister = auction.ID(name), p
	l.add(p, wire.Command{
		House: testHouse, Kind: auction.KindList, Auction: l.id, Pseudonym: name,
		Head: auction.Head{Size: 1, Root: sha256.Sum256([]byte("the house log"))}, Terms: l.terms,
		Reserve: openingOf(terms),
	}, start, start+second/5, false)
}

// bid appends a bid over the latest head and returns its pseudonym.
func (l *log) bid(p person, amount auction.Amount, ts, arrival auction.Time) auction.Pseudonym {
	l.t.Helper()
	return l.bidAt(p, amount, l.head(), ts, arrival, false)
}

func (l *log) record(p person, amount auction.Amount, ts, arrival auction.Time) auction.Pseudonym {
	l.t.Helper()
	return l.bidAt(p, amount, l.head(), ts, arrival, true)
}

func (l *log) bidAt(p person, amount auction.Amount, head auction.Head, ts, arrival auction.Time, recorded bool) auction.Pseudonym {
	l.t.Helper()
	name := l.name()
	l.add(p, wire.Command{
		House: testHouse, Kind: auction.KindBid, Auction: l.id, Pseudonym: name, Head: head,
		TermsHash: auction.TermsHash(l.terms), Amount: amount, Currency: "EUR",
	}, ts, arrival, recorded)
	return name
}

func (l *log) add(p person, c wire.Command, ts, arrival auction.Time, recorded bool) {
	l.t.Helper()
	if c.Kind != auction.KindWithdraw {
		c.DisclosureKey = must(ecdh.P256().GenerateKey(rand.Reader))(l.t).PublicKey().Bytes()
	}
	if l.fake != nil {
		l.fake(&c)
	}
	jws := must(wire.Sign(p.key, p.thumbprint, c, nil))(l.t)
	ac := auction.Command{
		Kind: c.Kind, Auction: c.Auction, Pseudonym: c.Pseudonym, Participant: p.participant(),
		Terms: c.Terms, Amount: c.Amount, Reserve: c.Reserve, TS: ts, JWS: jws, Tokens: l.stamps(sha256.Sum256(jws), ts),
		Certificate: p.thumbprint, CRL: 7,
	}
	ev, private := ac.Event(), ac.Private(arrival)
	ev.Recorded = recorded
	l.chains[p.thumbprint] = blobs(p.chain)
	l.commit(ev, private)
}

// close appends the close record, stamped at the given time and changed by change.
func (l *log) close(median auction.Time, change func(*auction.Event)) {
	l.t.Helper()
	state := l.state()
	ev := state.ClosingEvent(blobs(l.stamps(auction.CloseDigest(l.id, state.Head()), median)), median)
	if change != nil {
		change(&ev)
	}
	l.commit(ev, auction.Private{Arrival: median + second/10, TS: median})
}

func (l *log) commit(ev auction.Event, private auction.Private) {
	l.t.Helper()
	ev.Seq = uint64(len(l.entries)) + 1
	if l.change != nil {
		l.change(&ev, &private)
	}
	l.fake, l.change = nil, nil
	salt := sha256.Sum256(fmt.Appendf(nil, "salt %d", ev.Seq))
	e := auction.Entry{Seq: ev.Seq, Event: ev.Encode(), Salt: salt[:], Private: private.Encode()}
	e.Commitment = auction.Commit(e.Salt, e.Private)
	l.entries = append(l.entries, e)
	l.leaves = append(l.leaves, e.Leaf())
}

// bundle returns the evidence as it stands. In a party's bundle the private
// parts of the given entries are shown.
func (l *log) bundle(kind Kind, shown ...uint64) *Bundle {
	l.t.Helper()
	b := &Bundle{Kind: kind, Roots: []auction.Blob{l.rootDER}, Policy: l.policyDoc, Certificates: l.chains}
	for _, e := range l.entries {
		if kind != Audit {
			e = e.Public()
		}
		for _, seq := range shown {
			if seq == e.Seq {
				e = l.entries[seq-1]
			}
		}
		b.Entries = append(b.Entries, e)
	}
	b.Head = must(l.signer.SignHead(testHouse, auction.LogID(l.id), l.head()))(l.t)
	return b
}

// receipts returns the house's receipts for entries, signed together.
func (l *log) receipts(seqs ...uint64) []auction.Receipt {
	l.t.Helper()
	var out []auction.Receipt
	for _, seq := range seqs {
		out = append(out, auction.Receipt{Auction: l.id, Seq: seq, Leaf: l.leaves[seq-1]})
	}
	if err := l.signer.SignReceipts(out); err != nil {
		l.t.Fatal(err)
	}
	return out
}
