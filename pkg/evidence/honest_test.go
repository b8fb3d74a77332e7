package evidence

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"testing"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// run is an auction in a store that keeps the rules, with random bidders.
type run struct {
	*house
	random  *mathrand.Rand
	now     auction.Time
	behind  auction.Time // how far the clock of the replica at work is
	store   *auction.Memory
	checker *accept.Checker
	id      auction.ID
	terms   []byte
	ends    auction.Time // at the latest
	people  []person
	mine    map[auction.Participant][]auction.Answer
}

// TestHonestHouse holds that whatever a store accepts by the rules, the
// evidence of it verifies, for everybody, and names the winner of the rules.
func TestHonestHouse(t *testing.T) {
	h := newHouse(t, houseOptions{authorities: 3, quorum: 3})
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			here := *h
			here.t = t
			r := newRun(&here, seed)
			for range 8 {
				r.round(r.now+auction.Time(r.random.IntN(int(r.ends-start)/7)), 0)
			}
			r.round(r.ends-second, r.ends) // late
			r.round(r.ends-second, r.ends)
			r.close()
			r.check()
		})
	}
}

// TestHonestSuspension holds the same of a house that loses entries, whose replicas'
// clocks differ by seconds, and which resumes with no more time than it must.
func TestHonestSuspension(t *testing.T) {
	h := newHouse(t, houseOptions{})
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			here := *h
			here.t = t
			r := newRun(&here, seed)
			for range 6 {
				ts := r.now + auction.Time(r.random.IntN(int(6*second)))
				r.round(ts, ts+auction.Time(r.random.IntN(int(4*second))))
				r.suspend(r.now - auction.Time(r.random.IntN(int(3*second))))
			}
			for range 3 { // not always before the end
				r.suspend(r.state().End() + auction.Time(r.random.IntN(int(2*second))) - second)
			}
			r.close()
			r.check()
		})
	}
}

// TestHonestOutage holds the same of a house that is out of order now and then, while
// nobody looks or while replicas do.
func TestHonestOutage(t *testing.T) {
	h := newHouse(t, houseOptions{outages: true})
	moved := 0
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			here := *h
			here.t = t
			r := newRun(&here, seed)
			for range 8 {
				if r.random.IntN(2) == 0 {
					if err := r.store.Beat(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				ts := r.now + auction.Time(r.random.IntN(int(30*second)))
				if near := r.state().End() - second; ts > near && r.random.IntN(2) == 0 {
					ts = near
				}
				r.round(ts, ts+auction.Time(r.random.IntN(int(4*second))))
			}
			r.close()
			r.check()
			for _, e := range must(r.store.Entries(t.Context(), auction.LogID(r.id), 1, 1000))(t) {
				if must(auction.ParseEvent(e.Event))(t).Cause == auction.CauseOutage {
					moved++
				}
			}
		})
	}
	if moved == 0 {
		t.Error("no outage has moved an end")
	}
}

// suspend finds entries lost from the given time on, and resumes the auction within
// seconds, by a clock that may be behind.
func (r *run) suspend(now auction.Time) {
	r.t.Helper()
	for range 1 + r.random.IntN(2) {
		r.now = now
		lost := auction.Lost{Seq: 1000 + r.random.Uint64N(1000), Leaf: hash([]byte(r.name()))}
		if err := r.store.Suspend(r.t.Context(), r.id, lost); err != nil {
			r.t.Fatal(err)
		}
		now += auction.Time(r.random.IntN(int(3*second))) - second/2
	}
	r.now = now
	if err := r.store.Resume(r.t.Context(), r.id, 0); err != nil {
		r.t.Fatal(err)
	}
	r.now = max(r.now, r.state().Arrival())
	r.ends = max(r.ends, r.state().End())
}

