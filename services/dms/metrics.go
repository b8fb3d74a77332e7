package dms

import (
	"cmp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/session"
)

// metrics are those of the replica itself; the store and the hub have theirs.
type metrics struct {
	crypto       *prometheus.HistogramVec // op
	stage        *prometheus.HistogramVec // kind, stage
	commands     *prometheus.CounterVec   // kind, result: accepted, or the code of the refusal
	handshakes   *prometheus.CounterVec   // result
	sessions     *prometheus.GaugeVec     // mode
	tsa          *prometheus.HistogramVec // authority
	tsaFailures  *prometheus.CounterVec   // authority
	closeLag     prometheus.Histogram
	closeOverdue prometheus.Gauge
	unproven     prometheus.Counter

	contradictions *prometheus.CounterVec // authority
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		crypto: ops.Histogram(reg, "sigilo_crypto_seconds",
			"Time of one cryptographic operation.", ops.CryptoBuckets, "op"),
		stage: ops.Histogram(reg, "sigilo_command_seconds",
			"Where a command's time in the DMS goes.", ops.NetworkBuckets, "kind", "stage"),
		tsa: ops.Histogram(reg, "sigilo_tsa_round_trip_seconds",
			"Time from a time-stamp request to its verified answer.", ops.NetworkBuckets, "authority"),
		tsaFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_tsa_failures_total", Help: "Time-stamp requests that got no good answer in time.",
		}, []string{"authority"}),
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_commands_total", Help: "Commands by kind and result: accepted, or the code of the refusal.",
		}, []string{"kind", "result"}),
		handshakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_handshakes_total", Help: "Handshakes by result: accepted, the code of the refusal, or lost with the connection.",
		}, []string{"result"}),
		sessions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sigilo_sessions", Help: "Connections that are open, by mode.",
		}, []string{"mode"}),
		closeOverdue: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sigilo_close_overdue_seconds",
			Help: "Time since end and grace of the auction that has waited longest for its close, 0 if none waits.",
		}),
		closeLag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sigilo_close_lag_seconds", Help: "Time from end and grace of an auction to the stamp of its close record.",
			Buckets: ops.NetworkBuckets, NativeHistogramBucketFactor: 1.1,
		}),
		unproven: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sigilo_unproven_positions_total", Help: "Requests to follow a log from a position that is not in it, which anybody may make up.",
		}),
	}
	m.contradictions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sigilo_tsa_contradictions_total",
		Help: "Times that a stamp was found to contradict one that the same authority had made before it. One stamp may be found more than once.",
	}, []string{"authority"})
	reg.MustRegister(m.commands, m.handshakes, m.sessions, m.tsaFailures,
		m.closeLag, m.closeOverdue, m.unproven, m.contradictions)
	m.zero()
	return m
}

// zero shows the series that alerts watch from the start: the first step of a
// counter that was not there before is no increase to Prometheus.
func (m *metrics) zero() {
	for _, kind := range []auction.Kind{
		auction.KindList, auction.KindBid, auction.KindWithdraw, auction.KindDisclose, auction.KindAllItems,
		auction.KindMyItems, auction.KindMyBids, auction.KindItem, auction.KindInbox,
	} {
		for _, result := range []auction.Code{
			auction.CodeInternal, auction.CodeUnavailable, auction.CodeUnknownResult, auction.CodeOverloaded,
		} {
			m.commands.WithLabelValues(string(kind), string(result))
		}
	}
	for _, mode := range append(session.Modes(), session.ModePublic) {
		m.sessions.WithLabelValues(mode)
	}
}

// knows shows the series of a time authority from the start, as zero does.
func (m *metrics) knows(authority string) {
	m.tsa.WithLabelValues(authority)
	m.tsaFailures.WithLabelValues(authority)
	m.contradictions.WithLabelValues(authority)
}

// stamped notes a call to a time authority.
func (m *metrics) stamped(authority string, d time.Duration, err error) {
	if err != nil {
		m.tsaFailures.WithLabelValues(authority).Inc()
		return
	}
	m.tsa.WithLabelValues(authority).Observe(d.Seconds())
}

// timed runs a cryptographic step and notes how long it took.
func (m *metrics) timed(op string, step func()) {
	start := time.Now()
	step()
	m.crypto.WithLabelValues(op).Observe(time.Since(start).Seconds())
}

// observe is for the checker.
func (s *server) observe(op string, step func()) {
	s.metrics.timed(op, step)
	if s.cfg.OnVerify != nil && (op == "command_signature" || op == "timestamp_token") {
		s.cfg.OnVerify(op, step)
	}
}

// handshake notes how a handshake ended. An error that is no refusal is the
// client's, or its network's.
func (m *metrics) handshake(err error) {
	result := "accepted"
	if err != nil {
		result = cmp.Or(closeText(err), "lost")
	}
	m.handshakes.WithLabelValues(result).Inc()
}

// count notes a command's result. A command that did not parse has no kind.
func (m *metrics) count(kind auction.Kind, err error) {
	m.commands.WithLabelValues(cmp.Or(string(kind), "unknown"), cmp.Or(string(auction.CodeOf(err)), "accepted")).Inc()
}

// stages times the stages of one command, each from the end of the one before.
type stages struct {
	metrics     *metrics
	start, last time.Time
}

func (m *metrics) stages() *stages {
	now := time.Now()
	return &stages{m, now, now}
}

func (s *stages) done(kind auction.Kind, stage string) {
	now := time.Now()
	s.metrics.stage.WithLabelValues(string(kind), stage).Observe(now.Sub(s.last).Seconds())
	s.last = now
}

// end times the command as a whole.
func (s *stages) end(kind auction.Kind) {
	s.metrics.stage.WithLabelValues(string(kind), "total").Observe(time.Since(s.start).Seconds())
}
