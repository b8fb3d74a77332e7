package store

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
)

// metrics measures the writers, and the logs that they append to.
type metrics struct {
	seconds *prometheus.HistogramVec // by script
	entries *prometheus.CounterVec   // by script
	bytes   *prometheus.CounterVec   // by script
	closes  *prometheus.CounterVec   // by outcome
	group   prometheus.Histogram
	busy    *prometheus.CounterVec // by writer
	changed prometheus.Counter
	outages prometheus.Counter
}

// newMetrics registers the measures of a store. waiting counts the calls that
// wait for a writer, primaries the servers that have writers of their own, memory
// is how full Redis is.
func newMetrics(reg prometheus.Registerer, waiting, primaries func() int, memory func() float64) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                            "sigilo_store_seconds",
			Help:                            "Time from sending a script to Redis until its result is durable.",
			Buckets:                         []float64{1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 2.5},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  160,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"script"}),
		entries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_log_entries_total",
			Help: "Entries that were appended to logs, by the script that did it: a bid is place.",
		}, []string{"script"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_log_bytes_total",
			Help: "Bytes of these entries, with the certificates that came along.",
		}, []string{"script"}),
		closes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_closes_total",
			Help: "Auctions that this process closed, by outcome.",
		}, []string{"outcome"}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "sigilo_store_group_size",
			Help:    "Scripts that were sent to Redis together.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 7),
		}),
		busy: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_store_busy_seconds_total",
			Help: "Time that a writer spent on groups, summed over the primaries: its rate by sigilo_store_primaries is the share of its time.",
		}, []string{"writer"}),
	}
	m.changed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sigilo_history_changed_total",
		Help: "Times that a log was found to be another than the one that was read before.",
	})
	m.outages = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "sigilo_outages_total",
		Help: "Times of 20 s or longer in which the house could take no command, as this process found them.",
	})
	queue := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sigilo_store_queue",
		Help: "Scripts that wait for a writer of the primary with the fullest queue.",
	}, func() float64 { return float64(waiting()) })
	servers := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sigilo_store_primaries",
		Help: "Primaries of Redis, each with writers and a queue of its own: 1 but in a Cluster.",
	}, func() float64 { return float64(primaries()) })
	full := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sigilo_store_memory_ratio",
		Help: "Share of its maxmemory that the fullest primary of Redis uses; 0 where it has none. From 0.8 on, listings are refused.",
	}, memory)
	capacity := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sigilo_store_queue_limit",
		Help: "Scripts that may wait for one primary; more are refused as overloaded.",
	})
	capacity.Set(maxQueue)
	reg.MustRegister(m.seconds, m.entries, m.bytes, m.closes, m.group, m.busy, m.changed, m.outages, queue, capacity, servers, full)
	for _, outcome := range []string{auction.Sold, auction.Unsold, auction.Withdrawn, auction.Cancelled} {
		m.closes.WithLabelValues(outcome) // seen from the start
	}
	m.entries.WithLabelValues(suspendScript.name)
	return m
}

// appended counts an entry that a script added, unless it was there already.
func (m *metrics) appended(by *script, e stored, again bool) {
	if again {
		return
	}
	m.entries.WithLabelValues(by.name).Inc()
	m.bytes.WithLabelValues(by.name).Add(float64(len(e.Event) + len(e.Commitment) + len(e.Salt) + len(e.Private) + len(e.chain)))
}
