// Package dashboards_test holds the dashboards, the alerts and the page on
// metrics to what a running house shows, and to what Grafana and Prometheus take.
package dashboards_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what of a Grafana dashboard the checks need to know.
type dashboard struct {
	name string // of the file

	UID, Title, Description string
	SchemaVersion           int
	Tags                    []string
	Links                   []struct {
		Type, URL string
		Tags      []string
	}
	Templating struct{ List []variable }
	Panels     []panel
}

type variable struct {
	Name, Type, Definition string
	Datasource             *datasource
	Current                struct{ Value string }
}

type datasource struct{ Type, UID string }

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               datasource
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct {
		Defaults struct {
			Unit       string
			Thresholds struct {
				Mode  string
				Steps []struct {
					Value *float64
					Color string
				}
			}
		}
	}
	Targets []target
	Links   []struct{ Title, URL string }
	Options struct{ Series []map[string]json.RawMessage }
}

type target struct {
	RefID, Expr, LegendFormat string
	Datasource                datasource
}

func dashboards(t *testing.T) []dashboard {
	t.Helper()
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	var out []dashboard
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := dashboard{name: strings.TrimSuffix(file, ".json")}
		if err := json.Unmarshal(data, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out = append(out, d)
	}
	return out
}

// panelTypes are the panels of Grafana that we use, and units its units.
var (
	panelTypes = []string{"row", "stat", "timeseries", "heatmap", "xychart"}
	units      = []string{"s", "none", "short", "percentunit", "ops", "opm", "reqps", "bytes", "Bps"}
)

func TestDashboardsAreWhatGrafanaTakes(t *testing.T) {
	all := make(map[string]bool)
	for _, d := range dashboards(t) {
		t.Run(d.name, func(t *testing.T) {
			switch {
			case d.UID != "sigilo-"+d.name || len(d.UID) > 40:
				t.Errorf("uid %q does not come from the file's name", d.UID)
			case d.Title == "" || all[d.Title]:
				t.Errorf("title %q is empty or another's", d.Title)
			case d.Description == "" || !slices.Contains(d.Tags, "sigilo"):
				t.Error("no description, or not tagged sigilo")
			case d.SchemaVersion < 39:
				t.Errorf("schema version %d is before Grafana 11", d.SchemaVersion)
			case len(d.Links) != 2 || d.Links[0].Type != "dashboards" || !strings.HasSuffix(d.Links[1].URL, "runbook.md"):
				t.Error("no links to the other dashboards and to the runbook")
			}
			all[d.Title] = true
			checkVariables(t, d)
			checkGrid(t, d.Panels)
			for _, p := range d.Panels {
				checkPanel(t, p)
			}
		})
	}
}

func checkVariables(t *testing.T, d dashboard) {
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
		if v.Type == "query" && (v.Datasource == nil || v.Datasource.UID != "${datasource}") {
			t.Errorf("variable %s does not ask the chosen datasource", v.Name)
		}
	}
	if len(names) < 3 || !slices.Equal(names[:3], []string{"datasource", "namespace", "release"}) {
		t.Errorf("variables %v: want datasource, namespace and release first", names)
	}
}

// checkGrid says where panels lie over each other or outside of the 24 columns.
func checkGrid(t *testing.T, panels []panel) {
	type cell struct{ x, y int }
	taken := make(map[cell]string)
	ids := make(map[int]bool)
	for _, p := range panels {
		if p.ID < 1 || ids[p.ID] {
			t.Errorf("%s: id %d is not its own", p.Title, p.ID)
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.Y < 0 || g.X+g.W > 24 {
			t.Errorf("%s: lies outside of the grid: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := taken[cell{x, y}]; other != "" {
					t.Fatalf("%s lies over %s", p.Title, other)
				}
				taken[cell{x, y}] = p.Title
			}
		}
	}
}

