package ca

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a script wrote under the house's ACL is there again after Redis was
// killed: a default user without rights made it drop all of that, unseen but for
// a line in its log.
func TestRedisReadsItsFileUnderTheACL(t *testing.T) {
	dir := t.TempDir()
	users := filepath.Join(dir, "users.acl")
	if err := os.WriteFile(users, []byte(redisUsers("secret")), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)
	listener.Close()
	start := func() *exec.Cmd {
		server := exec.Command("redis-server", "--port", port, "--dir", dir, "--aclfile", users,
			"--appendonly", "yes", "--appendfsync", "always", "--save", "")
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Process.Kill(); server.Wait() })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for as(port, "probe", "probe", "PING") != "PONG" {
			select {
			case <-ctx.Done():
				t.Fatal("redis does not answer")
			case <-time.After(10 * time.Millisecond):
			}
		}
		return server
	}
	first := start()
	if got := as(port, "default", "", "PING"); got == "PONG" {
		t.Error("the default user can log in")
	}
	const script = "redis.call('SET', KEYS[1], 'a') redis.call('SET', KEYS[2], 'b') return 'done'"
	if got := as(port, "sigilo", "secret", "EVAL", script, "2", "sigilo:{x}:1", "sigilo:{x}:2"); got != "done" {
		t.Fatalf("the script answers %q", got)
	}
	first.Process.Kill()
	first.Wait()
	start()
	if got := as(port, "sigilo", "secret", "MGET", "sigilo:{x}:1", "sigilo:{x}:2"); got != "a\nb" {
		t.Errorf("after the restart there is %q", got)
	}
}

// as runs one command of a user of Redis.
func as(port, user, password string, command ...string) string {
	args := append([]string{"-p", port, "--no-auth-warning", "--user", user, "--pass", password}, command...)
	out, _ := exec.Command("redis-cli", args...).CombinedOutput() // an error is in the output
	return strings.TrimSpace(string(out))
}
