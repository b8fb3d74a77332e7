package ops

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A running is a Server under test, on free ports.
type running struct {
	public, internal string // host:port
	stop             context.CancelFunc
	done             chan error // Serve's result
}

// start fills in what s lacks, runs it, and returns when it listens. The test's
// end stops it.
func start(t *testing.T, s Server) *running {
	t.Helper()
	s.Listen, s.Internal = "127.0.0.1:0", "127.0.0.1:0"
	if s.Handler == nil {
		s.Handler = http.NotFoundHandler()
	}
	if s.Registry == nil {
		s.Registry = Registry()
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	r := &running{done: make(chan error, 1)}
	listening := make(chan struct{})
	s.OnListen = func(public, internal net.Addr) {
		r.public, r.internal = public.String(), internal.String()
		close(listening)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.done <- Serve(ctx, s)
	}()
	t.Cleanup(func() { cancel(); <-stopped })
	select {
	case <-listening:
	case err := <-r.done:
		t.Fatalf("serve: %v", err)
	}
	return r
}

// get asks on a connection of its own, so that none lingers.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	status, body, err := tryGet(url)
	if err != nil {
		t.Fatal(err)
	}
	return status, body
}

func tryGet(url string) (int, string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// expect asks for address, host:port/path, and looks at the status.
func expect(t *testing.T, when, address string, want int) {
	t.Helper()
	if got, body := get(t, "http://"+address); got != want {
		t.Errorf("%s: %s answers %d %q, want %d", when, address, got, body, want)
	}
}

// An order notes what happened one after the other.
type order struct {
	mu     sync.Mutex
	events []string
}

func (o *order) add(event string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, event)
}

func TestGracefulStop(t *testing.T) {
	var happened order
	arrived, release := make(chan struct{}), make(chan struct{})
	draining, drained := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		happened.add("request answered")
		io.WriteString(w, "answered")
	})
	mux.HandleFunc("/quick", func(http.ResponseWriter, *http.Request) {})
	r := start(t, Server{
		Handler: mux,
		Drain: func(ctx context.Context) error {
			happened.add("drain began")
			close(draining)
			<-drained
			return ctx.Err()
		},
		Background: func(ctx context.Context) error {
			<-ctx.Done()
			happened.add("background ended")
			return ctx.Err()
		},
	})

	expect(t, "before the stop", r.internal+"/readyz", http.StatusOK)
	answer := make(chan string, 1)
	go func() {
		_, body, err := tryGet("http://" + r.public + "/slow")
		answer <- fmt.Sprint(body, err)
	}()
	<-arrived

	r.stop()
	expect(t, "while stopping", r.internal+"/readyz", http.StatusServiceUnavailable)
	expect(t, "while stopping", r.internal+"/healthz", http.StatusOK)
	<-draining
	expect(t, "while draining", r.public+"/quick", http.StatusOK)
	close(drained)
	close(release)
	if got := <-answer; got != "answered<nil>" {
		t.Errorf("request in flight: %s", got)
	}
	if err := <-r.done; err != nil {
		t.Errorf("serve: %v", err)
	}
	if want := []string{"drain began", "request answered", "background ended"}; !slices.Equal(happened.events, want) {
		t.Errorf("order %q, want %q", happened.events, want)
	}
	for _, addr := range []string{r.public, r.internal} {
		if conn, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after the stop: dial %v, %v", conn, err)
		}
	}
}

func TestReadiness(t *testing.T) {
	var mu sync.Mutex
	var cause error
	var logged bytes.Buffer
	r := start(t, Server{
		Log: NewLogger(&logged, slog.LevelInfo),
		Ready: func(ctx context.Context) error {
			if _, limited := ctx.Deadline(); !limited {
				return errors.New("no deadline")
			}
			mu.Lock()
			defer mu.Unlock()
			return cause
		},
	})
	for _, step := range []error{nil, errors.New("no trusted time"), errors.New("no trusted time"), nil} {
		mu.Lock()
		cause = step
		mu.Unlock()
		status, body := get(t, "http://"+r.internal+"/readyz")
		if step == nil && status != http.StatusOK {
			t.Errorf("ready: %d %s", status, body)
		}
		if step != nil && (status != http.StatusServiceUnavailable || !strings.Contains(body, step.Error())) {
			t.Errorf("not ready: %d %s", status, body)
		}
		expect(t, "ready or not", r.internal+"/healthz", http.StatusOK)
	}
	r.stop()
	<-r.done
	for msg, want := range map[string]int{`"not ready"`: 1, `"ready again"`: 1} {
		if got := strings.Count(logged.String(), msg); got != want {
			t.Errorf("logged %s %d times, want once a change", msg, got)
		}
	}
}

func TestInternalAndPublicAreApart(t *testing.T) {
	r := start(t, Server{})
	if status, body := get(t, "http://"+r.internal+"/metrics"); status != http.StatusOK || !strings.Contains(body, "go_goroutines") {
		t.Errorf("metrics: %d", status)
	}
	for _, path := range []string{"/metrics", "/readyz", "/healthz"} {
		expect(t, "public", r.public+path, http.StatusNotFound)
	}
}

func TestFailingBackgroundStopsTheServer(t *testing.T) {
	broken := errors.New("broken")
	for _, cause := range []error{broken, nil} {
		fail := make(chan error)
		r := start(t, Server{Background: func(context.Context) error { return <-fail }})
		fail <- cause
		err := <-r.done
		if err == nil {
			t.Errorf("work that returned %v passed for a clean stop", cause)
		}
		if cause != nil && !errors.Is(err, cause) {
			t.Errorf("got %v, want %v", err, cause)
		}
	}
}

func TestFailingDrainIsReported(t *testing.T) {
	stuck := errors.New("two sessions left")
	r := start(t, Server{Drain: func(context.Context) error { return stuck }})
	r.stop()
	if err := <-r.done; !errors.Is(err, stuck) {
		t.Errorf("got %v", err)
	}
}

func TestListenAllOrNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	s := Server{
		Config:  Config{Listen: free.Addr().String(), Internal: taken.Addr().String()},
		Handler: http.NotFoundHandler(), Registry: Registry(), Log: slog.New(slog.DiscardHandler),
	}
	if err := Serve(t.Context(), s); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v", err)
	}
	again, err := net.Listen("tcp", free.Addr().String())
	if err != nil {
		t.Fatalf("the public address stayed open: %v", err)
	}
	again.Close()
}

func TestTLS(t *testing.T) {
	cert, key, pool := selfSigned(t)
	r := start(t, Server{
		Config:  Config{TLSCert: cert, TLSKey: key},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }),
	})
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool},
	}}
	resp, err := client.Get("https://" + r.public)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "HTTP/1.1" || resp.TLS.Version != tls.VersionTLS13 {
		t.Errorf("got %s over TLS %x, %v", body, resp.TLS.Version, err)
	}
	expect(t, "plain HTTP on the TLS port", r.public, http.StatusBadRequest)
}

func selfSigned(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", keyDER), pool
}

// Time here is the bubble's own: nothing waits.
func TestStopTakesItsTimeAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Server{Config: Config{DrainDelay: 5 * time.Second}, Log: slog.New(slog.DiscardHandler)}
		began := time.Now()
		s.Drain = func(ctx context.Context) error {
			if got := time.Since(began); got != s.DrainDelay {
				t.Errorf("drain began after %v", got)
			}
			<-ctx.Done()
			return ctx.Err()
		}
		err := s.stopPublic(t.Context(), s.server(nil, t.Context()))
		if got := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || got != s.DrainDelay+stopTimeout {
			t.Errorf("ended after %v with %v", got, err)
		}
	})
}
