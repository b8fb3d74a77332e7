package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Programs of others that are measured beside ours: packages of the module in
// bench/peers, which pins their versions.
const (
	stepCA          = "./stepca"
	timestampServer = "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server"
)

// buildPeer builds a program of the module in a folder into dir, and returns its
// path; "" without a module.
func buildPeer(ctx context.Context, module, program, dir string) (string, error) {
	if module == "" {
		return "", nil
	}
	if _, err := os.Stat(filepath.Join(module, "go.mod")); err != nil {
		return "", fmt.Errorf("find the module of the peers, which is in a checkout's bench/peers: %w", err)
	}
	path := filepath.Join(dir, "peer")
	build := exec.CommandContext(ctx, "go", "build", "-o", path, program)
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the peer %s: %w", program, errors.Join(err, errors.New(string(bytes.TrimSpace(out)))))
	}
	return path, nil
}
