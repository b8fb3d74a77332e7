package dms

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/wire"
)

func TestSurplus(t *testing.T) {
	tests := []struct{ own, total, n, want int }{
		{100, 100, 1, 0}, // alone
		{100, 100, 2, 25},
		{60, 100, 2, 10},
		{55, 100, 2, 0}, // within a tenth
		{2, 2, 2, 0},    // one more is no surplus
		{0, 100, 2, 0},
		{50, 0, 2, 12}, // the others do not know of our sessions yet
	}
	for _, tt := range tests {
		if got := surplus(tt.own, tt.total, tt.n); got != tt.want {
			t.Errorf("surplus(%d of %d, %d replicas) = %d, want %d", tt.own, tt.total, tt.n, got, tt.want)
		}
	}
}

// Rounds of letting go end near the fair share, wherever the sessions begin.
func TestRoundsConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		held := rapid.SliceOfN(rapid.IntRange(0, 1000), 2, 8).Draw(t, "sessions of each replica")
		total := 0
		for _, n := range held {
			total += n
		}
		for range 60 {
			gone := 0
			for i := range held {
				n := surplus(held[i], total, len(held))
				held[i] -= n
				gone += n
			}
			for i := range gone { // a balancer that deals them out in turn
				held[i%len(held)]++
			}
		}
		fair := (total + len(held) - 1) / len(held)
		for _, n := range held {
			if n > fair+max(1, fair/10)+len(held) {
				t.Fatalf("a replica ends with %d, and the fair share is %d: %v", n, fair, held)
			}
		}
	})
}

// A server with a metrics page says how many sessions it holds.
func metricsPage(t *testing.T, sessions ...int) string {
	t.Helper()
	page := "# TYPE sigilo_sessions gauge\n"
	for i, n := range sessions {
		page += fmt.Sprintf("sigilo_sessions{mode=\"m%d\"} %d\n", i, n)
	}
	return serve(t, http.StatusOK, page+"sigilo_sessions_other 9\n")
}

func serve(t *testing.T, status int, page string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, page)
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// crowded is a replica with n connections inside.
func crowded(t *testing.T, n int) (*server, []*conn) {
	t.Helper()
	s := &server{ctx: t.Context(), door: newDoor(Config{MaxSessions: n}), trust: &trust{http: http.DefaultClient}}
	conns := make([]*conn, n)
	for i := range conns {
		conns[i] = s.newConn()
		if err := s.door.enter(conns[i], "192.0.2.1"); err != nil {
			t.Fatal(err)
		}
	}
	return s, conns
}

// told counts the connections that were asked to go.
func told(conns []*conn) (n int) {
	for _, c := range conns {
		if c.life.leaving == wire.ReasonRebalancing {
			n++
		}
	}
	return n
}

func TestRebalanceLetsTheSurplusGo(t *testing.T) {
	s, conns := crowded(t, 40)
	peers := []string{metricsPage(t, 30, 10), metricsPage(t, 0)}
	if err := s.rebalanceOver(t.Context(), peers, 0); err != nil {
		t.Fatal(err)
	}
	if n := told(conns); n != 10 {
		t.Errorf("%d of 40 connections were told to go, want a quarter", n)
	}
}

func TestRebalanceNeedsEveryAnswer(t *testing.T) {
	for name, peer := range map[string]string{
		"away":       "127.0.0.1:1",
		"not well":   serve(t, http.StatusInternalServerError, ""),
		"not a page": serve(t, http.StatusOK, "sigilo_sessions{mode=\"a\"} many\n"),
	} {
		s, conns := crowded(t, 40)
		if err := s.rebalanceOver(t.Context(), []string{metricsPage(t, 40), peer}, 0); err == nil {
			t.Errorf("%s: no error", name)
		}
		if n := told(conns); n != 0 {
			t.Errorf("%s: %d connections were told to go", name, n)
		}
	}
}
