package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/broadcast"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	item   = auction.ID("6f1f6f30-6c39-4c52-9d0c-2a1c1f6d3a01")
	bidder = auction.Pseudonym("0b9e4a52-7a0e-4d8c-8a8e-7d8f7a5b9c02")
)

var itemLog = auction.LogID(item)

// A tape is a log whose reader and feed can fail.
type tape struct {
	auction.Reader // the methods that the hub has no business with
	auction.Watchers

	mu      sync.Mutex
	entries []auction.Entry
	closed  bool
	broken  error
	skip    bool // leaves out the first entry that is asked for
	reads   int
	from    []uint64 // where the reads that did not fail began
	encodes int
}

func (t *tape) Entries(_ context.Context, _ auction.LogID, from uint64, limit int) ([]auction.Entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reads++
	if t.broken != nil {
		return nil, t.broken
	}
	t.from = append(t.from, from)
	if t.skip {
		from++
	}
	if from > uint64(len(t.entries)) {
		return nil, nil
	}
	rest := t.entries[from-1:]
	return append([]auction.Entry(nil), rest[:min(limit, len(rest))]...), nil
}

func (t *tape) Auction(context.Context, auction.ID) (*auction.State, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.broken != nil {
		return nil, t.broken
	}
	s := new(auction.State)
	if t.closed {
		s.Closed = &auction.Event{Kind: auction.AuctionClosed}
	}
	return s, nil
}

func (t *tape) readings() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reads
}

// add appends n events like e, and wakes nobody.
func (t *tape) add(n int, e auction.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range n {
		e.Seq, e.Auction, e.Time = uint64(len(t.entries))+1, item, 1_750_000_000
		t.entries = append(t.entries, auction.Entry{
			Seq: e.Seq, Event: e.Encode(), Salt: []byte("salt"), Private: []byte("private"),
		})
	}
	t.closed = t.closed || e.Kind == auction.AuctionClosed
}

func (t *tape) grow(n int) {
	t.add(n, bid)
	t.Wake(itemLog)
}

// cut leaves the first n events.
func (t *tape) cut(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = t.entries[:n]
}

func (t *tape) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.broken = err
}

var (
	bid      = auction.Event{Kind: auction.SomeoneBid, Pseudonym: bidder, Amount: 100}
	recorded = auction.Event{Kind: auction.SomeoneBid, Pseudonym: bidder, Amount: 100, Recorded: true}
	closing  = auction.Event{
		Kind: auction.AuctionClosed, Outcome: auction.Unsold,
		Head: &auction.Head{}, Stamps: []auction.Blob{{1}},
	}
)

// encode counts.
func (t *tape) encode(log auction.LogID, e auction.Entry) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.encodes++
	return encode(log, e)
}

// encode gives a message from which number reads back the sequence number.
func encode(log auction.LogID, e auction.Entry) []byte {
	if e.Salt != nil || e.Private != nil {
		panic("an entry came with its private part")
	}
	return fmt.Appendf(nil, "%s#%d", log, e.Seq)
}

func number(msg []byte) uint64 {
	_, digits, _ := strings.Cut(string(msg), "#")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func newHub(t *tape) (*broadcast.Hub, *prometheus.Registry) {
	reg := prometheus.NewRegistry()
	return broadcast.New(broadcast.Options{
		Reader: t, Feed: t, Encode: t.encode, Registerer: reg,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}), reg
}

func follow(t testing.TB, h *broadcast.Hub, after uint64, q *broadcast.Queue) func() {
	t.Helper()
	unfollow, err := h.Follow(itemLog, after, q)
	if err != nil {
		t.Fatal(err)
	}
	return unfollow
}

// ended is a context that does not wait.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// drain takes what comes until the bubble is quiet.
func drain(q *broadcast.Queue) (numbers []uint64, err error) {
	for {
		synctest.Wait()
		batch, err := q.Next(ended)
		if errors.Is(err, context.Canceled) {
			return numbers, nil
		}
		if err != nil {
			return numbers, err
		}
		for _, m := range batch {
			numbers = append(numbers, number(m))
		}
	}
}

// expect drains the queue and demands exactly the events first to last.
func expect(t testing.TB, q *broadcast.Queue, first, last uint64) {
	t.Helper()
	got, err := drain(q)
	if err != nil {
		t.Fatal(err)
	}
	if err := consecutive(got, first); err != nil || uint64(len(got)) != last+1-first {
		t.Fatalf("got %d events, want %d to %d: %v", len(got), first, last, err)
	}
}

func consecutive(numbers []uint64, first uint64) error {
	for i, n := range numbers {
		if n != first+uint64(i) {
			return fmt.Errorf("event %d where %d belongs", n, first+uint64(i))
		}
	}
	return nil
}

// expectMetrics compares the metrics that say how many.
func expectMetrics(t *testing.T, reg *prometheus.Registry, followers, events, dropped int) {
	t.Helper()
	want := fmt.Sprintf(`
# HELP sigilo_broadcast_dropped_total Clients dropped because an event overflowed their queue.
# TYPE sigilo_broadcast_dropped_total counter
sigilo_broadcast_dropped_total %d
# HELP sigilo_broadcast_events_total Events put into queues: an event counts once for each follower that got it.
# TYPE sigilo_broadcast_events_total counter
sigilo_broadcast_events_total %d
# HELP sigilo_broadcast_followers Followers now: a client counts once for each log that it follows.
# TYPE sigilo_broadcast_followers gauge
sigilo_broadcast_followers %d
`, dropped, events, followers)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "sigilo_broadcast_dropped_total",
		"sigilo_broadcast_events_total", "sigilo_broadcast_followers"); err != nil {
		t.Error(err)
	}
}
