// Package k8s_test holds the rendered manifests to their promises, without a
// cluster. That they are what the chart gives is a test of the chart.
package k8s_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// manifest is what the tests read of an object.
type manifest struct {
	Kind     string
	Metadata struct {
		Name   string
		Labels labels
	}
	Spec struct {
		Template struct {
			Metadata struct{ Labels labels }
			Spec     podSpec
		}
		JobTemplate struct {
			Spec struct {
				Template struct {
					Metadata struct{ Labels labels }
					Spec     podSpec
				}
			}
		} `yaml:"jobTemplate"`
		policy `yaml:",inline"`
	}
	Rules []struct {
		Resources     []string
		Verbs         []string
		ResourceNames []string `yaml:"resourceNames"`
	}
}

type labels map[string]string

type podSpec struct {
	Grace      int            `yaml:"terminationGracePeriodSeconds"`
	Automount  *bool          `yaml:"automountServiceAccountToken"`
	Links      *bool          `yaml:"enableServiceLinks"`
	Security   map[string]any `yaml:"securityContext"`
	Containers []struct {
		Name      string
		Image     string
		Command   []string
		Args      []string
		Ports     []struct{ Name string }
		Security  map[string]any `yaml:"securityContext"`
		Resources struct{ Requests, Limits map[string]string }
	}
	Volumes []struct {
		Secret struct {
			SecretName string `yaml:"secretName"`
		}
		Projected struct {
			Sources []struct{ Secret struct{ Name string } }
		}
	}
}

// base reads what is rendered from the chart.
func base(t *testing.T) []manifest {
	t.Helper()
	return read(t, "base/sigilo.yaml")
}

func read(t *testing.T, path string) []manifest {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []manifest
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var m manifest
		err := dec.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind != "" {
			all = append(all, m)
		}
	}
}

// pod is a pod that some object makes.
type pod struct {
	name   string
	labels labels
	spec   podSpec
}

func (p pod) component() string { return p.labels["app.kubernetes.io/component"] }

func pods(all []manifest) (found []pod) {
	for _, m := range all {
		p := pod{m.Metadata.Name, m.Spec.Template.Metadata.Labels, m.Spec.Template.Spec}
		if m.Kind == "CronJob" {
			inner := m.Spec.JobTemplate.Spec.Template
			p.labels, p.spec = inner.Metadata.Labels, inner.Spec
		}
		if len(p.spec.Containers) > 0 {
			found = append(found, p)
		}
	}
	return found
}

func TestPodsAreRestricted(t *testing.T) {
	all := append(pods(base(t)), pods(read(t, "experiments/load.yaml"))...)
	if len(all) < 7 {
		t.Fatalf("only %d pods", len(all))
	}
	for _, p := range all {
		jobs := p.component() == "keys"
		if p.spec.Automount == nil || *p.spec.Automount != jobs {
			t.Errorf("%s: a service account's token is for the Jobs that need it", p.name)
		}
		if p.spec.Links == nil || *p.spec.Links {
			t.Errorf("%s: variables of other services", p.name)
		}
		profile, _ := p.spec.Security["seccompProfile"].(map[string]any)
		if p.spec.Security["runAsNonRoot"] != true || p.spec.Security["runAsUser"] != 65532 || profile["type"] != "RuntimeDefault" {
			t.Errorf("%s: security of the pod: %v", p.name, p.spec.Security)
		}
		for _, c := range p.spec.Containers {
			capabilities, _ := c.Security["capabilities"].(map[string]any)
			drop, _ := capabilities["drop"].([]any)
			if c.Security["readOnlyRootFilesystem"] != true || c.Security["allowPrivilegeEscalation"] != false ||
				!slices.Contains(drop, any("ALL")) || capabilities["add"] != nil {
				t.Errorf("%s: security of %s: %v", p.name, c.Name, c.Security)
			}
			if c.Resources.Limits["memory"] == "" || c.Resources.Requests["cpu"] == "" {
				t.Errorf("%s: resources of %s: %v", p.name, c.Name, c.Resources)
			}
			if slices.ContainsFunc(append(c.Command, c.Args...), func(a string) bool { return strings.HasPrefix(a, "/bin/") }) {
				t.Errorf("%s: %s needs a shell", p.name, c.Name)
			}
		}
	}
}

