package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain runs the program itself where a test calls it by its name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "ca" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// What the operations manual says about keys works as it stands there, block by
// block, with openssl as a judge.
func TestCeremony(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## The keys of a house\n")
	if !found {
		t.Fatal("the manual has no section on keys")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	bin, work := t.TempDir(), t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "ca")); err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(section, "```sh\n")[1:]
	if len(blocks) != 5 {
		t.Errorf("%d blocks of commands, want 5", len(blocks))
	}
	for _, block := range blocks {
		commands, _, _ := strings.Cut(block, "```")
		shell := exec.CommandContext(t.Context(), "sh", "-eu", "-c", commands)
		shell.Dir = work
		shell.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
		if out, err := shell.CombinedOutput(); err != nil {
			t.Fatalf("%s\n%v\n%s", commands, err, out)
		}
	}
	// The keys that openssl made are ones that the CA takes.
	if err := run(t.Context(), []string{
		"--house", "demo", "--root", in(work, "root.pem"), "--certificate", in(work, "ca.pem"), "--key", in(work, "ca.key"),
		"--token-key", in(work, "token-2.key") + "," + in(work, "token.key"), "--credential-key", in(work, "credential.key"),
		"--operator-token", in(work, "operator.token"), "--registry", filepath.Join(work, "no such folder", "registry.db"),
	}); err == nil || !strings.Contains(err.Error(), "open registry") {
		t.Errorf("the CA does not come as far as its registry: %v", err)
	}
}

func in(work, name string) string { return filepath.Join(work, "keys", name) }
