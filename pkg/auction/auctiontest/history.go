package auctiontest

import (
	"context"
	"errors"
	"reflect"
	"time"

	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
)

// History draws a random history of two auctions, sends each command to the
// in-memory model and to one of the replicas, which share their state, and
// demands the same verdicts, the same entries and the same winner. The replicas
// work with clock.Now, [Signer] and [Zeros], and have seen nothing yet.
func History(t *rapid.T, clock *Clock, replicas ...Backend) {
	model := auction.NewMemory(clock.Now, Signer{}, Zeros{})
	h := &history{t: t, Scene: NewScene(t, "history", model, clock), replicas: replicas}
	if err := h.replica().Adopt(context.Background(), h.Doc); err != nil {
		t.Fatalf("adopt: %v", err)
	}
	h.list()
	for range rapid.IntRange(10, 60).Draw(t, "steps") {
		switch step := rapid.IntRange(0, 19).Draw(t, "step"); {
		case step < 10:
			h.bid()
		case step < 13:
			h.again()
		case step < 17:
			h.pass()
		case step < 18:
			h.list()
		case step < 19:
			h.close()
		default:
			h.disclose()
		}
	}
	h.compare()
}

// history is a history in the making.
type history struct {
	*Scene   // of the model
	t        *rapid.T
	replicas []Backend
	auctions []auction.ID
	sent     []auction.Command
}

func (h *history) replica() Backend { return rapid.SampledFrom(h.replicas).Draw(h.t, "replica") }

// place sends a command to both and compares what they say.
func (h *history) place(c auction.Command) {
	h.sent = append(h.sent, c)
	cmd := auction.NewAccepted(c)
	want, wantErr := h.Place(context.Background(), cmd)
	got, gotErr := h.replica().Place(context.Background(), cmd)
	h.same(gotErr, wantErr)
	if !reflect.DeepEqual(got.Entry, want.Entry) || got.Receipt.Leaf != want.Receipt.Leaf || got.Receipt.Seq != want.Receipt.Seq {
		h.t.Fatalf("another entry than the model's: %+v, want %+v", got, want)
	}
}

func (h *history) same(got, want error) {
	if !reflect.DeepEqual(auction.AsRefusal(got), auction.AsRefusal(want)) ||
		errors.Is(got, auction.ErrGrew) != errors.Is(want, auction.ErrGrew) {
		h.t.Fatalf("got %v, the model says %v", got, want)
	}
}

// draw draws one of the values.
func draw[T any](h *history, label string, values ...T) T {
	return rapid.SampledFrom(values).Draw(h.t, label)
}

// rarely is true one time in ten.
func (h *history) rarely(label string) bool { return rapid.IntRange(0, 9).Draw(h.t, label) == 0 }

func (h *history) list() {
	if len(h.auctions) == 2 {
		return
	}
	terms := h.Terms()
	terms.Minimum = draw[auction.Amount](h, "minimum", 1, 1000, auction.MaxAmount-100, auction.MaxAmount)
	terms.Increment = draw[auction.Amount](h, "increment", 1, 50, auction.MaxAmount)
	terms.TieWindow = draw[int64](h, "tie window", 0, 1, 1_000_000, 10_000_000)
	terms.Closes = h.Clock.Time().Add(draw(h, "open for", 10*time.Second, time.Minute)) + 1000
	c := h.List("seller", terms)
	c = Restamped(c, c.TS.Add(draw(h, "listing's age", 0, 0, time.Second, 6*time.Second, -time.Second)))
	if h.rarely("wrong head") {
		c.Head.Root[0]++
	}
	h.place(c)
	if _, err := h.Auction(context.Background(), c.Auction); err == nil {
		h.auctions = append(h.auctions, c.Auction)
	}
}

func (h *history) bid() {
	if len(h.auctions) == 0 {
		return
	}
	id := draw(h, "auction", h.auctions...)
	state := h.State(id)
	c := h.Bid(id, draw(h, "who", "anna", "ben", "carl", "anna", "ben", "carl", "seller"), h.amount(state))
	c = Restamped(c, h.stamp(state))
	c.Head = h.head(state)
	if h.rarely("wrong terms") {
		c.TermsHash[31]++
	}
	if h.rarely("wrong currency") {
		c.Currency = "USD"
	}
	h.place(c)
}

