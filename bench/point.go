package bench

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Point is one run of [Scale]: so many replicas, bids in so many auctions.
type Point struct {
	Replicas, Auctions int
	Run                int     // which of the runs of its kind
	Seconds            float64 // of the measure
	Accepted           int
	Overtaken          int     // refused since a higher bid came before
	Failed             int     // refused for anything else, or unanswered
	BidsPerSecond      float64 // judged: accepted or overtaken, which cost the house the same
	P50, P99           float64 // of accepted bids, ms from sending a bid to its receipt, while all participants wait for one
	DMSPerBid          float64 // CPU in microseconds for a bid, of all replicas
	RedisPerBid        float64 // the same of Redis
	DMSShare           float64 // what the replicas used of what they are held to
	RedisCores         float64
	GeneratorShare     float64 // what the generator used of its share
	Void               string  // why the run says nothing, "" if it does say something
}

// The reasons to leave a run out.
const (
	voidGenerator = "generator busy"
	voidStarved   = "replicas not at their limit"
)

func newPoint(replicas, auctions int, sum *tally, before, after usage) Point {
	accepted, overtaken := sum.of(resultAccepted), sum.of(string(auction.CodeBidTooLow))
	judged := float64(accepted + overtaken)
	p := Point{
		Replicas: replicas, Auctions: auctions, Seconds: sum.seconds,
		Accepted: int(accepted), Overtaken: int(overtaken), Failed: int(sum.sent() - accepted - overtaken),
		BidsPerSecond: judged / sum.seconds,
		P50:           ms(sum.latency.quantile(0.5)), P99: ms(sum.latency.quantile(0.99)),
	}
	cores := func(from, to time.Duration) float64 { return (to - from).Seconds() / sum.seconds }
	perBid := func(from, to time.Duration) float64 {
		return float64(to-from) / float64(time.Microsecond) / max(judged, 1)
	}
	p.DMSPerBid, p.RedisPerBid = perBid(before.replicas, after.replicas), perBid(before.redis, after.redis)
	p.DMSShare = cores(before.replicas, after.replicas) / (float64(replicas) * replicaShare)
	p.RedisCores = cores(before.redis, after.redis)
	p.GeneratorShare = cores(before.generator, after.generator) / generatorShare
	p.judge()
	return p
}

// judge says whether the run says something. Replicas that all work in one
// auction may wait for each other: that they do is a result.
func (p *Point) judge() {
	switch {
	case p.GeneratorShare > busyGenerator:
		p.Void = voidGenerator
	case p.Auctions > 1 && p.DMSShare < fullReplica:
		p.Void = voidStarved
	}
}

// String is a line for people.
func (p Point) String() string {
	s := fmt.Sprintf("%d replicas, %s: %.0f bids a second, p50 %.0f ms, p99 %.0f ms, DMS %.0f us and Redis %.0f us a bid, replicas at %.0f %% of their limit, generator at %.0f %%",
		p.Replicas, auctionsOf(p.Auctions), p.BidsPerSecond, p.P50, p.P99, p.DMSPerBid, p.RedisPerBid, 100*p.DMSShare, 100*p.GeneratorShare)
	if p.Void != "" {
		s += ": void, " + p.Void
	}
	return s
}

func auctionsOf(n int) string {
	if n == 1 {
		return "one auction"
	}
	return strconv.Itoa(n) + " auctions"
}

var pointHeader = []string{
	"auctions", "replicas", "run", "seconds", "accepted", "overtaken", "failed", "bids_per_second", "p50_ms", "p99_ms",
	"dms_us_per_bid", "redis_us_per_bid", "dms_share", "redis_cores", "generator_share", "void",
}

// numbers are the fields of a row but the last, in the order of the header.
func (p *Point) numbers() []any {
	return []any{
		&p.Auctions, &p.Replicas, &p.Run, &p.Seconds, &p.Accepted, &p.Overtaken, &p.Failed, &p.BidsPerSecond, &p.P50, &p.P99,
		&p.DMSPerBid, &p.RedisPerBid, &p.DMSShare, &p.RedisCores, &p.GeneratorShare,
	}
}

// WritePoints writes a row for each run.
func WritePoints(out io.Writer, points []Point) error {
	w := csv.NewWriter(out)
	_ = w.Write(pointHeader) // an error shows in the end
	for _, p := range points {
		var row []string
		for _, field := range p.numbers() {
			switch v := field.(type) {
			case *int:
				row = append(row, strconv.Itoa(*v))
			case *float64:
				row = append(row, strconv.FormatFloat(round(*v), 'f', -1, 64))
			}
		}
		_ = w.Write(append(row, p.Void))
	}
	w.Flush()
	return w.Error()
}

