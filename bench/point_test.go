package bench

import (
	"errors"
	"testing"
)

// A run says something only if the generator was not what held it back, and the
// replicas over many auctions were at their limit.
func TestVoidRuns(t *testing.T) {
	const idle, least, full = 0, fullReplica, 1.0
	tests := []struct {
		name      string
		auctions  int
		generator float64
		replicas  float64
		want      string
	}{
		{"all at their limits", 400, busyGenerator, full, ""},
		{"replicas just at their limit", 400, idle, least, ""},
		{"replicas below it", 400, idle, least - 0.001, voidStarved},
		{"replicas idle", 400, idle, idle, voidStarved},
		{"two auctions count as many", 2, idle, least - 0.001, voidStarved},
		{"replicas that wait for one auction", 1, idle, idle, ""},
		{"generator just over", 400, busyGenerator + 0.001, full, voidGenerator},
		{"generator just over, in one auction", 1, busyGenerator + 0.001, full, voidGenerator},
		{"both: the generator is told of", 400, busyGenerator + 0.001, idle, voidGenerator},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Point{Auctions: tt.auctions, GeneratorShare: tt.generator, DMSShare: tt.replicas}
			if p.judge(); p.Void != tt.want {
				t.Errorf("void: %q, want %q", p.Void, tt.want)
			}
		})
	}
}

// A load in which the house broke a promise, or took nothing, ends in an error.
func TestVerdict(t *testing.T) {
	failure := errors.New("what went wrong first")
	tests := []struct {
		name    string
		results []string
		first   error
		want    error
	}{
		{"all accepted", []string{resultAccepted, resultAccepted}, nil, nil},
		{"some not accepted", []string{resultAccepted, "bid_too_low"}, failure, nil},
		{"none accepted", []string{"bid_too_low"}, failure, failure},
		{"none accepted, and nobody was told why", []string{"bid_too_low"}, nil, nil},
		{"nothing sent", nil, nil, nil},
		{"a receipt that does not hold", []string{resultAccepted, resultBad}, failure, errBadReceipt},
		{"only such a receipt", []string{resultBad}, failure, errBadReceipt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sum, load := newTally(), new(traffic)
			for _, result := range tt.results {
				sum.count(result)
			}
			if tt.first != nil {
				load.remember(tt.first)
			}
			if err := load.verdict(sum); !errors.Is(err, tt.want) {
				t.Errorf("verdict %v, want %v", err, tt.want)
			}
		})
	}
}
