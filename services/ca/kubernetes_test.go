package ca

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/ops"
)

// fakeCluster is what the bootstrap uses of an API server: objects by path, with
// versions. The real one is in the test of the chart on a cluster.
type fakeCluster struct {
	mu       sync.Mutex
	objects  map[string]object
	restarts []string
	writes   int
	failAt   int // the write that fails; 0 is none
}

func newCluster() *fakeCluster { return &fakeCluster{objects: make(map[string]object)} }

func (f *fakeCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer account" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method != http.MethodGet {
		if f.writes++; f.writes == f.failAt {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
	}
	var in object
	if r.Method != http.MethodGet && json.NewDecoder(r.Body).Decode(&in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	old, there := f.objects[r.URL.Path]
	switch {
	case strings.Contains(r.URL.Path, "/deployments/"):
		f.restarts = append(f.restarts, r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:])
	case r.Method == http.MethodPost:
		path := r.URL.Path + "/" + in.Metadata.Name
		if _, there := f.objects[path]; there {
			w.WriteHeader(http.StatusConflict)
			return
		}
		in.Metadata.ResourceVersion = "1"
		f.objects[path] = in
	case !there:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodPatch && in.Metadata.ResourceVersion != old.Metadata.ResourceVersion:
		w.WriteHeader(http.StatusConflict)
	case r.Method == http.MethodPatch:
		old.Data = maps.Clone(old.Data)
		maps.Copy(old.Data, in.Data)
		old.Metadata.ResourceVersion += "1"
		f.objects[r.URL.Path] = old
	default:
		json.NewEncoder(w).Encode(old)
	}
}

