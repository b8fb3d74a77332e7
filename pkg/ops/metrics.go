package ops

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Bounds of the classic buckets of histograms, in seconds. Callers do not
// change them.
var (
	// CryptoBuckets fits work of one core: from the opening of a frame (about
	// a microsecond) to a key ceremony.
	CryptoBuckets = []float64{1e-6, 5e-6, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 2e-2, 0.1}

	// NetworkBuckets fits what waits for another machine: from a Redis round
	// trip on one host to a call that is about to be given up.
	NetworkBuckets = []float64{1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
)

// Registry returns a new registry with the collectors of the Go runtime and of
// the process. Every service has its own, also where several share a process.
func Registry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return reg
}

// Histogram registers a histogram of seconds that has native buckets, for
// servers that take them, and classic ones with the given bounds, for the rest.
// The values of labels come from closed sets. It panics if reg holds the name
// already, which is a defect of the program.
func Histogram(reg prometheus.Registerer, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    name,
		Help:    help,
		Buckets: buckets,
		// Buckets 10 % apart; past 160 of them the resolution falls instead of
		// the memory growing, and is regained an hour later at the soonest.
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}, labels)
	reg.MustRegister(h)
	return h
}
