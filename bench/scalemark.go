package bench

import (
	"fmt"
	"io"
	"strings"
)

// DescribePoints writes the medians as a table in Markdown, and the runs that
// were left out.
func DescribePoints(out io.Writer, points []Point) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Each replica is held to %.0f %% of one core (%v in each %v). Medians of the runs that count.\n\n",
		100*replicaShare, replicaQuota, replicaPeriod)
	b.WriteString("| auctions | replicas | runs | bids a second | efficiency | p50 ms | p99 ms | DMS us a bid | Redis us a bid | DMS of its limit | Redis cores | generator of its share |\n")
	b.WriteString("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, c := range curves(points) {
		for _, p := range c.points {
			fmt.Fprintf(&b, "| %d | %d | %d | %.0f | %.2f | %.0f | %.0f | %.0f | %.0f | %.2f | %.2f | %.2f |\n",
				p.Auctions, p.Replicas, p.Run, p.BidsPerSecond, c.efficiency(p), p.P50, p.P99, p.DMSPerBid, p.RedisPerBid,
				p.DMSShare, p.RedisCores, p.GeneratorShare)
		}
	}
	left := 0
	for _, p := range points {
		if p.Void != "" {
			if left++; left == 1 {
				b.WriteString("\nLeft out:\n\n")
			}
			fmt.Fprintf(&b, "- %v\n", p)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