// maxPoints bounds the rows of a file.
const maxPoints = 10000

// ReadPoints reads what [WritePoints] wrote.
func ReadPoints(in io.Reader) ([]Point, error) {
	r := csv.NewReader(in)
	r.FieldsPerRecord = len(pointHeader)
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read points: %w", err)
	}
	if !slices.Equal(header, pointHeader) {
		return nil, errors.New("read points: other columns than expected")
	}
	var points []Point
	for {
		row, err := r.Read()
		if err == io.EOF {
			return points, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read points: %w", err)
		}
		if len(points) == maxPoints {
			return nil, fmt.Errorf("read points: more than %d", maxPoints)
		}
		var p Point
		for i, field := range p.numbers() {
			switch v := field.(type) {
			case *int:
				*v, err = strconv.Atoi(row[i])
			case *float64:
				*v, err = strconv.ParseFloat(row[i], 64)
			}
			if err != nil {
				return nil, fmt.Errorf("read points: column %s: %w", pointHeader[i], err)
			}
		}
		p.Void = row[len(row)-1]
		if p.Replicas < 1 || p.Auctions < 1 {
			return nil, errors.New("read points: replicas and auctions are at least 1")
		}
		points = append(points, p)
	}
}

// curve is the medians of the runs over so many auctions, by replicas.
type curve struct {
	auctions int
	points   []Point
}

// curves sums up the runs that say something, many auctions first.
func curves(points []Point) []curve {
	type kind struct{ auctions, replicas int }
	runs := make(map[kind][]Point)
	for _, p := range points {
		if p.Void == "" {
			k := kind{p.Auctions, p.Replicas}
			runs[k] = append(runs[k], p)
		}
	}
	byAuctions := make(map[int]*curve)
	for k, of := range runs {
		c := byAuctions[k.auctions]
		if c == nil {
			c = &curve{auctions: k.auctions}
			byAuctions[k.auctions] = c
		}
		c.points = append(c.points, median(of))
	}
	var all []curve
	for _, c := range byAuctions {
		slices.SortFunc(c.points, func(a, b Point) int { return cmp.Compare(a.Replicas, b.Replicas) })
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b curve) int { return cmp.Compare(b.auctions, a.auctions) })
	return all
}

// median takes the median of each measure. Run is how many there are.
func median(runs []Point) Point {
	m := Point{Run: len(runs)}
	for i, field := range m.numbers() {
		values := make([]float64, len(runs))
		for j := range runs {
			switch v := runs[j].numbers()[i].(type) {
			case *int:
				values[j] = float64(*v)
			case *float64:
				values[j] = *v
			}
		}
		slices.Sort(values)
		middle := (values[(len(values)-1)/2] + values[len(values)/2]) / 2
		switch v := field.(type) {
		case *int:
			*v = int(middle)
		case *float64:
			*v = middle
		}
	}
	m.Run = len(runs)
	return m
}

// efficiency is the bids a second for each replica, over those of the first point.
func (c curve) efficiency(p Point) float64 {
	first := c.points[0]
	if first.BidsPerSecond == 0 {
		return 0
	}
	return p.BidsPerSecond / float64(p.Replicas) / (first.BidsPerSecond / float64(first.Replicas))
}

// ScaleResult sums the runs up as the other benchmarks do. It does not know how
// busy others kept the machine before them.
func ScaleResult(points []Point) Result {
	result := newResult("scale")
	result.Machine.LoadAverage = -1
	void := 0
	for _, p := range points {
		if p.Void != "" {
			void++
		}
	}
	result.set("runs", float64(len(points)))
	result.set("runs_void", float64(void))
	for _, c := range curves(points) {
		kind := strings.ReplaceAll(auctionsOf(c.auctions), " ", "_") + "_"
		for _, p := range c.points {
			name := fmt.Sprintf("%s%d_replicas_", kind, p.Replicas)
			result.ratio(name+"efficiency", c.efficiency(p), 1)
			result.set(name+"bids_per_second", p.BidsPerSecond)
			result.set(name+"p50_ms", p.P50)
			result.set(name+"p99_ms", p.P99)
			result.set(name+"dms_us_per_bid", p.DMSPerBid)
			result.set(name+"redis_us_per_bid", p.RedisPerBid)
			result.set(name+"redis_cores", p.RedisCores)
			result.set(name+"generator_share", p.GeneratorShare)
		}
	}
	return result
}