// file returns one file of an object; its name is as in "secrets/sigilo-ca".
func (f *fakeCluster) file(t *testing.T, name, file string) []byte {
	t.Helper()
	o, ok := f.objects["/api/v1/namespaces/auctions/"+name]
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	data := []byte(o.Data[file])
	if o.Kind == "Secret" {
		var err error
		if data, err = base64.StdEncoding.DecodeString(o.Data[file]); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

func (f *fakeCluster) delete(name string) { delete(f.objects, "/api/v1/namespaces/auctions/"+name) }

func (f *fakeCluster) config(t *testing.T, now time.Time) KubernetesConfig {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	return KubernetesConfig{
		BootstrapConfig: BootstrapConfig{House: testHouse, Authorities: []string{"tsa1"}, Now: now},
		Name:            "sigilo", Redis: true,
		API: KubernetesAPI{
			URL: srv.URL, Namespace: "auctions", HTTP: srv.Client(),
			Token: func() (string, error) { return "account", nil },
		},
		Log: ops.NewLogger(&lockedBuffer{}, slog.LevelInfo),
	}
}

func bootstrapAt(t *testing.T, f *fakeCluster, now time.Time) {
	t.Helper()
	if err := BootstrapKubernetes(t.Context(), f.config(t, now)); err != nil {
		t.Fatal(err)
	}
}

func TestKubernetesKeepsEachServicesKeysApart(t *testing.T) {
	f := newCluster()
	bootstrapAt(t, f, epoch)
	want := map[string][]string{
		"secrets/sigilo-root":     {FileRootKey, FileRoot},
		"secrets/sigilo-ca":       {FileCertificate, FileKey, FileCredentialKey, FileTokenKey},
		"secrets/sigilo-dms":      {FileDMSKey, FileDMS, FileLogKey},
		"secrets/sigilo-operator": {FileOperatorToken},
		"secrets/sigilo-tsa1":     {"tsa-tsa1.key", "tsa-tsa1.pem"},
		"secrets/sigilo-redis":    {"password", "users.acl"},
		"configmaps/sigilo-trust": {FileLog, FilePolicy, FileRoot},
	}
	if len(f.objects) != len(want) {
		t.Errorf("%d objects, want %d", len(f.objects), len(want))
	}
	for name, files := range want {
		got := slices.Sorted(maps.Keys(f.objects["/api/v1/namespaces/auctions/"+name].Data))
		slices.Sort(files)
		if !slices.Equal(got, files) {
			t.Errorf("%s holds %v, want %v", name, got, files)
		}
	}
	if password := f.file(t, "secrets/sigilo-redis", "password"); bytes.Contains(f.file(t, "secrets/sigilo-redis", "users.acl"), password) {
		t.Error("Redis reads its users' password, not its hash")
	}
	if len(f.restarts) != 0 {
		t.Errorf("the first run restarts %v", f.restarts)
	}
}

func TestKubernetesChangesNothingThatIsThere(t *testing.T) {
	f := newCluster()
	bootstrapAt(t, f, epoch)
	before, writes := maps.Clone(f.objects), f.writes
	bootstrapAt(t, f, epoch.Add(24*time.Hour))
	if f.writes != writes {
		t.Errorf("%d writes in the second run", f.writes-writes)
	}
	for path, o := range before {
		if fmt.Sprint(f.objects[path]) != fmt.Sprint(o) {
			t.Errorf("%s changed", path)
		}
	}
}

// Whichever write fails, the next run goes on, and the keys belong together.
func TestKubernetesGoesOnAfterACrash(t *testing.T) {
	for at := 1; ; at++ {
		f := newCluster()
		f.failAt = at
		if err := BootstrapKubernetes(t.Context(), f.config(t, epoch)); err == nil {
			if at < 6 {
				t.Fatalf("only %d writes", at)
			}
			return
		}
		bootstrapAt(t, f, epoch)
	}
}

func TestKubernetesWorksWithoutTheRootsKey(t *testing.T) {
	f := newCluster()
	bootstrapAt(t, f, epoch)
	f.delete("secrets/sigilo-root")
	bootstrapAt(t, f, epoch)
	if _, there := f.objects["/api/v1/namespaces/auctions/secrets/sigilo-root"]; there {
		t.Error("the root's Secret was made anew")
	}
	before := f.file(t, "secrets/sigilo-dms", FileDMS)
	bootstrapAt(t, f, epoch.Add(serviceLife-renewBefore/2)) // it warns
	if !bytes.Equal(before, f.file(t, "secrets/sigilo-dms", FileDMS)) {
		t.Error("a certificate was replaced without the root's key")
	}
	f.delete("secrets/sigilo-dms")
	if err := BootstrapKubernetes(t.Context(), f.config(t, epoch)); err == nil {
		t.Error("a certificate was made without the root's key")
	}
}

func TestKubernetesRefusesStrangers(t *testing.T) {
	f := newCluster()
	bootstrapAt(t, f, epoch)
	other := newCluster()
	bootstrapAt(t, other, epoch)
	const path = "/api/v1/namespaces/auctions/secrets/sigilo-ca"
	f.objects[path] = other.objects[path]
	if err := BootstrapKubernetes(t.Context(), f.config(t, epoch)); err == nil {
		t.Error("it took the keys of another house")
	}

	cfg := f.config(t, epoch)
	cfg.Authorities = []string{"dms"}
	if err := BootstrapKubernetes(t.Context(), cfg); err == nil {
		t.Error("an authority has the broker's name")
	}
	cfg = f.config(t, epoch)
	cfg.API.Token = func() (string, error) { return "nobody", nil }
	if err := BootstrapKubernetes(t.Context(), cfg); err == nil || errors.Is(err, errNoObject) {
		t.Errorf("without rights: %v", err)
	}
}

func TestKubernetesTakesOtherNames(t *testing.T) {
	f := newCluster()
	cfg := f.config(t, epoch)
	cfg.Secrets = map[string]string{partCA: "ours"}
	if err := BootstrapKubernetes(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	f.file(t, "secrets/ours", FileKey)
}

// A time authority's certificate is listed long before it is used, and the keys
// stay the same all the time.
func TestRenewal(t *testing.T) {
	f := newCluster()
	bootstrapAt(t, f, epoch)
	keys := [][]byte{f.file(t, "secrets/sigilo-tsa1", "tsa-tsa1.key"), f.file(t, "secrets/sigilo-dms", FileDMSKey)}
	first := f.file(t, "secrets/sigilo-tsa1", "tsa-tsa1.pem")
	dms := f.file(t, "secrets/sigilo-dms", FileDMS)

	end := epoch.Add(serviceLife)
	var listedAt, usedAt time.Time
	for day := epoch; day.Before(end); day = day.Add(7 * 24 * time.Hour) {
		bootstrapAt(t, f, day)
		policy := must[auction.Policy](t)(auction.ParsePolicy(f.file(t, "configmaps/sigilo-trust", FilePolicy)))
		if len(policy.Authorities[0].Certificates) == 2 && listedAt.IsZero() {
			listedAt = day
		}
		now := f.file(t, "secrets/sigilo-tsa1", "tsa-tsa1.pem")
		if !bytes.Equal(now, first) && usedAt.IsZero() {
			usedAt = day
			leaf := must[[][]byte](t)(identity.ParseChain(now))[0]
			if !slices.ContainsFunc(policy.Authorities[0].Certificates, func(b auction.Blob) bool { return bytes.Equal(b, leaf) }) {
				t.Error("the certificate in use is not in the policy")
			}
		}
	}
	const longestAuction = 90 * 24 * time.Hour
	if listedAt.IsZero() || usedAt.IsZero() || usedAt.Sub(listedAt) < longestAuction {
		t.Errorf("listed %v, used %v: auctions of the old policy may still be open", listedAt, usedAt)
	}
	if bytes.Equal(dms, f.file(t, "secrets/sigilo-dms", FileDMS)) {
		t.Error("the broker's certificate was not replaced")
	}
	after := [][]byte{f.file(t, "secrets/sigilo-tsa1", "tsa-tsa1.key"), f.file(t, "secrets/sigilo-dms", FileDMSKey)}
	if !slices.EqualFunc(keys, after, bytes.Equal) {
		t.Error("a key changed")
	}
	if n := len(f.restarts); n < 3 || n > 6 || !slices.Contains(f.restarts, "sigilo-tsa1") || !slices.Contains(f.restarts, "sigilo-dms") {
		t.Errorf("restarted: %v", f.restarts)
	}
}

func TestRenewalAddsAuthorities(t *testing.T) {
	f := newCluster()
	bootstrapAt(t, f, epoch)
	cfg := f.config(t, epoch)
	cfg.Authorities = []string{"tsa1", "tsa2", "tsa3", "tsa4"}
	if err := BootstrapKubernetes(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	policy := must[auction.Policy](t)(auction.ParsePolicy(f.file(t, "configmaps/sigilo-trust", FilePolicy)))
	if len(policy.Authorities) != 4 || policy.Quorum != 3 {
		t.Errorf("%d authorities, quorum %d", len(policy.Authorities), policy.Quorum)
	}
	if !slices.Equal(f.restarts, []string{"sigilo-dms"}) {
		t.Errorf("restarted: %v", f.restarts)
	}
}