func (h *history) amount(s *auction.State) auction.Amount {
	amounts := []auction.Amount{s.Least(), s.Least(), s.Least(), s.Least() - 1, s.Least() + 7, s.Terms.Minimum, auction.MaxAmount}
	if s.Leader != nil {
		amounts = append(amounts, s.Leader.Amount, s.Leader.Amount, s.Leader.Amount+1)
	}
	return min(max(draw(h, "amount", amounts...), 1), auction.MaxAmount)
}

func (h *history) stamp(s *auction.State) auction.Time {
	now := h.Clock.Time()
	times := []auction.Time{
		now, now, now, now, now - 1, now.Add(-400 * time.Millisecond), now.Add(-2 * time.Second),
		now.Add(-5 * time.Second), now.Add(-5*time.Second) - 1, now.Add(500 * time.Millisecond),
		now.Add(500*time.Millisecond) + 1, s.Listed, s.Listed + 1, s.End() - 1, s.End() - 1, s.End(),
	}
	if s.Leader != nil {
		times = append(times, s.Leader.TS-1, s.Leader.TS-1, s.Leader.TS, s.Leader.TS+1)
	}
	return draw(h, "stamp", times...)
}

func (h *history) head(s *auction.State) auction.Head {
	head := s.Head()
	switch rapid.IntRange(0, 9).Draw(h.t, "head") {
	case 0, 1:
		head = s.HeadAt(rapid.Uint64Range(0, s.Size()).Draw(h.t, "size"))
	case 2:
		head.Root[5]++
	case 3:
		head.Size += draw[uint64](h, "ahead", 1, 1<<40)
	}
	return head
}

// again sends an earlier command, as it was or not quite.
func (h *history) again() {
	if len(h.sent) == 0 {
		return
	}
	c := draw(h, "earlier", h.sent...)
	switch rapid.IntRange(0, 3).Draw(h.t, "how") {
	case 0:
		c = Restamped(c, h.Clock.Time())
	case 1:
		c = Altered(c)
	case 2:
		c.Participant = Participant("thief")
	}
	h.place(c)
}

// pass lets time pass; the clocks of replicas differ, so it may also go back.
func (h *history) pass() {
	now := h.Clock.Time()
	if len(h.auctions) > 0 && h.rarely("near the end") {
		end := h.State(draw(h, "auction", h.auctions...)).End()
		now = max(now, end+draw[auction.Time](h, "from the end", -1, 0, 1, 4_000_000, 6_000_000))
	}
	h.Clock.Set(now.Add(draw(h, "passes", time.Microsecond, time.Millisecond, 300*time.Millisecond, time.Second,
		3*time.Second, -time.Microsecond, -300*time.Millisecond)))
}

func (h *history) close() {
	if len(h.auctions) == 0 {
		return
	}
	id := draw(h, "auction", h.auctions...)
	s := h.State(id)
	head := h.head(s)
	median := s.End() + auction.Time(s.Policy.Grace) + draw[auction.Time](h, "after the grace", 0, 1, 1, 1_000_000)
	want := h.Close(context.Background(), id, head, Stamps(), median)
	h.same(h.replica().Close(context.Background(), id, head, Stamps(), median), want)
}

func (h *history) disclose() {
	if len(h.auctions) == 0 {
		return
	}
	id := draw(h, "auction", h.auctions...)
	cmd := auction.NewAccepted(h.Disclosure(id, draw(h, "who", "seller", "anna", "ben", "carl"), "sealed"))
	want := h.Disclose(context.Background(), cmd)
	h.same(h.replica().Disclose(context.Background(), cmd), want)
}

// compare compares all logs and states of all replicas with the model's.
func (h *history) compare() {
	h.CheckLogs()
	for _, replica := range h.replicas {
		r := *h.Scene
		r.Backend = replica
		r.CheckLogs()
		for _, log := range append([]auction.LogID{auction.HouseLog}, logIDs(h.auctions)...) {
			if !reflect.DeepEqual(r.Log(log), h.Log(log)) {
				h.t.Fatalf("another log than the model's")
			}
		}
		for _, id := range h.auctions {
			if !reflect.DeepEqual(r.State(id).Winner(), h.State(id).Winner()) {
				h.t.Fatalf("another winner than the model's")
			}
		}
	}
}

func logIDs(ids []auction.ID) []auction.LogID {
	logs := make([]auction.LogID, len(ids))
	for i, id := range ids {
		logs[i] = auction.LogID(id)
	}
	return logs
}
