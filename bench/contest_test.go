package bench

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/services/ca"
)

// here is a server in this process.
func here(url string) *server { return &server{name: "ours", url: url, pid: os.Getpid()} }

func bootstrap(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := ca.Bootstrap(dir, ca.BootstrapConfig{House: bidHouse, Authorities: []string{bidAuthority}, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The generator takes our stamps, counts each once, and notices when there is none.
func TestStampJob(t *testing.T) {
	dir := bootstrap(t)
	key, certificate := ca.TSAFiles(bidAuthority, false)
	stamper, err := newBenchStamper(filepath.Join(dir, key), filepath.Join(dir, certificate))
	if err != nil {
		t.Fatal(err)
	}
	bodies, err := newQueries()
	if err != nil {
		t.Fatal(err)
	}
	const d = 50 * time.Millisecond
	web := httptest.NewServer(stamper)
	t.Cleanup(web.Close)
	var sum done
	if err := here(web.URL).work(t.Context(), 3, stampJob(bodies, d), &sum); err != nil {
		t.Fatal(err)
	}
	if sum.count == 0 || sum.took < d || sum.latency.max() == 0 {
		t.Errorf("%d stamps in %v", sum.count, sum.took)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"a refusal": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"no stamp":  func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", tsp.ReplyType) },
	} {
		other := httptest.NewServer(handler)
		t.Cleanup(other.Close)
		if err := here(other.URL).work(t.Context(), 3, stampJob(bodies, d), new(done)); err == nil {
			t.Errorf("%s is taken for a stamp", name)
		}
	}
}

// Each newcomer gets one certificate of our CA, and one alone; an answer of the
// peer's is not taken for ours.
func TestCertificateJobs(t *testing.T) {
	const certificates = 9
	newcomers, err := newRequests(certificates, 0)
	if err != nil {
		t.Fatal(err)
	}
	url, token := startOwnCA(t)
	kind := ours(url, token)
	job, err := kind.job(t.Context(), newcomers)
	if err != nil {
		t.Fatal(err)
	}
	server := here(url + "/api/sign-csr")
	var sum done
	if err := server.work(t.Context(), 4, job, &sum); err != nil {
		t.Fatal(err)
	}
	if sum.count != certificates || sum.cpuEach() < 0 || sum.rate() <= 0 {
		t.Errorf("%d certificates, want %d", sum.count, certificates)
	}
	if err := server.work(t.Context(), 4, job, new(done)); err == nil {
		t.Error("an invite was good twice")
	}
	const answer = `{"crt":"PEM","ca":"PEM","certChain":["PEM","PEM"]}`
	if err := peers("").look([]byte(answer)); err != nil {
		t.Error(err)
	}
	if kind.look([]byte(answer)) == nil || peers("").look([]byte(`{}`)) == nil {
		t.Error("an answer without a certificate is taken for one")
	}
}

// startOwnCA runs a CA for as long as the test, and returns its URL and its operator's
// token.
func startOwnCA(t *testing.T) (url, token string) {
	t.Helper()
	listening := make(chan string, 1)
	cfg := ca.Config{House: bidHouse, Mode: ca.ModeInvite, CertificateLife: time.Hour}.WithFiles(bootstrap(t))
	secret, err := os.ReadFile(cfg.OperatorToken)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listen, cfg.Internal = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Registry = filepath.Join(t.TempDir(), "registry.db")
	cfg.OnListen = func(public, _ string) { listening <- public }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ca.Run(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case address := <-listening:
		return "http://" + address, string(secret)
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
		return "", ""
	}
}

func TestContestIsChecked(t *testing.T) {
	for name, connections := range map[string][]int{"none": nil, "no connection": {0}, "too many": {1, 2000}} {
		if _, err := newContest("stamps", connections, 1, nil); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := newContest("stamps", []int{1}, 0, nil); err == nil {
		t.Error("no rounds are taken")
	}
}

// A peer that cannot be built says so, and one that is not wanted is no error.
func TestBuildPeer(t *testing.T) {
	if path, err := buildPeer(t.Context(), "", stepCA, t.TempDir()); path != "" || err != nil {
		t.Errorf("got %q, %v", path, err)
	}
	if _, err := buildPeer(t.Context(), t.TempDir(), stepCA, t.TempDir()); err == nil || !strings.Contains(err.Error(), "bench/peers") {
		t.Errorf("got %v", err)
	}
}
