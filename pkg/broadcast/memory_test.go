package broadcast_test

import (
	"crypto/rand"
	"crypto/sha256"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/broadcast"
)

const opening = auction.Time(1_750_000_000_000_000)

// A house is an auction house in memory, without cryptography, whose clock
// stands until it is set.
type house struct {
	*auction.Memory
	t      *testing.T
	now    auction.Time
	policy auction.Policy
	terms  []byte
	id     auction.ID
}

type unsigned struct{}

func (unsigned) SignReceipts([]auction.Receipt) error    { return nil }
func (unsigned) SignNotice([]byte) (auction.Blob, error) { return nil, nil }

// newHouse lists an item that closes a minute after opening.
func newHouse(t *testing.T) *house {
	h := &house{t: t, now: opening, policy: auction.DefaultPolicy("demo")}
	h.Memory = auction.NewMemory(func() (auction.Time, error) { return h.now, nil }, unsigned{}, rand.Reader)
	h.policy.OutageAfter, h.policy.OutageExtension = 0, 0 // its clock jumps
	h.policy.Roots = []auction.Hash{{1}}
	h.policy.LogKey = "demo+key"
	h.policy.Authorities = []auction.Authority{{Name: "a", Policy: "1.2", Certificates: []auction.Blob{{1}}}}
	doc, err := h.policy.Encode()
	h.check(err)
	h.check(h.Adopt(t.Context(), doc))

	terms := auction.Terms{
		V: 1, Policy: auction.PolicyHash(doc), Title: "a lamp", Currency: "EUR", Minimum: 100, Increment: 10,
		Closes: opening.Add(time.Minute), Disclose: []string{},
	}
	h.terms, err = terms.Encode()
	h.check(err)
	state, err := h.House(t.Context())
	h.check(err)
	h.id = auction.ID(uuid.NewString())
	h.place(auction.Command{
		Kind: auction.KindList, Auction: h.id, Pseudonym: auction.Pseudonym(h.id), Participant: auction.Participant{1},
		Head: state.Head(), Terms: h.terms, Listing: terms,
	})
	return h
}

func (h *house) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) place(c auction.Command) {
	h.t.Helper()
	c.Digest = sha256.Sum256([]byte(c.Pseudonym))
	if c.TS == 0 {
		c.TS = h.now
	}
	_, err := h.Place(h.t.Context(), auction.NewAccepted(c))
	h.check(err)
}

func (h *house) bid(amount auction.Amount, ts auction.Time) {
	h.t.Helper()
	state, err := h.Auction(h.t.Context(), h.id)
	h.check(err)
	h.place(auction.Command{
		Kind: auction.KindBid, Auction: h.id, Pseudonym: auction.Pseudonym(uuid.NewString()),
		Participant: auction.Participant{2}, Head: state.Head(), TS: ts,
		Amount: amount, Currency: "EUR", TermsHash: auction.TermsHash(h.terms),
	})
}

func (h *house) close() {
	h.t.Helper()
	state, err := h.Auction(h.t.Context(), h.id)
	h.check(err)
	h.now = state.End().Add(time.Minute)
	h.check(h.Close(h.t.Context(), h.id, state.Head(), []auction.Blob{{1}}, h.now))
}

// A whole auction of the domain's own model, seen from outside: a bid that
// arrives after the end shows only with the close that judged it.
func TestAnAuctionInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		hub := broadcast.New(broadcast.Options{
			Reader: h, Feed: h, Encode: encode, Registerer: prometheus.NewRegistry(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		defer hub.Close()
		item, all := broadcast.NewQueue(10, 1000), broadcast.NewQueue(10, 1000)
		for log, q := range map[auction.LogID]*broadcast.Queue{auction.LogID(h.id): item, auction.HouseLog: all} {
			unfollow, err := hub.Follow(log, 0, q)
			h.check(err)
			defer unfollow()
		}
		expect(t, item, 1, 1) // listed
		expect(t, all, 1, 2)  // policy, listed

		h.now = opening.Add(time.Second)
		h.bid(100, h.now)
		expect(t, item, 2, 2)

		end := opening.Add(time.Minute)
		h.now = end.Add(time.Second)
		h.bid(200, end.Add(-time.Second))
		time.Sleep(5 * time.Second)
		expect(t, item, 3, 2)

		h.close()
		expect(t, item, 3, 4)
		expect(t, all, 3, 2)
	})
}
