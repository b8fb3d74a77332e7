package broadcast

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
)

// maxSeq bounds sequence numbers: they are JSON numbers.
const maxSeq = 1 << 53

// Options are what a hub works with. All are needed.
type Options struct {
	Reader auction.Reader // where events are read
	Feed   auction.Feed   // what says that there are new ones

	// Encode makes the message that followers get for an entry of a log. The
	// entry is in its public view. The result is shared by all followers.
	Encode func(auction.LogID, auction.Entry) []byte

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Hub hands the events of logs to those who follow them. All methods are safe
// for concurrent use.
type Hub struct {
	options Options
	metrics metrics
	epoch   time.Time // of the topics' wake times, none of which is 0
	running sync.WaitGroup

	mu     sync.Mutex
	topics map[auction.LogID]*topic
	closed bool
}

// New returns a hub and registers its metrics; it panics if they are registered
// already, which is a defect of the program.
func New(o Options) *Hub {
	return &Hub{
		options: o,
		metrics: newMetrics(o.Registerer),
		epoch:   time.Now().Add(-1),
		topics:  make(map[auction.LogID]*topic),
	}
}

// Follow puts every event of the log with a sequence number above after into q,
// in order, each once: first those that are there, as q has room for them, then
// the new ones. Whether the client's position is one of this log's history is
// for the caller to check; nothing comes before the log has grown past it.
//
// Bids that are recorded after the end of an auction, and all that follows
// them, come once the close record is durable, so that nobody bids in reaction
// to them.
//
// If reading the log fails, the hub tries again for as long as somebody
// follows: events are late, never left out. q may follow several logs. It is
// closed by an overflow, and with CodeHistoryChanged when the log is found not to
// be the one that was handed out.
//
// The caller must call unfollow, also when q is closed; after it has returned,
// nothing more comes from this log. Follow refuses with CodeBadRequest what is
// no position, and fails if the hub is closed.
func (h *Hub) Follow(log auction.LogID, after uint64, q *Queue) (unfollow func(), err error) {
	if after >= maxSeq {
		return nil, auction.Refuse(auction.CodeBadRequest, "a position is a sequence number below 2^53")
	}
	f := &follower{queue: q, next: after + 1}
	t, err := h.enter(log, after)
	if err != nil {
		return nil, err
	}
	t.join(f)
	return sync.OnceFunc(func() {
		t.leave(f)
		h.exit(t)
	}), nil
}

// Close ends all deliveries and waits for the hub's goroutines. Queues stay
// open.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	for _, t := range h.topics {
		t.cancel()
	}
	h.mu.Unlock()
	h.running.Wait()
}

// enter returns the log's topic, which it starts for the first follower.
func (h *Hub) enter(log auction.LogID, after uint64) (*topic, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errors.New("the hub is closed")
	}
	t := h.topics[log]
	if t == nil {
		ctx, cancel := context.WithCancel(context.Background())
		t = &topic{hub: h, log: log, cancel: cancel, wake: make(chan struct{}, 1), end: after}
		h.topics[log] = t
		h.running.Go(func() { t.run(ctx) })
	}
	t.users++
	return t, nil
}

// exit ends the topic after its last follower.
func (h *Hub) exit(t *topic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.users--; t.users == 0 {
		t.cancel()
		delete(h.topics, t.log)
	}
}

type metrics struct {
	lag       prometheus.Histogram
	dropped   prometheus.Counter
	followers prometheus.Gauge
	events    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sigilo_broadcast_lag_seconds",
			Help: "Time from the wake for an event until the last follower's queue had it; " +
				"where no wake came, from the look before, which is an upper bound.",
			Buckets: []float64{1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
			// Buckets 10 % apart; past 160 of them the resolution falls instead
			// of the memory growing, and is regained an hour later at the soonest.
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  160,
			NativeHistogramMinResetDuration: time.Hour,
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sigilo_broadcast_dropped_total",
			Help: "Clients dropped because an event overflowed their queue.",
		}),
		followers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sigilo_broadcast_followers",
			Help: "Followers now: a client counts once for each log that it follows.",
		}),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sigilo_broadcast_events_total",
			Help: "Events put into queues: an event counts once for each follower that got it.",
		}),
	}
	reg.MustRegister(m.lag, m.dropped, m.followers, m.events)
	return m
}
