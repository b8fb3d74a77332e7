package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// saved writes an image of random bytes as docker save does.
func saved(t *testing.T, dir, tag string) string {
	t.Helper()
	image, err := random.Image(1<<18, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "saved.tar")
	if err := tarball.WriteToFile(path, ref, image); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPackAndCheck(t *testing.T) {
	dir := t.TempDir()
	in, out, again := saved(t, dir, "sigilo-ca:1.2.3"), filepath.Join(dir, "a.tar"), filepath.Join(dir, "b.tar")
	for _, path := range []string{out, again} {
		if err := run([]string{"pack", in, "sigilo-ca:1.2.3", path}, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	if err := run([]string{"check", out, again}, &said); err != nil || !bytes.Contains(said.Bytes(), []byte("whole: sigilo-ca:1.2.3 sha256:")) {
		t.Fatalf("%s %v", said.String(), err)
	}
	a, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("the same image gives other bytes")
	}
	// The layer is nearly all of it: a flipped bit in the middle is in that.
	a[len(a)/2] ^= 1
	if err := os.WriteFile(out, a, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := check(out); err == nil {
		t.Error("a changed archive passes for a whole one")
	}
}

func TestCheckRefuses(t *testing.T) {
	dir := t.TempDir()
	in := saved(t, dir, "sigilo-ca:1.2.3") // no layout, though a tar
	for _, path := range []string{in, filepath.Join(dir, "nowhere"), "main_test.go"} {
		if _, err := check(path); err == nil {
			t.Errorf("%s passes for an OCI archive", path)
		}
	}
	if err := run([]string{"pack", in, "sigilo-ca:9.9.9", filepath.Join(dir, "out")}, io.Discard); err == nil {
		t.Error("a tag that is not there is packed")
	}
	if err := run(nil, io.Discard); err == nil {
		t.Error("no arguments are taken")
	}
}
