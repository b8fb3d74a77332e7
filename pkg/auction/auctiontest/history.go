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
	h.agree()
	if rapid.Bool().Draw(t, "outages") {
		h.WithOutages()
		h.agree()
	}
	h.Tick = 0
	h.list()
	for range rapid.IntRange(10, 60).Draw(t, "steps") {
		step := draw(h, "step", h.bid, h.bid, h.bid, h.edge, h.edge, h.tie, h.tie, h.late, h.again, h.again,
			h.pass, h.pass, h.list, h.close, h.disclose, h.withdraw, h.order, h.suspend)
		h.beat()
		step()
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

// agree has the replicas adopt the model's policy.
func (h *history) agree() {
	if err := h.replica().Adopt(context.Background(), h.Doc); err != nil {
		h.t.Fatalf("adopt: %v", err)
	}
}

// beat makes a heartbeat of each, where outages count. Whatever moves the clock far
// makes one.
func (h *history) beat() {
	if h.Policy.OutageAfter == 0 {
		return
	}
	want := h.Beat(context.Background())
	for _, replica := range h.replicas {
		h.same(replica.Beat(context.Background()), want)
	}
}

// reach brings the clock to a time, with heartbeats on the way.
func (h *history) reach(t auction.Time) {
	for next := h.Clock.Time().Add(auction.MinOutage / 2); next < t; next = next.Add(auction.MinOutage / 2) {
		h.Clock.Set(next)
		h.beat()
	}
	h.Clock.Set(max(t, h.Clock.Time()))
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
	if len(h.auctions) == 3 {
		return
	}
	house, err := h.House(context.Background())
	if err != nil {
		h.t.Fatalf("house: %v", err)
	}
	terms := h.Terms()
	terms.Minimum = draw[auction.Amount](h, "minimum", 1, 1000, auction.MaxAmount-100, auction.MaxAmount)
	terms.Increment = draw[auction.Amount](h, "increment", 1, 50, auction.MaxAmount)
	terms.TieWindow = draw[int64](h, "tie window", 0, 1, 1_000_000, 10_000_000)
	terms.Closes = h.Clock.Time().Add(draw(h, "open for", 10*time.Second, time.Minute)) + 1000
	if rapid.Bool().Draw(h.t, "reserve") {
		terms.Reserve = h.Reserve(draw[auction.Amount](h, "reserve price", 1, 1100, auction.MaxAmount))
	}
	if rapid.Bool().Draw(h.t, "soft") {
		terms.Soft = &auction.SoftClose{
			Window:    draw[int64](h, "window", 60_000_000, 63_000_000, 120_000_000),
			Extension: draw[int64](h, "extension", 60_000_000, 90_000_000),
			Latest:    terms.Closes + draw[auction.Time](h, "latest", 1, 5_000_000, 70_000_000),
		}
	}
	c := h.List("seller", terms)
	now, skew, fresh := max(c.TS, house.Arrival()), auction.Time(h.Policy.Skew), auction.Time(h.Policy.Freshness)
	c = Restamped(c, draw(h, "listed", now, now, now, now-fresh, now-fresh-1, now+skew, now+skew+1))
	if h.rarely("wrong head") {
		c.Head.Root[0]++
	}
	h.place(c)
	if _, err := h.Auction(context.Background(), c.Auction); err == nil {
		h.auctions = append(h.auctions, c.Auction)
	}
}

func (h *history) bid() {
	id, state := h.auction()
	if state == nil {
		return
	}
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

// edge bids at one of the bounds of the rule about heads: the stamp is as old,
// or as young, as the entries on both sides of the head allow, or just not.
func (h *history) edge() {
	id, s := h.auction()
	if s == nil || len(s.Bids) == 0 {
		return
	}
	b := draw(h, "entry", s.Bids...)
	c := h.Bid(id, "anna", s.Terms.Minimum)
	if rapid.Bool().Draw(h.t, "stale") {
		c.Head = s.HeadAt(b.Seq - 1)
		c = Restamped(c, b.Arrival+auction.Time(s.Policy.Freshness)+draw[auction.Time](h, "beyond", 0, 1))
		h.Clock.Set(max(h.Clock.Time(), c.TS))
	} else {
		c.Head = s.HeadAt(b.Seq)
		c = Restamped(c, b.Arrival-auction.Time(s.Policy.Skew)-draw[auction.Time](h, "beyond", 0, 1))
	}
	h.place(c)
}

// tie bids what the leader bid, with a stamp near the leader's, at the end of
// the tie window or before.
func (h *history) tie() {
	id, s := h.auction()
	if s == nil || s.Leader == nil {
		return
	}
	c := h.Bid(id, draw(h, "who", "anna", "ben"), s.Leader.Amount)
	c.Head = s.HeadAt(s.Leader.Seq - 1)
	c = Restamped(c, s.Leader.TS-draw[auction.Time](h, "earlier", 0, 1, 1, 2))
	if ends := s.TieEnds(); ends > 0 && rapid.Bool().Draw(h.t, "at the end of the window") {
		h.Clock.Set(max(h.Clock.Time(), ends+draw[auction.Time](h, "after", -1, 0, 0, 1)))
	}
	h.place(c)
}

// late sends bids of one participant that were stamped before the end and arrive
// after it.
func (h *history) late() {
	id, s := h.auction()
	if s == nil || !h.rarely("late") {
		return
	}
	who := draw(h, "who", "anna", "ben")
	h.Clock.Set(max(h.Clock.Time(), s.End()+draw[auction.Time](h, "after the end", -1, 0, 0, 1)))
	for range rapid.IntRange(1, 5).Draw(h.t, "bids") {
		h.place(Restamped(h.Bid(id, who, h.amount(s)), s.End()-draw[auction.Time](h, "before the end", 0, 1, 1, 2)))
	}
}

// auction draws an auction, nil if there is none.
func (h *history) auction() (auction.ID, *auction.State) {
	if len(h.auctions) == 0 {
		return "", nil
	}
	id := draw(h, "auction", h.auctions...)
	return id, h.State(id)
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
	if soft := s.Terms.Soft; soft != nil {
		times = append(times, s.End()-auction.Time(soft.Window), s.End()-auction.Time(soft.Window)-1)
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
	if _, s := h.auction(); s != nil && h.rarely("near the end") {
		now = max(now, s.End()+draw[auction.Time](h, "from the end", -1, 0, 1, 4_000_000, 6_000_000))
	}
	h.Clock.Set(now.Add(draw(h, "passes", time.Microsecond, time.Millisecond, 300*time.Millisecond, time.Second,
		3*time.Second, -time.Microsecond, -300*time.Millisecond)))
}

func (h *history) close() {
	id, s := h.auction()
	if s == nil {
		return
	}
	median := s.End() + auction.Time(s.Policy.Grace) + draw[auction.Time](h, "after the grace", 0, 1, 1, 1_000_000)
	switch draw(h, "the replica's clock", "at the median", "there at once", "elsewhere") {
	case "at the median":
		h.reach(median)
	case "there at once":
		h.Clock.Set(max(median, h.Clock.Time()))
	}
	if h.State(id).End() != s.End() {
		return // it was extended on the way
	}
	head := h.head(s)
	want := h.Close(context.Background(), id, head, Stamps(), median)
	h.same(h.replica().Close(context.Background(), id, head, Stamps(), median), want)
}

func (h *history) order() {
	id, s := h.auction()
	if s == nil || !h.rarely("order") {
		return
	}
	ctx, replica := context.Background(), h.replica()
	if h.rarely("cancel") {
		want := h.Cancel(ctx, id)
		h.same(replica.Cancel(ctx, id), want)
		return
	}
	ends := s.End() + draw[auction.Time](h, "extended by", -1, 0, 1, 5_000_000)
	want := h.Extend(ctx, id, ends)
	h.same(replica.Extend(ctx, id, ends), want)
}

func (h *history) suspend() {
	id, s := h.auction()
	if s == nil || !h.rarely("suspension") && !s.Suspended() {
		return
	}
	ctx, replica := context.Background(), h.replica()
	if s.Suspended() && rapid.Bool().Draw(h.t, "resume") {
		ends := draw(h, "resumed until", 0, 0, s.End(), h.Clock.Time().Add(time.Minute))
		want := h.Resume(ctx, id, ends)
		h.same(replica.Resume(ctx, id, ends), want)
		return
	}
	gone := draw(h, "lost", lost(1), lost(2), lost(100), auction.Lost{Seq: s.Size(), Leaf: s.Leaves()[s.Size()-1]})
	want := h.Suspend(ctx, id, gone)
	h.same(replica.Suspend(ctx, id, gone), want)
}

func (h *history) withdraw() {
	id, s := h.auction()
	if s == nil {
		return
	}
	c := Restamped(h.Withdrawal(id, draw(h, "who", "seller", "seller", "seller", "anna")), h.stamp(s))
	c.Head = h.head(s)
	h.place(c)
}

func (h *history) disclose() {
	id, s := h.auction()
	if s == nil {
		return
	}
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
