// Package storetest runs real Redis servers for tests.
package storetest

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// Redis is a redis-server of a test's own, on a free port of the loopback
// interface, with its files in a temporary folder and the settings that the
// store demands: every write is on disk before it is answered.
type Redis struct {
	t    testing.TB
	dir  string
	port string
	cmd  *exec.Cmd
}

// StartRedis starts a server, which ends with the test. A machine without
// redis-server fails the test.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	r := &Redis{t: t, dir: t.TempDir()}
	t.Cleanup(r.Kill)
	for range 3 { // somebody else may take the port in between
		r.port = freePort(t)
		if r.start() {
			return r
		}
	}
	t.Fatal("redis-server does not start")
	return nil
}

// URL is where the server listens.
func (r *Redis) URL() string { return "redis://127.0.0.1:" + r.port }

// Kill ends the server at once, as kill -9 does. It does nothing to one that
// does not run.
func (r *Redis) Kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill() // a process that has ended is what is wanted
		_ = r.cmd.Wait()         // always an error: it was killed
		r.cmd = nil
	}
}

// Restart starts a killed server again on its files and its port.
func (r *Redis) Restart() {
	r.t.Helper()
	if !r.start() {
		r.t.Fatal("redis-server does not start again")
	}
}

// start returns once the server says that it is ready, or has ended.
func (r *Redis) start() bool {
	r.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		r.t.Fatal("this test needs redis-server 7 or later: see scripts/setup.sh")
	}
	cmd := exec.Command(path, "--bind", "127.0.0.1", "--port", r.port, "--dir", r.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("start redis-server: %v", err)
	}
	r.cmd = cmd
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			go func() {
				for lines.Scan() { // so that the server never waits for its log
				}
			}()
			return true
		}
	}
	r.Kill()
	return false
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}
