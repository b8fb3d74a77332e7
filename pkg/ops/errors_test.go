package ops

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestEveryCodeHasAStatus(t *testing.T) {
	for _, code := range auction.Codes() {
		status := HTTPStatus(code)
		if status < 400 || status > 599 {
			t.Errorf("%s: status %d is no error", code, status)
		}
		// 500 is what a code that the map forgot would get.
		if isInternal := code == auction.CodeInternal; (status == http.StatusInternalServerError) != isInternal {
			t.Errorf("%s: status %d", code, status)
		}
		if code.Temporary() && status != http.StatusTooManyRequests && status < 500 {
			t.Errorf("%s may succeed when sent again, and status %d says that it cannot", code, status)
		}
	}
	if got := HTTPStatus("no_such_code"); got != http.StatusInternalServerError {
		t.Errorf("a foreign code: status %d", got)
	}
}

func TestWriteError(t *testing.T) {
	tooLow := auction.Refuse(auction.CodeBidTooLow, "bid at least 12.00")
	tooLow.Least = 9007199254740991
	const secret = "redis at 10.1.2.3 refused password hunter2"
	tests := []struct {
		name   string
		err    error
		status int
		body   string
		header map[string]string
		logged string
	}{
		{
			name: "refusal", err: auction.Refuse(auction.CodeBadRequest, "no body"),
			status: 400, body: `{"code":"bad_request","detail":"no body"}`,
		},
		{
			name: "wrapped refusal", err: fmt.Errorf("place: %w", tooLow),
			status: 409, body: `{"code":"bid_too_low","detail":"bid at least 12.00","least":9007199254740991}`,
		},
		{
			name: "unauthorized names its scheme", err: auction.Refuse(auction.CodeTokenExpired, "get a new one"),
			status: 401, body: `{"code":"token_expired","detail":"get a new one"}`,
			header: map[string]string{"WWW-Authenticate": `Bearer realm="sigilo"`},
		},
		{
			name: "temporary", err: auction.Refuse(auction.CodeUnavailable, ""),
			status: 503, body: `{"code":"unavailable","detail":""}`,
			header: map[string]string{"Retry-After": "1"},
		},
		{
			name: "foreign error", err: errors.New(secret),
			status: 500, body: `{"code":"internal","detail":"the service failed; its operator can see why"}`,
			logged: secret,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var logged bytes.Buffer
			rec := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, "/api/issue", nil)
			WriteError(rec, r, NewLogger(&logged, slog.LevelInfo), tt.err)

			if rec.Code != tt.status || rec.Body.String() != tt.body {
				t.Errorf("got %d %s\nwant %d %s", rec.Code, rec.Body, tt.status, tt.body)
			}
			want := map[string]string{
				"Content-Type": "application/json", "Cache-Control": "no-store",
				"WWW-Authenticate": "", "Retry-After": "",
			}
			for k, v := range tt.header {
				want[k] = v
			}
			for k, v := range want {
				if got := rec.Header().Get(k); got != v {
					t.Errorf("%s: got %q, want %q", k, got, v)
				}
			}
			if tt.logged == "" && logged.Len() > 0 {
				t.Errorf("a refusal was logged: %s", &logged)
			}
			if !strings.Contains(logged.String(), tt.logged) {
				t.Errorf("log %s lacks the reason", &logged)
			}
		})
	}
}

func TestLogger(t *testing.T) {
	var buf bytes.Buffer
	log := NewLogger(&buf, slog.LevelInfo)
	log.Debug("dropped")
	log.Info("kept", slog.Int("n", 7))
	var line struct {
		Msg   string
		Level string
		N     int
	}
	if err := json.Unmarshal(buf.Bytes(), &line); err != nil {
		t.Fatalf("not one JSON object: %v in %s", err, &buf)
	}
	if line.Msg != "kept" || line.Level != "INFO" || line.N != 7 {
		t.Errorf("got %+v", line)
	}
}
