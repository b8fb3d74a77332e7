package bench_test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/bench"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The CSV of a run gives the same plot and summary for ever.
func TestScaleOfRecordedRuns(t *testing.T) {
	file, err := os.Open(filepath.Join("testdata", "scale", "scale.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	points, err := bench.ReadPoints(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(io.Writer, []bench.Point) error{
		"scale.csv": bench.WritePoints, "scale.svg": bench.PlotPoints, "scale.md": bench.DescribePoints,
	} {
		var got bytes.Buffer
		if err := write(&got, points); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "scale", name)
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s is not what it was:\n%s", name, got.Bytes())
		}
	}

	r := bench.ScaleResult(points)
	want := map[string]float64{ // of the medians, without the run that is void
		"600_auctions_1_replicas_efficiency": 1, "600_auctions_2_replicas_efficiency": 0.9888, "600_auctions_4_replicas_efficiency": 0.9701,
		"one_auction_1_replicas_efficiency": 1, "one_auction_2_replicas_efficiency": 0.8077, "one_auction_4_replicas_efficiency": 0.5769,
	}
	if !reflect.DeepEqual(r.Ratios, want) {
		t.Errorf("got %v, want %v", r.Ratios, want)
	}
	if r.Figures["runs"] != 9 || r.Figures["runs_void"] != 1 || r.Figures["600_auctions_1_replicas_bids_per_second"] != 268 {
		t.Errorf("got %v", r.Figures)
	}
}

func TestReadPointsRefuses(t *testing.T) {
	const header = "auctions,replicas,run,seconds,accepted,overtaken,failed,bids_per_second,p50_ms,p99_ms," +
		"dms_us_per_bid,redis_us_per_bid,dms_share,redis_cores,generator_share,void\n"
	for name, text := range map[string]string{
		"nothing":        "",
		"other columns":  strings.Replace(header, "auctions", "lots", 1),
		"a short row":    header + "1,1,1\n",
		"no number":      header + "1,1,1,x,1,1,1,1,1,1,1,1,1,1,1,\n",
		"no replicas":    header + "1,0,1,1,1,1,1,1,1,1,1,1,1,1,1,\n",
		"half a replica": header + "1,0.5,1,1,1,1,1,1,1,1,1,1,1,1,1,\n",
	} {
		if points, err := bench.ReadPoints(strings.NewReader(text)); err == nil {
			t.Errorf("%s: got %v", name, points)
		}
	}
	if points, err := bench.ReadPoints(strings.NewReader(header)); err != nil || len(points) != 0 {
		t.Errorf("no runs: got %v, %v", points, err)
	}
}
