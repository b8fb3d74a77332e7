//go:build chart

package k8s_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// An overlay makes the objects of the base in the namespace that the documents
// name, and differs from them in the broker's Service alone. kubectl builds it,
// as its users do: make chart-test runs this.
func TestOverlays(t *testing.T) {
	port := func(more map[string]any) []any {
		p := map[string]any{"name": "http", "port": 8080, "targetPort": "http"}
		maps.Copy(p, more)
		return []any{p}
	}
	ports := map[string][]any{
		"kind":     port(map[string]any{"nodePort": kindPort(t)}),
		"minikube": port(nil), // minikube service finds whichever it is
	}
	entries, err := os.ReadDir("overlays")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(ports) {
		t.Errorf("%d overlays, want %d", len(entries), len(ports))
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			want := raw(t, rendered(t))
			for _, o := range want {
				o["metadata"].(map[string]any)["namespace"] = "sigilo"
			}
			broker := want["Service sigilo-dms"]["spec"].(map[string]any)
			broker["type"], broker["ports"] = "NodePort", ports[entry.Name()]
			want["Namespace sigilo"] = map[string]any{
				"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{
					"name": "sigilo", "labels": map[string]any{"pod-security.kubernetes.io/enforce": "restricted"},
				},
			}
			if diff := gocmp.Diff(want, raw(t, build(t, "overlays/"+entry.Name()))); diff != "" {
				t.Errorf("not what the base and the documents say (-want +got):\n%s", diff)
			}
		})
	}
}

// build runs kubectl on a folder with a kustomization.
func build(t *testing.T, dir string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "kubectl", "kustomize", dir)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kubectl kustomize %s: %v: %s", dir, err, stderr.Bytes())
	}
	return out
}

func rendered(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("base/sigilo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// raw reads all of each object, by its kind and name.
func raw(t *testing.T, data []byte) map[string]map[string]any {
	t.Helper()
	all := make(map[string]map[string]any)
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var o map[string]any
		err := dec.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if o == nil {
			continue
		}
		key := o["kind"].(string) + " " + o["metadata"].(map[string]any)["name"].(string)
		if all[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		all[key] = o
	}
}

// kindPort is the port of the node that k8s/kind.yaml makes one of this machine.
func kindPort(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile("kind.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cluster struct {
		Nodes []struct {
			Mappings []struct {
				ContainerPort int    `yaml:"containerPort"`
				HostPort      int    `yaml:"hostPort"`
				Address       string `yaml:"listenAddress"`
			} `yaml:"extraPortMappings"`
		}
	}
	if err := yaml.Unmarshal(data, &cluster); err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, node := range cluster.Nodes {
		for _, m := range node.Mappings {
			if m.HostPort != m.ContainerPort || m.Address != "127.0.0.1" {
				t.Errorf("node port %d is %s:%d", m.ContainerPort, m.Address, m.HostPort)
			}
			found = append(found, m.ContainerPort)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d ports are mapped, want 1", len(found))
	}
	return found[0]
}
