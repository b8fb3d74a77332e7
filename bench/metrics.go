package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
)

// Results of a bid that are no code of the house.
const (
	resultAccepted = "accepted"
	resultLost     = "lost"        // the connection ended before an answer came
	resultTimeout  = "timeout"     // no answer in time
	resultBad      = "bad_receipt" // a receipt that does not hold
	resultOverrun  = "overrun"     // not sent: too many await their answers already
	resultFailed   = "failed"      // anything else
)

// metrics are the generator's own.
type metrics struct {
	bids     *prometheus.CounterVec   // result
	receipt  *prometheus.HistogramVec // no label
	inFlight prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		bids: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_bench_bids_total", Help: "Bids by result: accepted, the code of the refusal, or what went wrong.",
		}, []string{"result"}),
		receipt: ops.Histogram(reg, "sigilo_bench_receipt_seconds",
			"Time from when a bid was to be sent to its receipt.", ops.NetworkBuckets),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sigilo_bench_in_flight", Help: "Bids that await their answers.",
		}),
	}
	reg.MustRegister(m.bids, m.inFlight)
	return m
}

// resultOf names how a bid ended, from a closed set.
func resultOf(err error) string {
	var refusal *auction.Refusal
	switch {
	case err == nil:
		return resultAccepted
	case errors.Is(err, errLost):
		return resultLost
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return resultTimeout
	case errors.As(err, &refusal):
		return cmp.Or(string(refusal.Code), resultFailed)
	}
	return resultFailed
}

// serveMetrics shows reg at /metrics of an address until ctx ends.
func serveMetrics(ctx context.Context, address string, reg *prometheus.Registry) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: dialTimeout}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }() // ends with ctx, and says so
	return nil
}

// progressEvery is how often a load test says how it goes.
const progressEvery = time.Second
