package store

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics measures the writers.
type metrics struct {
	seconds *prometheus.HistogramVec // by script
	bytes   prometheus.Counter
	group   prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                            "sigilo_store_seconds",
			Help:                            "Time from sending a script to Redis until its result is durable.",
			Buckets:                         []float64{1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 0.5, 2.5},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  160,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"script"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sigilo_log_bytes_total",
			Help: "Bytes of the entries that were appended to logs.",
		}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "sigilo_store_group_size",
			Help:    "Scripts that were sent to Redis together.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 7),
		}),
	}
	reg.MustRegister(m.seconds, m.bytes, m.group)
	return m
}
