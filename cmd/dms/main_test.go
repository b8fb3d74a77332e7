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
		"archive", "archive --house demo --root r --log-key k --dir d --after 1h", "archive --house demo --root none --log-key k --dir d",
	} {
		if err := run(t.Context(), strings.Fields(args)); err == nil || errors.Is(err, ops.ErrHelp) {
			t.Errorf("dms %s: %v", args, err)
		}
	}
	for _, command := range []string{"serve", "rebuild", "archive"} {
		if err := run(t.Context(), []string{command, "--help"}); !errors.Is(err, ops.ErrHelp) {
			t.Errorf("dms %s --help: %v", command, err)
		}
	}
}
