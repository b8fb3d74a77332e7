package tsa

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// granted is the result of a request that got a token; the other results are
// the failures of RFC 3161.
const granted = "granted"

type metrics struct {
	stamps *prometheus.CounterVec
	crypto prometheus.Observer
}

// newMetrics registers the measures of an authority whose certificate has an end.
func newMetrics(reg prometheus.Registerer, end time.Time, simulated bool) *metrics {
	crypto := ops.Histogram(reg, "sigilo_crypto_seconds", "Time of one cryptographic operation.", ops.CryptoBuckets, "op")
	m := &metrics{
		stamps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_tsa_stamps_total", Help: "Time-stamp requests by result: granted, or the failure of RFC 3161.",
		}, []string{"result"}),
		crypto: crypto.WithLabelValues("timestamp_token"),
	}
	expiry := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sigilo_certificate_expiry_seconds", Help: "When a certificate ends, in seconds since the epoch.",
	}, []string{"certificate"})
	simulatedClock := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sigilo_clock_simulated", Help: "1 if the authority stamps simulated time, 0 if real time.",
	})
	reg.MustRegister(m.stamps, expiry, simulatedClock)
	m.stamps.WithLabelValues(granted)
	expiry.WithLabelValues("tsa").Set(float64(end.Unix()))
	if simulated {
		simulatedClock.Set(1)
	}
	return m
}

// stamped counts the outcome of one request.
func (m *metrics) stamped(err error) {
	result := granted
	var failure *tsp.Failure
	if errors.As(err, &failure) {
		result = failure.Info.String()
	}
	m.stamps.WithLabelValues(result).Inc()
}

// ntpMetrics are the measures of the comparison with NTP servers.
type ntpMetrics struct {
	offset prometheus.Gauge
	checks *prometheus.CounterVec
}

func newNTPMetrics(reg prometheus.Registerer) *ntpMetrics {
	m := &ntpMetrics{
		offset: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sigilo_ntp_offset_seconds", Help: "By how much NTP servers are ahead of the clock, by the median of the last answers.",
		}),
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sigilo_ntp_checks_total", Help: "Comparisons with NTP servers by result: good, off (nothing is stamped) or unanswered.",
		}, []string{"result"}),
	}
	reg.MustRegister(m.offset, m.checks)
	for _, result := range []string{"good", "off", "unanswered"} {
		m.checks.WithLabelValues(result)
	}
	return m
}
