//go:build chart

// Package charts_test renders the chart with Helm: make chart-test runs it. What
// the rendered objects promise is tested in k8s, on a copy that needs no Helm.
package charts_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// An object is a rendered manifest.
type object map[string]any

// at follows a path of keys; nil is what is not there.
func (o object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, key := range path {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

// render runs helm template with --set arguments.
func render(t *testing.T, set ...string) ([]object, error) {
	t.Helper()
	args := []string{"template", "sigilo", "sigilo", "--namespace", "auctions", "--kube-version", "1.34.0"}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Getenv("HELM"), args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New(err.Error() + ": " + stderr.String())
	}
	var objects []object
	for dec := yaml.NewDecoder(bytes.NewReader(out)); ; {
		var o map[string]any // not object, which the decoder would make of all maps in it
		err := dec.Decode(&o)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if o != nil {
			objects = append(objects, o)
		}
	}
}

func mustRender(t *testing.T, set ...string) []object {
	t.Helper()
	objects, err := render(t, set...)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// find returns the object of that kind and name, nil if there is none.
func find(objects []object, kind, name string) object {
	i := slices.IndexFunc(objects, func(o object) bool { return o["kind"] == kind && o.at("metadata", "name") == name })
	if i < 0 {
		return nil
	}
	return objects[i]
}

// container returns the first container of an object's pods.
func (o object) container(t *testing.T) object {
	t.Helper()
	list, _ := o.at("spec", "template", "spec", "containers").([]any)
	if len(list) == 0 {
		t.Fatalf("no containers in %v", o.at("metadata", "name"))
	}
	return list[0].(map[string]any)
}

func TestChartRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ set, reason string }{
		"an unknown value":             {"dsm.replicas=3", "dsm"},
		"two CAs":                      {"ca.replicas=2", "replicas"},
		"a house with capitals":        {"house=House", "house"},
		"a tag that is no version":     {"image.tag=latest", "tag"},
		"a Redis that is no version":   {"redis.image=redis:latest", "image"},
		"no authority":                 {"tsa.authorities=0", "authorities"},
		"too many authorities":         {"tsa.authorities=14", "authorities"},
		"a Redis that is none":         {"redis.url=http://redis", "url"},
		"a Redis of no known shape":    {"redis.url=redis+ring://redis:6379", "url"},
		"a port that is none":          {"redis.ports={70000}", "ports"},
		"a mode that is none":          {"ca.mode=anybody", "mode"},
		"a provider without an issuer": {"ca.mode=oidc", "ca.oidc.issuer"},
		"a provider at no port":        {"ca.oidc.ports={0}", "ports"},
		"an ingress without a domain":  {"ingress.enabled=true,ingress.tlsSecret=x", "ingress.domain"},
		"an ingress without TLS":       {"ingress.enabled=true,ingress.domain=a.example", "https"},
		"two certificates":             {"ingress.enabled=true,ingress.domain=a.example,ingress.tlsSecret=x,ingress.clusterIssuer=y", "not both"},
		"fewer at most than at least":  {"dms.autoscaling.minReplicas=5,dms.autoscaling.maxReplicas=2", "maxReplicas"},
		"a duration without a unit":    {"dms.sessionLife=30", "sessionLife"},
		"goodbyes after a pod's end":   {"dms.drainTime=31s", "drainTime"},
		"a session of no known mode":   {"dms.sessionModes={sigilo.v1.public}", "sessionModes"},
		"a rate below none":            {"tsa.rate=-1", "rate"},
	} {
		if _, err := render(t, tt.set); err == nil || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAutoscalerOwnsTheReplicas(t *testing.T) {
	dms := find(mustRender(t), "Deployment", "sigilo-dms")
	if dms.at("spec", "replicas") != nil {
		t.Error("an upgrade would undo what the autoscaler did")
	}
	objects := mustRender(t, "dms.autoscaling.enabled=false,dms.replicas=3")
	if find(objects, "HorizontalPodAutoscaler", "sigilo-dms") != nil || find(objects, "Deployment", "sigilo-dms").at("spec", "replicas") != 3 {
		t.Error("without the autoscaler there are as many replicas as the values say")
	}
	hpa := find(mustRender(t, "dms.autoscaling.sessions=5000"), "HorizontalPodAutoscaler", "sigilo-dms")
	if metrics, _ := hpa.at("spec", "metrics").([]any); len(metrics) != 2 {
		t.Errorf("metrics: %v", metrics)
	}
}

func TestRedisOutside(t *testing.T) {
	objects := mustRender(t, "redis.url=rediss://u:$(REDIS_PASSWORD)@redis.example:6390/0", "redis.existingSecret=ours")
	for _, o := range objects {
		if name, _ := o.at("metadata", "name").(string); strings.Contains(name, "redis") {
			t.Errorf("%v %s is left", o["kind"], name)
		}
	}
	env, err := yaml.Marshal(find(objects, "Deployment", "sigilo-dms").container(t)["env"])
	if err != nil || !bytes.Contains(env, []byte("name: ours")) || !bytes.Contains(env, []byte("rediss://u:$(REDIS_PASSWORD)@redis.example:6390/0")) {
		t.Errorf("the broker's environment: %s %v", env, err)
	}
	out, err := yaml.Marshal(find(objects, "NetworkPolicy", "sigilo-dms-out")["spec"])
	if err != nil || !bytes.Contains(out, []byte("port: 6390")) {
		t.Errorf("the broker may reach: %s %v", out, err)
	}
}

// The broker may reach Sentinels, and the servers that they name.
func TestRedisOutsideHasPorts(t *testing.T) {
	for _, tt := range []struct {
		url, ports string
		want       []int
	}{
		{"redis://redis.example/1", "null", []int{6379}},
		{"rediss://u:p@redis.example:6390/0", "null", []int{6390}},
		{`redis+sentinel://u:p:1@a.example:26379\,b.example:26380/primary/0?sentinel_password=x:9`, "{6379,26379}", []int{26379, 26380, 6379}},
		{`redis+cluster://a.example:7000\,b.example:7001`, "null", []int{7000, 7001}},
	} {
		objects := mustRender(t, "redis.url="+tt.url, "redis.ports="+tt.ports)
		egress, _ := find(objects, "NetworkPolicy", "sigilo-dms-out").at("spec", "egress").([]any)
		var got []int
		for _, rule := range egress {
			if rule := object(rule.(map[string]any)); rule["to"] == nil { // the ports of a Redis outside, then those of DNS
				for _, p := range rule["ports"].([]any) {
					if p := object(p.(map[string]any)); p["protocol"] == nil {
						got = append(got, p["port"].(int))
					}
				}
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: ports %v, want %v", tt.url, got, tt.want)
		}
	}
}

// The CA may reach its OpenID provider where the issuer is, and where else a value
// says, and nothing at all in another mode.
func TestProviderHasPorts(t *testing.T) {
	for _, tt := range []struct {
		issuer, ports string
		want          []int
	}{
		{"https://idp.example", "null", []int{443}},
		{"https://idp.example/realms/a", "null", []int{443}},
		{"https://idp.example:8443/realms/a", "null", []int{8443}},
		{"https://[2001:db8::1]:8443", "null", []int{8443}},
		{"https://[2001:db8::1]/", "null", []int{443}},
		{"https://idp.example", "{5556,443}", []int{443, 5556}},
	} {
		objects := mustRender(t, "ca.mode=oidc", "ca.oidc.issuer="+tt.issuer, "ca.oidc.clientID=house", "ca.oidc.ports="+tt.ports)
		egress, _ := find(objects, "NetworkPolicy", "sigilo-ca-out").at("spec", "egress").([]any)
		if len(egress) != 2 {
			t.Fatalf("%s: %d rules, want those of the provider and of DNS", tt.issuer, len(egress))
		}
		var got []int
		for _, p := range egress[0].(map[string]any)["ports"].([]any) {
			got = append(got, p.(map[string]any)["port"].(int))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: ports %v, want %v", tt.issuer, got, tt.want)
		}
	}
	if find(mustRender(t), "NetworkPolicy", "sigilo-ca-out") != nil {
		t.Error("a CA without a provider may reach the world")
	}
}

func TestAuthoritiesEachHaveTheirOwnKey(t *testing.T) {
	objects := mustRender(t, "tsa.authorities=4,tsa.existingSecrets.tsa2=ours")
	for name, secret := range map[string]string{"tsa1": "sigilo-tsa1", "tsa2": "ours", "tsa4": "sigilo-tsa4"} {
		volumes, _ := find(objects, "Deployment", "sigilo-"+name).at("spec", "template", "spec", "volumes").([]any)
		if len(volumes) != 1 || object(volumes[0].(map[string]any)).at("secret", "secretName") != secret {
			t.Errorf("%s mounts %v", name, volumes)
		}
	}
	if find(objects, "Deployment", "sigilo-tsa5") != nil {
		t.Error("there is a fifth authority")
	}
}

// What a value says is what the program is told.
func TestValuesBecomeFlags(t *testing.T) {
	for _, tt := range []struct{ set, deployment, flag string }{
		{"tsa.rate=3", "sigilo-tsa1", "--rate=3"},
		{"tsa.trustedProxies={10.0.0.0/8,fd00::/8}", "sigilo-tsa1", "--trusted-proxies=10.0.0.0/8,fd00::/8"},
		{"dms.sessionModes={sigilo.v1.mlkem768p256}", "sigilo-dms", "--session-modes=sigilo.v1.mlkem768p256"},
		{"dms.drainTime=30s", "sigilo-dms", "--drain-time=30s"},
	} {
		containers, _ := find(mustRender(t, tt.set), "Deployment", tt.deployment).at("spec", "template", "spec", "containers").([]any)
		if len(containers) != 1 {
			t.Fatalf("%s has %d containers", tt.deployment, len(containers))
		}
		if args, _ := containers[0].(map[string]any)["args"].([]any); !slices.Contains(args, any(tt.flag)) {
			t.Errorf("%s: %v", tt.set, args)
		}
	}
}

func TestKeysOfYourOwn(t *testing.T) {
	objects := mustRender(t, "keys.create=false,keys.existingSecrets.ca=ours")
	for _, o := range objects {
		if slices.Contains([]any{"Job", "CronJob", "Role", "ServiceAccount"}, o["kind"]) {
			t.Errorf("%v is left", o["kind"])
		}
	}
	volumes, err := yaml.Marshal(find(objects, "StatefulSet", "sigilo-ca").at("spec", "template", "spec", "volumes"))
	if err != nil || !bytes.Contains(volumes, []byte("name: ours")) {
		t.Errorf("the CA mounts %s %v", volumes, err)
	}
}

func TestSwitches(t *testing.T) {
	count := func(objects []object, kind string) (n int) {
		for _, o := range objects {
			if o["kind"] == kind {
				n++
			}
		}
		return n
	}
	plain := mustRender(t)
	for _, tt := range []struct {
		set, kind   string
		before, now int
	}{
		{"networkPolicy.enabled=false", "NetworkPolicy", 8, 0},
		{"tsa.ntp={ntp.example}", "NetworkPolicy", 8, 9},
		{"dms.disruptionBudget=false", "PodDisruptionBudget", 1, 0},
		{"monitoring.podMonitor=true", "PodMonitor", 0, 1},
		{"monitoring.rules=true", "PrometheusRule", 0, 1},
		{"ingress.enabled=true,ingress.domain=a.example,ingress.tlsSecret=x", "Ingress", 0, 1},
	} {
		if before, now := count(plain, tt.kind), count(mustRender(t, tt.set), tt.kind); before != tt.before || now != tt.now {
			t.Errorf("%s: %d, then %d", tt.set, before, now)
		}
	}
	if n := count(mustRender(t, "monitoring.dashboards=true"), "ConfigMap") - count(plain, "ConfigMap"); n < 5 {
		t.Errorf("%d dashboards", n)
	}
}

// Two houses in one namespace share no name.
func TestReleasesAreApart(t *testing.T) {
	names := make(map[string]bool)
	for _, o := range mustRender(t) {
		names[o["kind"].(string)+o.at("metadata", "name").(string)] = true
	}
	for _, o := range mustRender(t, "fullnameOverride=other") {
		if name := o.at("metadata", "name").(string); names[o["kind"].(string)+name] {
			t.Errorf("both have %v %s", o["kind"], name)
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	limits := map[string]int{"sigilo/values.yaml": 150}
	templates, err := filepath.Glob("sigilo/templates/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range templates {
		limits[path] = 120
	}
	for path, limit := range limits {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(data, []byte("\n")); n > limit {
			t.Errorf("%s has %d lines", path, n)
		}
	}
}
