package bench

import (
	"math"
	"sync/atomic"
	"time"
)

// latencies counts durations in buckets 1 % apart, from a microsecond to about
// two minutes, in memory that does not grow. It is safe for concurrent use.
type latencies struct {
	buckets [latencyBuckets]atomic.Uint64
	longest atomic.Int64
}

const (
	latencyBuckets = 1872 // log(120e6) / log(1.01)
	latencyStep    = 1.01
)

var logStep = math.Log(latencyStep)

func (l *latencies) add(d time.Duration) {
	us := max(float64(d)/float64(time.Microsecond), 1)
	l.buckets[min(int(math.Log(us)/logStep), latencyBuckets-1)].Add(1)
	for {
		longest := l.longest.Load()
		if int64(d) <= longest || l.longest.CompareAndSwap(longest, int64(d)) {
			return
		}
	}
}

// quantile returns the duration that the part q of all are not longer than, to
// 1 %, and 0 if there are none.
func (l *latencies) quantile(q float64) time.Duration {
	var total uint64
	for i := range l.buckets {
		total += l.buckets[i].Load()
	}
	if total == 0 {
		return 0
	}
	rank, seen := uint64(math.Ceil(q*float64(total))), uint64(0)
	for i := range l.buckets {
		if seen += l.buckets[i].Load(); seen >= rank {
			top := math.Pow(latencyStep, float64(i+1)) * float64(time.Microsecond)
			return min(time.Duration(top), l.max())
		}
	}
	return l.max()
}

// within returns how many were not longer than d, to 1 %.
func (l *latencies) within(d time.Duration) (n uint64) {
	last := int(math.Log(float64(d)/float64(time.Microsecond)) / logStep)
	for i := range min(last+1, latencyBuckets) {
		n += l.buckets[i].Load()
	}
	return n
}

func (l *latencies) max() time.Duration { return time.Duration(l.longest.Load()) }

// report sets p50_ms, p90_ms, p99_ms and max_ms.
func (l *latencies) report(r Result, prefix string) {
	for name, q := range map[string]float64{"p50_ms": 0.5, "p90_ms": 0.9, "p99_ms": 0.99} {
		r.set(prefix+name, ms(l.quantile(q)))
	}
	r.set(prefix+"max_ms", ms(l.max()))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
