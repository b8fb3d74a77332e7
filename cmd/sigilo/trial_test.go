package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/services/allinone"
)

func TestTrialHolds(t *testing.T) {
	good := trialReport{
		Accepted: 5, Audited: 5, TieKeptEarliest: true, WinnerIsHighest: true, EvidenceValid: true,
		Disclosed: allinone.Disclosed{SellerSaw: "ana", WinnerSaw: "seller"},
	}
	if err := good.holds(); err != nil {
		t.Errorf("a good trial: %v", err)
	}
	for name, spoil := range map[string]func(*trialReport){
		"a lost bid":         func(r *trialReport) { r.Lost = 1 },
		"a doubled bid":      func(r *trialReport) { r.Audited++ },
		"an unanswered bid":  func(r *trialReport) { r.Unconfirmed = 1 },
		"the later stamp":    func(r *trialReport) { r.TieKeptEarliest = false },
		"another winner":     func(r *trialReport) { r.WinnerIsHighest = false },
		"a blind seller":     func(r *trialReport) { r.Disclosed.SellerSaw = "" },
		"a blind winner":     func(r *trialReport) { r.Disclosed.WinnerSaw = "" },
		"evidence of little": func(r *trialReport) { r.EvidenceValid = false },
	} {
		report := good
		spoil(&report)
		if err := report.holds(); exitOf(err) != exitRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A bidder is told of trouble by every answer but a receipt and a higher bid.
func TestTrialCountsTroubles(t *testing.T) {
	for _, code := range auction.Codes() {
		report := trialReport{Refused: make(map[auction.Code]int)}
		report.answer(fmt.Errorf("bid: %w", auction.Refuse(code, "")))
		want := 1
		if code == auction.CodeBidTooLow {
			want = 0
		}
		if report.Troubles != want || report.Refused[code] != 1 || report.Accepted != 0 {
			t.Errorf("%s: %d troubles, want %d, of %+v", code, report.Troubles, want, report)
		}
	}
	report := trialReport{Refused: make(map[auction.Code]int)}
	report.answer(nil)
	report.answer(context.DeadlineExceeded)
	if report.Accepted != 1 || report.Troubles != 1 || len(report.Refused) != 0 {
		t.Errorf("a receipt and no answer: %+v", report)
	}
}

// The operator repeats what the house could not answer, as a failover leaves it,
// and takes a no for an answer.
func TestTrialRepeatsOrders(t *testing.T) {
	const (
		unknown = `{"code":"unknown_result","detail":"send the same again"}`
		away    = `{"code":"unavailable","detail":"no store just now"}`
		no      = `{"code":"not_allowed","detail":"this needs the operator's token"}`
	)
	for name, tt := range map[string]struct {
		answers []func(http.ResponseWriter) // the last is given again and again
		calls   int
		want    auction.Code
	}{
		"no result":     {answers: []func(http.ResponseWriter){status(503, unknown), status(204, "")}, calls: 2},
		"not available": {answers: []func(http.ResponseWriter){status(503, away), status(503, away), status(204, "")}, calls: 3},
		"no replica":    {answers: []func(http.ResponseWriter){status(502, "bad gateway"), status(204, "")}, calls: 2},
		"a lost answer": {answers: []func(http.ResponseWriter){lost, status(204, "")}, calls: 2},
		"a refusal":     {answers: []func(http.ResponseWriter){status(403, no)}, calls: 1, want: auction.CodeNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var bodies []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || r.URL.Path != "/api/audits" || r.Header.Get("Authorization") != "Bearer secret" {
					t.Errorf("%s %s: %v", r.Method, r.URL, err)
				}
				mu.Lock()
				defer mu.Unlock()
				bodies = append(bodies, string(body))
				tt.answers[min(len(bodies), len(tt.answers))-1](w)
			}))
			defer server.Close()
			trial := trial{house: client.House{CA: server.URL, DMS: []string{server.URL}}, id: "3f2a91c0-4a55-4a0b-9d1c-5f0e3a9b6d21"}
			if err := trial.operate(&app{globals: &globals{}}, "secret"); err != nil {
				t.Fatal(err)
			}
			if err := trial.approve(t.Context(), auction.Hash{1}); auction.CodeOf(err) != tt.want {
				t.Errorf("got %v, want the code %q", err, tt.want)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(bodies) != tt.calls || len(slices.Compact(bodies)) != 1 {
				t.Errorf("%d calls, want %d of one body: %q", len(bodies), tt.calls, bodies)
			}
		})
	}
}

func status(code int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

// lost ends the connection instead of an answer.
func lost(http.ResponseWriter) { panic(http.ErrAbortHandler) }

func TestTrialNeedsItsFiles(t *testing.T) {
	for _, args := range [][]string{{"trial"}, {"trial", "--house", "x"}} {
		if exit, _, _ := sigilo(t, args...); exit != exitUsage {
			t.Errorf("%q: exit status %d", args, exit)
		}
	}
	if exit, _, _ := sigilo(t, "trial", "--house", "nowhere", "--operator-token", "nowhere"); exit != exitLocal {
		t.Errorf("no file: exit status %d", exit)
	}
}
