package dashboards_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// prometheus is a server of a test's own.
type prometheus struct {
	url string
}

// startPrometheus starts one with the configuration of make up-metrics, for the
// given targets. It ends with the test. A machine without one fails the test.
func startPrometheus(t *testing.T, targets []byte) *prometheus {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("this test needs prometheus: see scripts/setup.sh")
	}
	dir := t.TempDir()
	for _, name := range []string{"prometheus.yaml", "alerts.yaml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), data)
	}
	write(t, filepath.Join(dir, "targets.json"), targets)
	address := freeAddress(t)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start prometheus: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // one that has ended is what is wanted
		_ = cmd.Wait()
		log.Close()
		if said, _ := os.ReadFile(log.Name()); t.Failed() && len(said) > 0 {
			t.Logf("prometheus said:\n%s", said)
		}
	})
	p := &prometheus{url: "http://" + address}
	until(t, "prometheus is ready", func() bool {
		res, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return p
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// until asks again and again whether something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// get asks the HTTP API of Prometheus.
func (p *prometheus) get(path string, query url.Values, answer any) error {
	res, err := http.Get(p.url + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	var envelope struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return fmt.Errorf("status %d: %w", res.StatusCode, err)
	}
	if envelope.Status != "success" {
		return fmt.Errorf("%s", envelope.Error)
	}
	return json.Unmarshal(envelope.Data, answer)
}

// numbers evaluates an expression for each second of a span, and returns how
// many of the values are numbers.
func (p *prometheus) numbers(expr string, from, to time.Time) (int, error) {
	var answer struct {
		Result []struct{ Values [][2]any }
	}
	err := p.get("/api/v1/query_range", url.Values{
		"query": {expr}, "step": {"1"}, "start": {stamp(from)}, "end": {stamp(to)},
	}, &answer)
	count := 0
	for _, series := range answer.Result {
		for _, v := range series.Values {
			if f, err := strconv.ParseFloat(fmt.Sprint(v[1]), 64); err == nil && !math.IsNaN(f) {
				count++
			}
		}
	}
	return count, err
}

func stamp(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// value evaluates an expression that gives one number, now; 0 without one.
func (p *prometheus) value(t *testing.T, expr string) float64 {
	t.Helper()
	var answer struct {
		Result []struct{ Value [2]any }
	}
	if err := p.get("/api/v1/query", url.Values{"query": {expr}}, &answer); err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	if len(answer.Result) == 0 {
		return 0
	}
	f, err := strconv.ParseFloat(fmt.Sprint(answer.Result[0].Value[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// alert is a rule of alerts.yaml as Prometheus reads it.
type alert struct {
	Name, Query, Type   string
	Labels, Annotations map[string]string
	LastError           string
}

func (p *prometheus) alerts(t *testing.T) []alert {
	t.Helper()
	var answer struct {
		Groups []struct{ Rules []alert }
	}
	if err := p.get("/api/v1/rules", nil, &answer); err != nil {
		t.Fatal(err)
	}
	var out []alert
	for _, g := range answer.Groups {
		out = append(out, g.Rules...)
	}
	return out
}

// family is what a house shows of one metric.
type family struct {
	kind       string
	labels     []string
	components []string
}

// families returns our own metrics by name, from what was scraped.
func (p *prometheus) families(t *testing.T) map[string]family {
	t.Helper()
	var metadata map[string][]struct{ Type string }
	if err := p.get("/api/v1/metadata", nil, &metadata); err != nil {
		t.Fatal(err)
	}
	var series []map[string]string
	if err := p.get("/api/v1/series", url.Values{"match[]": {`{__name__=~"sigilo_.+"}`}}, &series); err != nil {
		t.Fatal(err)
	}
	target := []string{"__name__", "namespace", "release", "component", "pod", "job", "instance", "le"}
	out := make(map[string]family)
	for _, s := range series {
		name := s["__name__"]
		kind := metadata[name]
		if kind == nil { // OpenMetrics names a counter without its suffix
			kind = metadata[strings.TrimSuffix(name, "_total")]
		}
		if kind == nil {
			name = base(name)
			kind = metadata[name]
		}
		f := out[name]
		if len(kind) > 0 {
			f.kind = kind[0].Type
		}
		f.labels = union(f.labels, slices.DeleteFunc(slices.Collect(maps.Keys(s)), func(l string) bool {
			return slices.Contains(target, l)
		}))
		f.components = union(f.components, []string{s["component"]})
		out[name] = f
	}
	return out
}

func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}
