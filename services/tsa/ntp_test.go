package tsa

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/tsp"
)

// ntpServer speaks NTP (RFC 5905 7.3) over UDP, and is as far ahead of this machine as
// it is told.
type ntpServer struct {
	address string
	ahead   atomic.Int64 // nanoseconds
	silent  atomic.Bool
	leap    atomic.Int32 // 3: not synchronized
}

func startNTP(t *testing.T) *ntpServer {
	t.Helper()
	conn := must(net.ListenPacket("udp", "127.0.0.1:0"))(t)
	s := &ntpServer{address: conn.LocalAddr().String()}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			query := make([]byte, 512)
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			if n >= 48 && !s.silent.Load() {
				conn.WriteTo(s.answer(query), from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-ended })
	return s
}

func (s *ntpServer) answer(query []byte) []byte {
	now := time.Now().Add(time.Duration(s.ahead.Load()))
	at := func(t time.Time) uint64 {
		const epoch = 2_208_988_800 // 1970 in seconds of 1900
		return uint64(t.Unix()+epoch)<<32 | uint64(t.Nanosecond())<<32/1e9
	}
	out := make([]byte, 48)
	out[0] = byte(s.leap.Load())<<6 | query[0]&0x38 | 4 // the same version, a server
	out[1], out[2], out[3] = 2, 6, 0xec                 // stratum, poll, precision
	copy(out[12:], "TEST")
	binary.BigEndian.PutUint64(out[16:], at(now.Add(-time.Minute))) // set last
	copy(out[24:32], query[40:48])
	binary.BigEndian.PutUint64(out[32:], at(now))
	binary.BigEndian.PutUint64(out[40:], at(now))
	return out
}

func (s *ntpServer) set(ahead time.Duration) { s.ahead.Store(int64(ahead)) }

func testHealth(servers ...*ntpServer) (*health, *atomic.Int64, *atomic.Int64) {
	var stepped, passed atomic.Int64
	cfg := Config{Accuracy: 100 * time.Millisecond}
	for _, s := range servers {
		cfg.NTP = append(cfg.NTP, s.address)
	}
	now := func() time.Time { return time.Now().Add(time.Duration(stepped.Load() + passed.Load())) }
	h := newHealth(cfg, now, slog.New(slog.DiscardHandler), newNTPMetrics(prometheus.NewRegistry()))
	elapsed := h.elapsed
	h.elapsed = func() time.Duration { return elapsed() + time.Duration(passed.Load()) }
	return h, &stepped, &passed
}

func TestHealth(t *testing.T) {
	a, b, c := startNTP(t), startNTP(t), startNTP(t)
	h, stepped, passed := testHealth(a, b, c)
	want := func(what string, want error) {
		t.Helper()
		if err := h.trusted(); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	want("not compared yet", errUnchecked)
	h.check(t.Context())
	want("all agree", nil)
	a.set(time.Hour)
	h.check(t.Context())
	want("one of three lies", nil)
	b.set(50 * time.Millisecond)
	c.silent.Store(true)
	h.check(t.Context())
	want("two answer, and disagree", errOff)
	a.set(0)
	b.leap.Store(3)
	h.check(t.Context())
	want("one that is good is too few, and the last answer counts", errOff)
	c.silent.Store(false)
	h.check(t.Context())
	want("two are good", nil)

	stepped.Store(int64(time.Second))
	want("the clock is set forward", errOff)
	stepped.Store(-int64(time.Second))
	want("the clock is set back", errOff)
	stepped.Store(int64(20 * time.Millisecond))
	want("the clock is adjusted a little", nil)
	stepped.Store(0)
	for _, s := range []*ntpServer{a, b, c} {
		s.silent.Store(true)
	}
	h.check(t.Context())
	want("nobody answers, for a while", nil)
	passed.Store(int64(checkLife))
	want("and then too long", errUnchecked)
}

// What the servers say decides whether anything is stamped.
func TestNTP(t *testing.T) {
	server := startNTP(t)
	server.set(time.Hour)
	h := newHouse(t)
	h.cfg.NTP = []string{server.address}
	var log bytes.Buffer
	h.cfg.Log = slog.New(slog.NewTextHandler(&lockedWriter{w: &log}, nil))
	s := h.start(t)
	query := must(must(tsp.NewRequest([32]byte{1}, tsp.RealTime, bytes.NewReader(make([]byte, 64))))(t).Marshal())(t)
	status, _, answer := do(t, http.MethodPost, s.public+"/api/timestamp", map[string]string{"Content-Type": tsp.QueryType}, query)
	if _, err := tsp.ParseResponse(answer); status != http.StatusOK || err == nil || !strings.Contains(err.Error(), tsp.TimeNotAvailable.String()) {
		t.Errorf("an hour off: status %d, %v", status, err)
	}
	if status, _, _ := do(t, http.MethodGet, s.internal+"/readyz", nil, nil); status != http.StatusServiceUnavailable {
		t.Errorf("ready: %d", status)
	}
	server.set(0)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s = h.start(t)
	for {
		if status, _, _ := do(t, http.MethodGet, s.internal+"/readyz", nil, nil); status == http.StatusOK {
			break
		}
	}
	stampedNow(t, h.client(t, s, tsp.RealTime))
	_, _, metrics := do(t, http.MethodGet, s.internal+"/metrics", nil, nil)
	if !strings.Contains(string(metrics), `sigilo_ntp_checks_total{result="good"} 1`) || !strings.Contains(string(metrics), "sigilo_ntp_offset_seconds") {
		t.Error("the comparison is not measured")
	}
}

func TestRate(t *testing.T) {
	h := newHouse(t)
	h.cfg.Rate = 0.1 // a burst of one
	s := h.start(t)
	for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		if status, _, _ := do(t, http.MethodPost, s.public+"/api/timestamp", map[string]string{"Content-Type": tsp.QueryType}, []byte("x")); status != want {
			t.Errorf("status %d, want %d", status, want)
		}
	}
}
