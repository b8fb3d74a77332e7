package k8s_test

import (
	"fmt"
	"slices"
	"testing"
)

// policy is the spec of a NetworkPolicy, as far as ours use it. A test refuses
// what it does not know.
type policy struct {
	PodSelector selector `yaml:"podSelector"`
	PolicyTypes []string `yaml:"policyTypes"`
	Ingress     []rule
	Egress      []rule
}

type rule struct {
	Ports []struct {
		Port     any // a name, or a number
		Protocol string
	}
	From, To []peer
}

type peer struct {
	PodSelector       *selector      `yaml:"podSelector"`
	NamespaceSelector *selector      `yaml:"namespaceSelector"`
	IPBlock           map[string]any `yaml:"ipBlock"`
}

type selector struct {
	MatchLabels      labels `yaml:"matchLabels"`
	MatchExpressions []struct {
		Key, Operator string
		Values        []string
	} `yaml:"matchExpressions"`
}

func (s selector) matches(l labels) bool {
	for key, value := range s.MatchLabels {
		if l[key] != value {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		if e.Operator != "In" {
			panic("the test does not know the operator " + e.Operator)
		}
		if !slices.Contains(e.Values, l[e.Key]) {
			return false
		}
	}
	return true
}

// endpoint is a pod somewhere.
type endpoint struct {
	labels labels
	inside bool // of the release's namespace
}

func (p peer) matches(e endpoint) bool {
	switch {
	case p.IPBlock != nil:
		panic("the test does not know address blocks")
	case p.NamespaceSelector == nil:
		return e.inside && p.PodSelector.matches(e.labels)
	case len(p.NamespaceSelector.MatchLabels)+len(p.NamespaceSelector.MatchExpressions) > 0:
		panic("the test does not know namespaces by label")
	}
	return p.PodSelector == nil || p.PodSelector.matches(e.labels)
}

// allows reports whether a rule lets a port and the other side through.
func (r rule) allows(peers []peer, port any, other endpoint) bool {
	portOK := len(r.Ports) == 0
	for _, p := range r.Ports {
		portOK = portOK || p.Port == port
	}
	if !portOK || len(peers) == 0 {
		return portOK
	}
	return slices.ContainsFunc(peers, func(p peer) bool { return p.matches(other) })
}

// reaches evaluates all policies: a pod that one selects for a direction has
// only what those that select it allow (Kubernetes' NetworkPolicy, "the two sorts
// of pod isolation"), and both ends must allow.
func reaches(policies []policy, from, to endpoint, port any) bool {
	out, outIsolated, in, inIsolated := false, false, false, false
	for _, p := range policies {
		if from.inside && p.PodSelector.matches(from.labels) && slices.Contains(p.PolicyTypes, "Egress") {
			outIsolated = true
			out = out || slices.ContainsFunc(p.Egress, func(r rule) bool { return r.allows(r.To, port, to) })
		}
		if to.inside && p.PodSelector.matches(to.labels) && slices.Contains(p.PolicyTypes, "Ingress") {
			inIsolated = true
			in = in || slices.ContainsFunc(p.Ingress, func(r rule) bool { return r.allows(r.From, port, from) })
		}
	}
	return (out || !outIsolated) && (in || !inIsolated)
}

func ours(component string) endpoint {
	return endpoint{inside: true, labels: labels{
		"app.kubernetes.io/name": "sigilo", "app.kubernetes.io/instance": "sigilo", "app.kubernetes.io/component": component,
	}}
}

// Who reaches whom. What is not in the table is forbidden.
func TestWhoReachesWhom(t *testing.T) {
	everybody := map[string]endpoint{
		"ca": ours("ca"), "tsa": ours("tsa"), "dms": ours("dms"), "redis": ours("redis"), "keys": ours("keys"), "test": ours("test"),
		"neighbour": {inside: true, labels: labels{"app": "other"}},
		"stranger":  {labels: labels{"app": "other"}}, // in another namespace, or outside
		// Somebody else's pod with our labels, where labels mean nothing.
		"impostor": {labels: ours("dms").labels},
	}
	ports := map[string][]any{
		"ca": {"http", "internal"}, "tsa": {"http", "internal"}, "dms": {"http", "internal"}, "redis": {"redis"},
		"keys": {80}, "test": {80}, "neighbour": {80, 443}, "stranger": {53, 80, 443},
	}
	may := make(map[string]bool)
	for _, who := range []string{"neighbour", "stranger", "impostor"} {
		for _, service := range []string{"ca", "tsa", "dms"} {
			may[who+" ca http"], may[who+" tsa http"], may[who+" dms http"] = true, true, true
			may[who+" "+service+" internal"] = true // a Prometheus may be anywhere
		}
		for _, other := range []string{"neighbour", "stranger"} { // not our business
			for _, port := range ports[other] {
				may[fmt.Sprint(who, " ", other, " ", port)] = true
			}
		}
	}
	for _, entry := range []string{
		"dms ca http", "dms tsa http", "dms redis redis", "dms dms internal", "dms stranger 53",
		"test ca http", "test tsa http", "test dms http", "test stranger 53",
		"keys neighbour 443", "keys stranger 443", // the API server, wherever it is
	} {
		may[entry] = true
	}

	var policies []policy
	for _, m := range base(t) {
		if m.Kind == "NetworkPolicy" {
			policies = append(policies, m.Spec.policy)
		}
	}
	for from, source := range everybody {
		for to, list := range ports {
			for _, port := range list {
				entry := fmt.Sprint(from, " ", to, " ", port)
				if got := reaches(policies, source, everybody[to], port); got != may[entry] {
					t.Errorf("%s: got %v, want %v", entry, got, may[entry])
				}
			}
		}
	}
}

// The components in the table are those that the manifests have.
func TestTheTableKnowsEveryPod(t *testing.T) {
	for _, p := range pods(base(t)) {
		if !slices.Contains([]string{"ca", "tsa", "dms", "redis", "keys"}, p.component()) {
			t.Errorf("%s is in no row", p.name)
		}
		for _, c := range p.spec.Containers {
			for _, port := range c.Ports {
				if !slices.Contains([]string{"http", "internal", "redis"}, port.Name) {
					t.Errorf("%s has a port %q", p.name, port.Name)
				}
			}
		}
	}
}
