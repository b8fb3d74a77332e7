package tsa

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

func itoa(at auction.Time) string { return strconv.FormatInt(int64(at), 10) }

// asOperator posts and returns the time in the answer.
func asOperator(t *testing.T, s *service, path, body string) auction.Time {
	t.Helper()
	status, _, answer := do(t, http.MethodPost, s.public+path, map[string]string{"Authorization": "Bearer " + operatorToken}, []byte(body))
	var got timeBody
	if err := wire.Unmarshal(answer, &got); status != http.StatusOK || err != nil {
		t.Fatalf("%s: %d %s", path, status, answer)
	}
	return got.Time
}

func TestSimulatedTime(t *testing.T) {
	h := newHouse(t).simulated(t)
	begin := time.Now()
	var elapsed atomic.Int64
	h.cfg.Now = func() time.Time { return begin.Add(time.Duration(elapsed.Load())) }
	var log bytes.Buffer
	h.cfg.Log = ops.NewLogger(&lockedWriter{w: &log}, h.cfg.LogLevel)
	s := h.start(t)
	c := h.client(t, s, tsp.SimulatedTime)
	now := auction.TimeOf(begin)
	clock := tsp.NewClock(c, func() time.Duration { return time.Duration(elapsed.Load()) }, true)
	wantClock := func(want auction.Time) {
		t.Helper()
		if err := clock.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Two tokens never have the same time, so a clock that stands still is
		// some microseconds behind them.
		if got, err := clock.Now(); err != nil || got < want || got > want+10 {
			t.Fatalf("got %d, %v, want %d", got, err, want)
		}
	}
	wantClock(now)

	hour := now.Add(time.Hour)
	if got := asOperator(t, s, "/api/settime", `{"time":`+itoa(hour)+`}`); got != hour {
		t.Fatalf("set to %d, not %d", got, hour)
	}
	wantClock(hour)
	elapsed.Add(int64(time.Minute)) // time goes on from there
	wantClock(hour.Add(time.Minute))
	if status, _, body := do(t, http.MethodPost, s.public+"/api/settime",
		map[string]string{"Authorization": "Bearer " + operatorToken}, []byte(`{"time":`+itoa(hour)+`}`)); status != http.StatusBadRequest {
		t.Fatalf("went backwards: %d %s", status, body)
	}
	asOperator(t, s, "/api/settime", `{"time":`+itoa(hour.Add(time.Hour))+`}`)
	wantClock(hour.Add(time.Hour))

	if got := asOperator(t, s, "/api/resettime", ""); got != now.Add(time.Minute) {
		t.Fatalf("reset to %d, not %d", got, now.Add(time.Minute))
	}
	wantClock(now.Add(time.Minute))

	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(log.Bytes(), []byte(operatorToken)) || !bytes.Contains(log.Bytes(), []byte("simulated time set")) {
		t.Errorf("log: %s", log.Bytes())
	}
}

// Simulated stamps are under their own policy and certificate, and count nowhere
// else.
func TestSimulatedStampsAreNotReal(t *testing.T) {
	h := newHouse(t).simulated(t)
	s := h.start(t)
	stampedNow(t, h.client(t, s, tsp.SimulatedTime))
	_, err := tsp.NewAuthority(h.pinned(tsp.RealTime))
	if auction.CodeOf(err) != auction.CodeBadCertificate {
		t.Fatalf("pinned for real time: %v", err)
	}
	// Even with a real certificate for the very key of the simulated authority.
	h.certify(t, false)
	_, _, err = h.client(t, s, tsp.RealTime).Stamp(t.Context(), [32]byte{1})
	var failure *tsp.Failure
	if auction.CodeOf(err) != auction.CodeUnavailable || !errors.As(err, &failure) || failure.Info != tsp.UnacceptedPolicy {
		t.Fatalf("stamped: %v", err)
	}
}

// Stamps, moves and resets at once: every answer is a good token, or says that
// the time is not available.
func TestSimulatedTimeIsConcurrent(t *testing.T) {
	h := newHouse(t).simulated(t)
	s := h.start(t)
	c := h.client(t, s, tsp.SimulatedTime)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				if _, _, err := c.Stamp(t.Context(), [32]byte{1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 10 {
		asOperator(t, s, "/api/settime", `{"time":`+itoa(auction.TimeOf(time.Now().Add(time.Duration(i+1)*time.Hour)))+`}`)
		asOperator(t, s, "/api/resettime", "")
	}
	wg.Wait()
}

// lockedWriter is a log that a test reads while nothing writes to it any more.
type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
