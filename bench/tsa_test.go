package bench

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/services/ca"
)

// The generator takes our stamps, counts each once, and notices when there is none.
func TestStampGenerator(t *testing.T) {
	dir := t.TempDir()
	if err := ca.Bootstrap(dir, ca.BootstrapConfig{House: bidHouse, Authorities: []string{bidAuthority}, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	key, certificate := ca.TSAFiles(bidAuthority, false)
	stamper, err := newBenchStamper(filepath.Join(dir, key), filepath.Join(dir, certificate))
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(stamper)
	t.Cleanup(web.Close)
	s := &server{name: "ours", url: web.URL, pid: os.Getpid()}
	if err := s.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	var sum stamped
	if err := s.stamp(t.Context(), 3, 50*time.Millisecond, &sum); err != nil {
		t.Fatal(err)
	}
	if sum.count == 0 || sum.failed != 0 || sum.took < 50*time.Millisecond || sum.latency.max() == 0 {
		t.Errorf("%d stamps, %d failed, in %v", sum.count, sum.failed, sum.took)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"a refusal": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"no stamp":  func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", tsp.ReplyType) },
	} {
		other := httptest.NewServer(handler)
		t.Cleanup(other.Close)
		if err := ask(t.Context(), http.DefaultClient, other.URL, []byte{0x30, 0}); err == nil {
			t.Errorf("%s is taken for a stamp", name)
		}
	}
}
