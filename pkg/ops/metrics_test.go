package ops

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHistogramHasBothKindsOfBuckets(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := Histogram(reg, "sigilo_probe_seconds", "A probe.", CryptoBuckets, "op")
	h.WithLabelValues("token").Observe(3e-5)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := families[0].GetMetric()[0].GetHistogram()
	if len(got.GetBucket()) != len(CryptoBuckets) {
		t.Errorf("%d classic buckets, want %d", len(got.GetBucket()), len(CryptoBuckets))
	}
	if len(got.GetPositiveSpan()) == 0 {
		t.Error("no native buckets")
	}
}

func TestRegistriesAreApart(t *testing.T) {
	for range 2 { // registering the same name twice in one registry panics
		Histogram(Registry(), "sigilo_probe_seconds", "A probe.", NetworkBuckets)
	}
}
