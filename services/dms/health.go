package dms

import (
	"crypto/x509"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// watchHealth registers what tells of trouble before it comes: the ends of the
// certificates and of the revocation list, and the state of the trusted time.
// They are read when somebody asks.
func (s *server) watchHealth(registry prometheus.Registerer, keys keyring) error {
	expiry := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sigilo_certificate_expiry_seconds", Help: "When a certificate ends, in seconds since the epoch.",
	}, []string{"certificate"})
	for name, der := range map[string][]byte{"dms": keys.chain[0], "root": keys.roots[0]} {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("read certificate %s: %w", name, err)
		}
		expiry.WithLabelValues(name).Set(float64(cert.NotAfter.Unix()))
	}
	limit := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sigilo_sessions_limit", Help: "Connections that this replica holds at once; more are turned away.",
	})
	limit.Set(float64(s.cfg.MaxSessions))
	registry.MustRegister(expiry, limit,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sigilo_crl_expiry_seconds",
			Help: "When the revocation list in use ends, in seconds since the epoch; 0 without one. Then no session opens.",
		}, s.listEnds),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sigilo_clock_age_seconds",
			Help: "Time since the stamp that the trusted time rests on; infinite without one. Past 60 there is no trusted time.",
		}, s.clockAge),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sigilo_clock_offset_seconds",
			Help: "Trusted time less this machine's clock, which no rule reads; not a number without trusted time.",
		}, s.clockOffset),
	)
	return nil
}

func (s *server) listEnds() float64 {
	list := s.trust.list.Load()
	if list == nil {
		return 0
	}
	return float64(list.NextUpdate.Unix())
}

func (s *server) clockAge() float64 {
	age, ok := s.clock.Age()
	if !ok {
		return math.Inf(1)
	}
	return age.Seconds()
}

func (s *server) clockOffset() float64 {
	now, err := s.clock.Now()
	if err != nil {
		return math.NaN()
	}
	return time.Until(now.Std()).Seconds()
}
