package ca

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
)

// What is issued, as sigilo_ca_issued_total counts it.
const (
	kindEnrolment = "enrolment"
	kindRenewal   = "renewal"
	kindToken     = "token"
)

// metrics are the measures of a CA. Their labels come from the paths of the
// API, the codes of refusals, and the constants here.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec // endpoint
	issued   *prometheus.CounterVec
	crypto   *prometheus.HistogramVec
}

// newMetrics registers the measures. The ends are those of the certificates that the service
// works with, by name.
func newMetrics(reg prometheus.Registerer, ends map[string]time.Time) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_ca_requests_total", Help: "Requests by endpoint, and ok or the code of the refusal.",
		}, []string{"endpoint", "result"}),
		seconds: ops.Histogram(reg, "sigilo_ca_request_seconds", "Time of a request, by endpoint.", ops.NetworkBuckets, "endpoint"),
		issued: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_ca_issued_total", Help: "Certificates for new and for known keys, and session tokens.",
		}, []string{"kind"}),
		crypto: ops.Histogram(reg, "sigilo_crypto_seconds", "Time of one cryptographic operation.", ops.CryptoBuckets, "op"),
	}
	expiry := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sigilo_certificate_expiry_seconds", Help: "When a certificate ends, in seconds since the epoch.",
	}, []string{"certificate"})
	reg.MustRegister(m.requests, m.issued, expiry)
	for name, end := range ends {
		expiry.WithLabelValues(name).Set(float64(end.Unix()))
	}
	for _, kind := range []string{kindEnrolment, kindRenewal, kindToken} {
		m.issued.WithLabelValues(kind)
	}
	return m
}

// request notes a request that came at start, and how it ended.
func (m *metrics) request(endpoint string, start time.Time, err error) {
	result := "ok"
	if err != nil {
		result = string(auction.CodeOf(err))
	}
	m.requests.WithLabelValues(endpoint, result).Inc()
	m.seconds.WithLabelValues(endpoint).Observe(time.Since(start).Seconds())
}

// timed measures op, which is certificate or token.
func (m *metrics) timed(op string, start time.Time) {
	m.crypto.WithLabelValues(op).Observe(time.Since(start).Seconds())
}
