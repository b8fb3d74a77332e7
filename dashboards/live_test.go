package dashboards_test

import (
	"context"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// mayBeEmpty lists the expressions that need not give a number on a house that
// is well, each with the reason.
var mayBeEmpty = map[string]string{}

// chosen is what Grafana would put in for the variables: one release, and spans
// that fit a house of half a minute.
var chosen = strings.NewReplacer(
	"$namespace", "local", "$release", "demo", "$kind", "bid", "$__rate_interval", "30s", "$__range", "30s",
)

// TestEveryExpression runs what the dashboards and alerts ask on a house under
// load: each must have an answer.
func TestEveryExpression(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	l := openHouse(t, ctx)
	p := startPrometheus(t, l.targets(l.startComparing()))
	from := time.Now()
	stop := l.run()
	for what, expr := range map[string]string{
		"an auction is sold":            `sum(sigilo_closes_total{outcome="sold"}) > 0`,
		"an auction ended without bids": `sum(sigilo_closes_total{outcome="unsold"}) > 0`,
		"both sides disclosed":          `sum(sigilo_commands_total{kind="disclose",result="accepted"}) > 1`,
		"all was scraped for a while":   `min(count_over_time(up[5m])) > 15`,
		"so were the closes":            `count_over_time((sum(sigilo_close_lag_seconds_count) > 1)[1m:1s]) > 3`,
	} {
		until(t, what, func() bool { return t.Failed() || p.value(t, expr) > 0 })
	}
	stop()
	to := time.Now()
	if t.Failed() {
		return
	}
	t.Run("panels", func(t *testing.T) { p.checkPanels(t, from, to) })
	t.Run("variables", p.checkVariables)
	t.Run("alerts", func(t *testing.T) { p.checkAlerts(t, from, to) })
	t.Run("page", p.checkPage)
}

// answers runs an expression.
func (p *prometheus) answers(t *testing.T, where, expr string, from, to time.Time) {
	t.Helper()
	count, err := p.numbers(chosen.Replace(expr), from, to)
	switch reason := mayBeEmpty[expr]; {
	case err != nil:
		t.Errorf("%s: %s: %v", where, expr, err)
	case count == 0 && reason == "":
		t.Errorf("%s: no number from %s", where, expr)
	}
}

func (p *prometheus) checkPanels(t *testing.T, from, to time.Time) {
	shown := p.families(t)
	asked := make(map[string]bool)
	for _, d := range dashboards(t) {
		for _, panel := range d.Panels {
			for _, target := range panel.Targets {
				p.answers(t, d.name+": "+panel.Title, target.Expr, from, to)
				for _, m := range metric.FindAllStringSubmatch(target.Expr, -1) {
					asked[m[1]] = true
				}
			}
		}
	}
	for _, name := range sorted(asked) {
		if _, whole := shown[name]; !whole && strings.HasPrefix(name, "sigilo_") {
			if _, ok := shown[base(name)]; !ok {
				t.Errorf("no service shows %s", name)
			}
		}
	}
	for expr := range mayBeEmpty {
		if !slices.ContainsFunc(dashboards(t), func(d dashboard) bool {
			return slices.ContainsFunc(d.Panels, func(p panel) bool {
				return slices.ContainsFunc(p.Targets, func(t target) bool { return t.Expr == expr })
			})
		}) {
			t.Errorf("nothing asks any more: %s", expr)
		}
	}
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

func (p *prometheus) checkVariables(t *testing.T) {
	want := map[string]string{"namespace": "local", "release": "demo"}
	for _, d := range dashboards(t) {
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				continue
			}
			m := labelValues.FindStringSubmatch(v.Definition)
			if m == nil {
				t.Errorf("%s: %s: no query of label values", d.name, v.Name)
				continue
			}
			var values []string
			err := p.get("/api/v1/label/"+m[2]+"/values", url.Values{"match[]": {chosen.Replace(m[1])}}, &values)
			if err != nil || !slices.Equal(values, []string{want[v.Name]}) {
				t.Errorf("%s: %s offers %v: %v", d.name, v.Name, values, err)
			}
		}
	}
}

// comparison is the end of an alert's expression: its limit.
var comparison = regexp.MustCompile(`^(?s)(.+) [<>] [0-9.e+]+$`)

func (p *prometheus) checkAlerts(t *testing.T, from, to time.Time) {
	entries := runbook(t)
	unused := maps.Clone(entries)
	for _, a := range p.alerts(t) {
		m := comparison.FindStringSubmatch(a.Query)
		if m == nil {
			t.Errorf("%s: the expression does not end in a limit: %s", a.Name, a.Query)
			continue
		}
		p.answers(t, a.Name, m[1], from, to)
		anchor, ours := strings.CutPrefix(a.Annotations["runbook_url"], runbookURL)
		switch severity := a.Labels["severity"]; {
		case a.Type != "alerting" || a.LastError != "":
			t.Errorf("%s: type %s, error %q", a.Name, a.Type, a.LastError)
		case !slices.Contains([]string{"critical", "warning", "info"}, severity):
			t.Errorf("%s: severity %q", a.Name, severity)
		case a.Annotations["summary"] == "" || !ours || !entries[anchor]:
			t.Errorf("%s: no summary, or no entry in the runbook: %q", a.Name, anchor)
		}
		delete(unused, anchor)
	}
	for name := range unused {
		t.Errorf("the runbook speaks of %s, which is no alert", name)
	}
	firing := p.value(t, `count(ALERTS{alertstate="firing"})`)
	if firing > 0 {
		t.Errorf("%v alerts fire on a house that is well", firing)
	}
}

// checkPage holds docs/metrics.md to what the house shows.
func (p *prometheus) checkPage(t *testing.T) {
	told, shown := page(t), p.families(t)
	for _, name := range sorted(told) {
		if _, ok := shown[name]; !ok {
			t.Errorf("docs/metrics.md tells of %s, which no service shows", name)
		}
	}
	for _, name := range sorted(shown) {
		want, got := shown[name], told[name]
		if got.kind != want.kind || !slices.Equal(got.labels, want.labels) || !slices.Equal(got.components, want.components) {
			t.Errorf("docs/metrics.md has %s as %+v, the house shows %+v", name, got, want)
		}
	}
}
