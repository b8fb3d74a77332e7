package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/ops"
)

func TestRefusals(t *testing.T) {
	const id = "2aa873db-3f68-4059-a782-766bbc6ca10c"
	for _, args := range []string{
		"", "serve", "serve --house demo", "start", "rebuild", "rebuild --house demo not-an-auction",
		"rebuild --house demo --all " + id, "rebuild --house demo --redis-url http://x " + id,
	} {
		if err := run(t.Context(), strings.Fields(args)); err == nil || errors.Is(err, ops.ErrHelp) {
			t.Errorf("dms %s: %v", args, err)
		}
	}
	if err := run(t.Context(), []string{"rebuild", "--help"}); !errors.Is(err, ops.ErrHelp) {
		t.Errorf("dms rebuild --help: %v", err)
	}
}
