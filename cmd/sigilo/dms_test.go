package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The operator saves the proofs that a house keeps, each once.
func TestSaveContradictions(t *testing.T) {
	proof, err := os.ReadFile("../../pkg/evidence/testdata/contradiction.evidence")
	if err != nil {
		t.Fatal(err)
	}
	answer := bytes.Repeat(proof, 2)
	dms := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/contradictions" || r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write(answer) // the test sees it
	}))
	t.Cleanup(dms.Close)
	dir := t.TempDir()
	token, out := filepath.Join(dir, "operator.token"), filepath.Join(dir, "proofs")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"dms", "contradictions", "--dms", dms.URL, "--operator-token", token, "-o", out}
	for range 2 {
		if exit, printed, errText := sigilo(t, args...); exit != exitDone || !strings.Contains(printed, "proofs/clock-1-") {
			t.Fatalf("exit status %d, printed %q, error %q", exit, printed, errText)
		}
	}
	files, err := filepath.Glob(filepath.Join(out, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, want 1: %v", len(files), err)
	}
	if saved, err := os.ReadFile(files[0]); err != nil || !bytes.Equal(saved, proof) {
		t.Errorf("the proof was not saved as it is: %v", err)
	}
	answer = []byte("{}\n")
	if exit, _, errText := sigilo(t, args...); exit != exitRefused || !strings.Contains(errText, "does not hold") {
		t.Errorf("something else than a proof: exit status %d, error %q", exit, errText)
	}
}
