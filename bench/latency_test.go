package bench

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A quantile is at most 1 % (and a microsecond) above the exact one, never below.
func TestQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Minute)), 1, 200).Draw(t, "times")
		var l latencies
		for _, d := range times {
			l.add(time.Duration(d))
		}
		slices.Sort(times)
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
			rank := min(int(float64(len(times))*q+0.999999)-1, len(times)-1)
			exact := time.Duration(times[rank])
			got := l.quantile(q)
			if got < exact-time.Microsecond || float64(got) > 1.011*float64(exact)+2000 {
				t.Fatalf("quantile %v is %v, not %v", q, got, exact)
			}
		}
		if l.max() != time.Duration(times[len(times)-1]) {
			t.Fatalf("longest is %v", l.max())
		}
	})
}

func TestLatenciesOfNothing(t *testing.T) {
	var l latencies
	if l.quantile(0.5) != 0 || l.max() != 0 {
		t.Error("there is a latency of nothing")
	}
	l.add(24 * time.Hour) // beyond the last bucket
	if l.quantile(0.5) == 0 || l.max() != 24*time.Hour {
		t.Error("a long one is lost")
	}
}

func TestRound(t *testing.T) {
	for _, tt := range []struct{ in, out float64 }{
		{0, 0}, {123456, 123456}, {1234.5, 1235}, {1.23456, 1.235}, {0.00123456, 0.001235}, {-1.23456, -1.235},
	} {
		if got := round(tt.in); got != tt.out {
			t.Errorf("round(%v) = %v, want %v", tt.in, got, tt.out)
		}
	}
	if round(math.NaN()) != 0 || round(math.Inf(1)) != 0 {
		t.Error("what is no number has no place in JSON")
	}
}
