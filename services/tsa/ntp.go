package tsa

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/beevik/ntp"
)

const (
	// maxServers bounds the NTP servers; more would be no better.
	maxServers = 16
	// checkEvery is how often servers are asked; public ones want no more than
	// once in 64 s (RFC 5905 7.3). After a failure it is tried sooner, as nobody is served.
	checkEvery = 64 * time.Second
	retryEvery = 16 * time.Second
	// checkLife is how long a comparison counts. A usual quartz (50 ppm) is off by
	// 30 ms after it.
	checkLife = 10 * time.Minute
	// answerTimeout ends the wait for one server.
	answerTimeout = 2 * time.Second
)

var (
	errUnchecked = errors.New("the clock is not compared with NTP servers")
	errOff       = errors.New("the clock differs from NTP servers")
)

// health compares the clock with NTP servers.
type health struct {
	servers []string
	bound   time.Duration // how far the clock may be off
	now     func() time.Time
	elapsed func() time.Duration // monotonic
	metrics *ntpMetrics
	log     *slog.Logger

	mu      sync.Mutex // for what follows
	checked bool
	offset  time.Duration // of the servers' time from the clock's, by their median
	wall    time.Time     // when that was, by the clock
	at      time.Duration // and by elapsed
}

func newHealth(cfg Config, now func() time.Time, log *slog.Logger, m *ntpMetrics) *health {
	start := time.Now()
	return &health{
		servers: cfg.NTP, bound: cfg.Accuracy, now: now, log: log, metrics: m,
		elapsed: func() time.Duration { return time.Since(start) },
	}
}

// trusted reports why the clock is not to be trusted. Between two comparisons it
// sees a clock that is set, as that moves against the monotonic one.
func (h *health) trusted() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	passed := h.elapsed() - h.at
	if !h.checked || passed > checkLife {
		return errUnchecked
	}
	// Round takes the monotonic reading off, which would hide what is looked for.
	moved := h.now().Round(0).Sub(h.wall) - passed
	if off := h.offset - moved; off > h.bound || off < -h.bound {
		return errOff
	}
	return nil
}

// run compares until ctx ends.
func (h *health) run(ctx context.Context) error {
	for {
		pause := checkEvery
		if h.check(ctx); h.trusted() != nil {
			pause = retryEvery
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// check asks all servers. The median of the answers counts if most answered; if not,
// the last comparison goes on to count for its life.
func (h *health) check(ctx context.Context) {
	offsets := h.ask()
	if ctx.Err() != nil {
		return
	}
	if 2*len(offsets) <= len(h.servers) {
		h.metrics.checks.WithLabelValues("unanswered").Inc()
		h.log.WarnContext(ctx, "too few NTP servers answer", slog.Int("answers", len(offsets)), slog.Int("servers", len(h.servers)))
		return
	}
	slices.Sort(offsets)
	// Of an even number the one further from zero: in doubt the clock is wrong.
	offset := offsets[len(offsets)/2]
	if lower := offsets[(len(offsets)-1)/2]; lower.Abs() > offset.Abs() {
		offset = lower
	}
	h.mu.Lock()
	h.checked, h.offset, h.wall, h.at = true, offset, h.now().Round(0), h.elapsed()
	h.mu.Unlock()
	h.metrics.offset.Set(offset.Seconds())
	if offset.Abs() > h.bound {
		h.metrics.checks.WithLabelValues("off").Inc()
		h.log.ErrorContext(ctx, "the clock differs from NTP servers: nothing is stamped", slog.Duration("offset", offset))
		return
	}
	h.metrics.checks.WithLabelValues("good").Inc()
}

// ask returns the offsets that servers state, as far as they are good to tell
// whether the clock is within its bound.
func (h *health) ask() []time.Duration {
	answers := make(chan *ntp.Response, len(h.servers))
	for _, server := range h.servers {
		go func() {
			answer, err := ntp.QueryWithOptions(server, ntp.QueryOptions{Timeout: answerTimeout, GetSystemTime: h.now})
			if err != nil || answer.Validate() != nil || answer.RTT/2 > h.bound {
				answer = nil
			}
			answers <- answer
		}()
	}
	var offsets []time.Duration
	for range h.servers {
		if answer := <-answers; answer != nil {
			offsets = append(offsets, answer.ClockOffset)
		}
	}
	return offsets
}