func checkPanel(t *testing.T, p panel) {
	if !slices.Contains(panelTypes, p.Type) || p.Title == "" {
		t.Errorf("%q: type %q", p.Title, p.Type)
	}
	if p.Type == "row" {
		return
	}
	chosen := datasource{"prometheus", "${datasource}"}
	defaults := p.FieldConfig.Defaults
	switch steps := defaults.Thresholds.Steps; {
	case len(p.Description) < 10 || p.Datasource != chosen:
		t.Errorf("%s: no description, or another datasource than the chosen one", p.Title)
	case !slices.Contains(units, defaults.Unit):
		t.Errorf("%s: unit %q", p.Title, defaults.Unit)
	case len(steps) == 0 || steps[0].Value != nil || defaults.Thresholds.Mode != "absolute":
		t.Errorf("%s: the first threshold is the one without a value", p.Title)
	case len(p.Targets) == 0:
		t.Errorf("%s: shows nothing", p.Title)
	}
	for i, s := range defaults.Thresholds.Steps {
		if i > 0 && (s.Value == nil || i > 1 && *s.Value <= *defaults.Thresholds.Steps[i-1].Value) || s.Color == "" {
			t.Errorf("%s: thresholds are not in order, or without a colour", p.Title)
		}
	}
	refs := make(map[string]bool)
	for _, target := range p.Targets {
		if target.RefID == "" || refs[target.RefID] || target.Expr == "" || target.LegendFormat == "" || target.Datasource != chosen {
			t.Errorf("%s: target %q lacks something", p.Title, target.RefID)
		}
		refs[target.RefID] = true
		checkSelectors(t, target.Expr)
	}
	if p.Type == "xychart" {
		checkAxes(t, p)
	}
}

// metric matches the name of a metric in an expression, and what follows.
var metric = regexp.MustCompile(`\b((?:sigilo|process|go)_[a-z_0-9]+|up)\b(\{[^}]*\}|)`)

// checkSelectors says which metric of an expression could be another house's.
func checkSelectors(t *testing.T, expr string) {
	found := metric.FindAllStringSubmatch(expr, -1)
	if len(found) == 0 {
		t.Errorf("no metric in %s", expr)
	}
	for _, m := range found {
		if !strings.HasPrefix(m[2], `{namespace="$namespace",release="$release"`) {
			t.Errorf("%s is not of the chosen house in %s", m[1], expr)
		}
	}
}

// checkAxes says whether the axes of a plot are series of its own.
func checkAxes(t *testing.T, p panel) {
	for _, series := range p.Options.Series {
		for _, axis := range []string{"x", "y"} {
			var at struct {
				Matcher struct{ ID, Options string }
			}
			if err := json.Unmarshal(series[axis], &at); err != nil {
				t.Fatal(err)
			}
			named := slices.ContainsFunc(p.Targets, func(t target) bool { return t.LegendFormat == at.Matcher.Options })
			if at.Matcher.ID != "byName" || !named {
				t.Errorf("%s: no series for %s", p.Title, axis)
			}
		}
	}
}

func TestAlertsFireAndRest(t *testing.T) {
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("this test needs promtool: see scripts/setup.sh")
	}
	for _, args := range [][]string{
		{"check", "rules", "alerts.yaml"},
		{"test", "rules", "alerts_test.yaml"},
		{"check", "config", "--syntax-only", "prometheus.yaml"},
	} {
		if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// runbook returns the entries of the runbook by the anchors that links name.
func runbook(t *testing.T) map[string]bool {
	t.Helper()
	data, err := os.ReadFile("runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(string(data), -1) {
		out[strings.ToLower(m[1])] = true
	}
	return out
}

const runbookURL = "https://github.com/sigilo/sigilo/blob/main/dashboards/runbook.md#"

func TestPanelsLinkToTheRunbook(t *testing.T) {
	entries := runbook(t)
	for _, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, link := range p.Links {
				anchor, ours := strings.CutPrefix(link.URL, runbookURL)
				if !ours || !entries[anchor] {
					t.Errorf("%s: %s: the runbook has no entry %s", d.name, p.Title, link.URL)
				}
			}
		}
	}
}

// documented is a row of the table of docs/metrics.md.
var documented = regexp.MustCompile("(?m)^\\| `(sigilo_\\w+)` \\| (\\w+) \\| ([^|]*) \\| ([^|]*) \\| [^|]{10,} \\|$")

// page returns what docs/metrics.md says that a house shows.
func page(t *testing.T) map[string]family {
	t.Helper()
	data, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]family)
	for _, m := range documented.FindAllStringSubmatch(string(data), -1) {
		out[m[1]] = family{kind: m[2], labels: names(m[3]), components: names(m[4])}
	}
	return out
}

func names(list string) []string {
	return union(strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune("`, -", r) }), nil)
}

// base is the name of the metric that a series belongs to.
func base(series string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if name, ok := strings.CutSuffix(series, suffix); ok {
			return name
		}
	}
	return series
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