func newRun(h *house, seed uint64) *run {
	r := &run{
		house: h, random: mathrand.New(mathrand.NewPCG(seed, 1)), now: start,
		mine: make(map[auction.Participant][]auction.Answer),
	}
	r.store = auction.NewMemory(func() (auction.Time, error) { return r.now - r.behind, nil }, h.signer, rand.Reader)
	r.checker = must(accept.New(testHouse, [][]byte{h.rootDER}, nil))(h.t)
	for range 4 {
		r.people = append(r.people, h.person())
	}
	if err := r.store.Adopt(h.t.Context(), h.policyDoc); err != nil {
		h.t.Fatal(err)
	}
	terms := testTerms(h)
	r.ends = terms.Closes
	if seed%2 == 1 {
		terms = softTerms(h)
		r.ends = terms.Soft.Latest
	}
	if seed >= 4 {
		terms.Reserve = reserveTerms(h).Reserve
	}
	r.terms = must(terms.Encode())(h.t)
	r.now += second / 10
	r.id = auction.ID(r.name())
	err := r.place(r.people[0], wire.Command{
		House: testHouse, Kind: auction.KindList, Auction: r.id, Pseudonym: auction.Pseudonym(r.id),
		Head: must(r.store.House(h.t.Context()))(h.t).Head(), Terms: r.terms,
		Reserve: openingOf(terms),
	}, r.now)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (r *run) name() auction.Pseudonym {
	return auction.Pseudonym(fmt.Sprintf("%08x-0000-4000-8000-000000000000", r.random.Uint32()))
}

func (r *run) state() *auction.State { return must(r.store.Auction(r.t.Context(), r.id))(r.t) }

// round sends two bids over one head, so that ties come about. They are stamped
// within a second of ts and arrive soon after, not before the given time.
func (r *run) round(ts, arrival auction.Time) {
	s := r.state()
	amount := max(s.Least(), 1000) + auction.Amount(r.random.IntN(3)*50-50)
	for range 2 {
		ts := ts + auction.Time(r.random.IntN(int(second)))
		r.now = max(r.now, ts+auction.Time(r.random.IntN(int(second/2))), arrival)
		err := r.place(r.people[1+r.random.IntN(3)], wire.Command{
			House: testHouse, Kind: auction.KindBid, Auction: r.id, Pseudonym: r.name(), Head: s.Head(),
			TermsHash: auction.TermsHash(r.terms), Amount: amount, Currency: "EUR",
		}, ts)
		if err != nil && auction.CodeOf(err) == auction.CodeInternal {
			r.t.Fatal(err)
		}
		if r.random.IntN(3) == 0 {
			amount += 100
		}
	}
}

// place does what a replica does with a command. The clock of some is behind by
// more than a stamp may be ahead: the rules go by what the log has seen.
func (r *run) place(p person, c wire.Command, ts auction.Time) error {
	r.t.Helper()
	c.DisclosureKey = must(ecdh.P256().GenerateKey(rand.Reader))(r.t).PublicKey().Bytes()
	signed := must(wire.ParseCommand(must(wire.Sign(p.key, p.thumbprint, c, nil))(r.t)))(r.t)
	cert := must(r.checker.Verifier().Verify(p.chain, identity.RoleParticipant, ts.Std()))(r.t)
	by := &accept.Party{Certificate: cert, Chain: blobs(p.chain), Role: identity.RoleParticipant, CRL: 3}
	accepted := must(r.checker.Command(by, signed, r.stamps(signed.Digest, ts), nil, auction.PolicyHash(r.policyDoc), r.policy))(r.t)
	if r.random.IntN(2) == 0 {
		r.behind = auction.Time(r.random.IntN(int(3 * second)))
	}
	answer, err := r.store.Place(r.t.Context(), accepted)
	r.behind = 0
	if err == nil {
		r.mine[cert.Participant] = append(r.mine[cert.Participant], answer)
	}
	return err
}

// close closes at the end, which the house is there to see: every outage before it
// has moved it as far as it does.
func (r *run) close() {
	r.t.Helper()
	var median auction.Time
	for {
		median = max(r.ends, r.state().End()) + 6*second
		if r.now >= median {
			break
		}
		r.now = min(r.now+10*second, median)
		if err := r.store.Beat(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
	}
	head := r.state().Head()
	r.now += second / 10
	stamps := blobs(r.stamps(auction.CloseDigest(r.id, head), median))
	if err := r.store.Close(r.t.Context(), r.id, head, stamps, median); err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) check() {
	r.t.Helper()
	state := r.state()
	entries := must(r.store.Entries(r.t.Context(), auction.LogID(r.id), 1, 1000))(r.t)
	all := &Bundle{
		Kind: Audit, Roots: []auction.Blob{r.rootDER}, Policy: r.policyDoc, Entries: entries,
		Certificates: must(r.store.Certificates(r.t.Context(), r.id))(r.t),
		Head:         must(r.signer.SignHead(testHouse, auction.LogID(r.id), state.Head()))(r.t),
	}
	bundles := []*Bundle{all, public(all, Public)}
	for _, answers := range r.mine {
		own := public(all, Party)
		for _, a := range answers {
			own.Entries[a.Entry.Seq-1] = a.Entry
			own.Receipts = append(own.Receipts, a.Receipt)
		}
		bundles = append(bundles, own)
	}
	for _, b := range bundles {
		v, err := Verify(encode(r.t, b), r.trust())
		if err != nil {
			r.t.Fatalf("%s with %d entries, %d recorded: %v", b.Kind, len(b.Entries), len(state.Recorded), err)
		}
		w := state.Winner()
		if (w == nil) != (v.Outcome == auction.Unsold) || w != nil && (v.Winner != w.Pseudonym || v.Amount != w.Amount) {
			r.t.Errorf("%s: %s %s, want %+v", b.Kind, v.Winner, v.Amount.Format("EUR"), w)
		}
	}
	r.t.Logf("%d bids, %d recorded, end moved by %v", len(state.Bids), len(state.Recorded), state.End().Sub(state.Terms.Closes))
}

func public(b *Bundle, kind Kind) *Bundle {
	out := *b
	out.Kind, out.Entries = kind, nil
	for _, e := range b.Entries {
		out.Entries = append(out.Entries, e.Public())
	}
	return &out
}
