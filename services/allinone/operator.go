package allinone

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// waitReady waits until every service says that it is ready.
func (h *House) waitReady() error {
	ctx, cancel := context.WithTimeout(h.ctx, readyTimeout)
	defer cancel()
	for _, metrics := range h.Ready.Metrics {
		for {
			body, err := get(ctx, readyPath(metrics))
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("not ready in time: %s: %w", bytes.TrimSpace(body), ctx.Err())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return call(req)
}

func call(req *http.Request) ([]byte, error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s answered %s: %s", req.URL.Path, res.Status, bytes.TrimSpace(body))
	}
	return body, err
}

// operate makes a call as the house's operator.
func (h *House) operate(ctx context.Context, url string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+h.Ready.OperatorToken)
	req.Header.Set("Content-Type", "application/json")
	data, err := call(req)
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(data, answer)
}

// Invite makes a one-time code with which somebody enrols under a name. role is
// "participant" or "auditor".
func (h *House) Invite(ctx context.Context, username string, attributes map[string]string, role string) (string, error) {
	var answer struct {
		Invite string `json:"invite"`
	}
	err := h.operate(ctx, h.Ready.CA+"/api/invites", struct {
		Username   string            `json:"username"`
		Attributes map[string]string `json:"attributes,omitempty"`
		Role       string            `json:"role"`
	}{username, attributes, role}, &answer)
	return answer.Invite, err
}

// SetTime moves the simulated time of every authority forward to t.
func (h *House) SetTime(ctx context.Context, t auction.Time) error {
	for _, url := range h.Ready.TSA {
		if err := h.operate(ctx, url+"/api/settime", map[string]any{"time": int64(t)}, nil); err != nil {
			return err
		}
	}
	return nil
}

// ApproveAudit lets an auditor see the private parts of an auction.
func (h *House) ApproveAudit(ctx context.Context, id auction.ID, auditor auction.Hash) error {
	return h.operate(ctx, h.Ready.DMS[0]+"/api/audits", map[string]any{"auction": id, "auditor": auditor}, nil)
}

// Resume lets an auction go on that was suspended since entries were lost.
func (h *House) Resume(ctx context.Context, id auction.ID) error {
	return h.operate(ctx, h.Ready.DMS[0]+"/api/resume", map[string]any{"auction": id}, nil)
}