// A replica that stops serves on for the drain delay, says its goodbyes over the
// drain time, and has some time left for the last of them.
func TestGraceHoldsTheGoodbyes(t *testing.T) {
	found := 0
	for _, p := range pods(base(t)) {
		var stop time.Duration
		for _, arg := range p.spec.Containers[0].Args {
			name, value, _ := strings.Cut(arg, "=")
			if name == "--drain-delay" || name == "--drain-time" {
				d, err := time.ParseDuration(value)
				if err != nil {
					t.Fatal(err)
				}
				stop += d
				found++
			}
		}
		if grace := time.Duration(p.spec.Grace) * time.Second; stop > 0 && grace < stop+10*time.Second {
			t.Errorf("%s stops for %v and more, and gets %v", p.name, stop, grace)
		}
	}
	if found != 4 { // the delays of three services, and the goodbyes of one
		t.Errorf("%d durations", found)
	}
}

// One version is in the chart, in what is rendered from it, and in the experiment.
func TestOneVersion(t *testing.T) {
	data, err := os.ReadFile("../charts/sigilo/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var chart struct {
		Version    string
		AppVersion string `yaml:"appVersion"`
	}
	if err := yaml.Unmarshal(data, &chart); err != nil || chart.Version != chart.AppVersion {
		t.Fatalf("version %q, appVersion %q: %v", chart.Version, chart.AppVersion, err)
	}
	for _, p := range append(pods(base(t)), pods(read(t, "experiments/load.yaml"))...) {
		for _, c := range p.spec.Containers {
			if ours := strings.HasPrefix(c.Image, "sigilo-"); ours && !strings.HasSuffix(c.Image, ":"+chart.Version) {
				t.Errorf("%s runs %s", p.name, c.Image)
			}
		}
	}
}

// Each pod mounts the Secrets of its own service alone, and none the root's key.
func TestPodsMountTheirOwnKeys(t *testing.T) {
	want := map[string][]string{
		"ca": {"sigilo-ca", "sigilo-operator"}, "dms": {"sigilo-dms", "sigilo-operator"},
		"tsa": {"sigilo-tsa1"}, "redis": {"sigilo-redis"}, "keys": nil,
		"test": {"sigilo-operator"}, // it invites people
	}
	for _, p := range append(pods(base(t)), pods(read(t, "experiments/load.yaml"))...) {
		var got []string
		for _, v := range p.spec.Volumes {
			if v.Secret.SecretName != "" {
				got = append(got, v.Secret.SecretName)
			}
			for _, s := range v.Projected.Sources {
				if s.Secret.Name != "" {
					got = append(got, s.Secret.Name)
				}
			}
		}
		if !slices.Equal(got, want[p.component()]) {
			t.Errorf("%s mounts %v, want %v", p.name, got, want[p.component()])
		}
	}
}

// The Jobs may make objects, and otherwise touch those of the house alone.
func TestRightsAreNarrow(t *testing.T) {
	roles := 0
	for _, m := range base(t) {
		if m.Kind == "ClusterRole" || m.Kind == "ClusterRoleBinding" {
			t.Errorf("%s has rights beyond its namespace", m.Metadata.Name)
		}
		if m.Kind != "Role" {
			continue
		}
		roles++
		for _, rule := range m.Rules {
			if len(rule.ResourceNames) == 0 && !slices.Equal(rule.Verbs, []string{"create"}) {
				t.Errorf("%s may %v any of %v", m.Metadata.Name, rule.Verbs, rule.Resources)
			}
			for _, verb := range rule.Verbs {
				if !slices.Contains([]string{"create", "get", "patch"}, verb) {
					t.Errorf("%s may %s %v", m.Metadata.Name, verb, rule.Resources)
				}
			}
		}
	}
	if roles != 2 {
		t.Errorf("%d roles", roles)
	}
}
