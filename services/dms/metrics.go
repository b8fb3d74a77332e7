package dms

import (
	"cmp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
)

// metrics are those of the replica itself; the store and the hub have theirs.
type metrics struct {
	crypto         *prometheus.HistogramVec // op
	stage          *prometheus.HistogramVec // kind, stage
	commands       *prometheus.CounterVec   // kind, result: accepted, or the code of the refusal
	handshakes     *prometheus.CounterVec   // result
	sessions       *prometheus.GaugeVec     // mode
	tsa            *prometheus.HistogramVec // authority
	closeLag       prometheus.Histogram
	historyChanged prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		crypto: ops.Histogram(reg, "sigilo_crypto_seconds",
			"Time of one cryptographic operation.", ops.CryptoBuckets, "op"),
		stage: ops.Histogram(reg, "sigilo_command_seconds",
			"Where a command's time in the DMS goes.", ops.NetworkBuckets, "kind", "stage"),
		tsa: ops.Histogram(reg, "sigilo_tsa_round_trip_seconds",
			"Time from a time-stamp request to its verified answer.", ops.NetworkBuckets, "authority"),
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_commands_total", Help: "Commands by kind and result: accepted, or the code of the refusal.",
		}, []string{"kind", "result"}),
		handshakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_handshakes_total", Help: "Handshakes by result: accepted, the code of the refusal, or lost with the connection.",
		}, []string{"result"}),
		sessions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sigilo_sessions", Help: "Connections that are open, by mode.",
		}, []string{"mode"}),
		closeLag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sigilo_close_lag_seconds", Help: "Time from end and grace of an auction to the stamp of its close record.",
			Buckets: ops.NetworkBuckets, NativeHistogramBucketFactor: 1.1,
		}),
		historyChanged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sigilo_history_changed_total", Help: "Clients that held a position which is not in the log.",
		}),
	}
	reg.MustRegister(m.commands, m.handshakes, m.sessions, m.closeLag, m.historyChanged)
	return m
}

// timed runs a cryptographic step and notes how long it took.
func (m *metrics) timed(op string, step func()) {
	start := time.Now()
	step()
	m.crypto.WithLabelValues(op).Observe(time.Since(start).Seconds())
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
	metrics *metrics
	last    time.Time
}

func (m *metrics) stages() *stages { return &stages{m, time.Now()} }

func (s *stages) done(kind auction.Kind, stage string) {
	now := time.Now()
	s.metrics.stage.WithLabelValues(string(kind), stage).Observe(now.Sub(s.last).Seconds())
	s.last = now
}
