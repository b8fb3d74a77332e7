package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/ca"
)

func TestBootstrapCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	args := []string{"bootstrap", "--house", "demo", "--dir", dir, "--authorities", "one,two"}
	for range 2 {
		if err := run(t.Context(), args); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, ca.FileRoot)); err != nil {
		t.Error(err)
	}
}

func TestRefusals(t *testing.T) {
	for _, args := range []string{
		"", "serve", "serve --house demo", "bootstrap", "bootstrap --house demo", "bootstrap --house Demo --authorities one --dir " + t.TempDir(),
		"start", "serve --mode oidc", "bootstrap --hause demo",
	} {
		if err := run(t.Context(), strings.Fields(args)); err == nil || errors.Is(err, ops.ErrHelp) {
			t.Errorf("ca %s: %v", args, err)
		}
	}
}
