// Package localredis runs real Redis servers as child processes of this one, in
// each shape that the store knows: alone, with replicas and Sentinels, as a
// Cluster. Tests, benchmarks and runs of faults kill them, suspend them, and
// start them again. It needs redis-server 7 or later, and listens on the
// loopback interface alone.
package localredis

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

const host = "127.0.0.1"

// A Server is one redis-server, which holds data or is a Sentinel. Its methods
// are safe for concurrent use.
type Server struct {
	dir    string
	port   int
	at     string // where others find it
	source string // IP address that it connects from, "" for the one of everybody
	args   []string

	mu  sync.Mutex
	cmd *exec.Cmd // nil while it does not run
}

// start runs a server of the deployment for the first time, on a port that
// nobody uses. args makes its arguments; its files are in the folder of its name.
func (d *Deployment) start(name string, args func(*Server) ([]string, error)) (*Server, error) {
	s := &Server{dir: filepath.Join(d.dir, name)}
	if d.front != nil {
		s.source = fmt.Sprintf("127.0.0.%d", 2+len(d.Servers)+len(d.Sentinels))
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	for range 3 { // somebody else may take the port in between
		var err error
		if s.port, err = FreePort(); err != nil {
			return nil, err
		}
		if s.at, err = d.found(name, s.Addr()); err != nil {
			return nil, err
		}
		if s.args, err = args(s); err != nil {
			return nil, err
		}
		if err = s.Restart(); err == nil {
			return s, nil
		} else if !errors.Is(err, errEnded) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("start %s: %w", name, errEnded)
}

// found returns where others find what listens on an address.
func (d *Deployment) found(name, address string) (at string, err error) {
	if d.front == nil {
		return address, nil
	}
	return d.front(name, address)
}

var errEnded = errors.New("redis-server has ended before it was ready")

// Addr is the address on which the server listens.
func (s *Server) Addr() string { return net.JoinHostPort(host, strconv.Itoa(s.port)) }

// At is the address at which others find the server: that of its front, or Addr.
func (s *Server) At() string { return s.at }

// Name is that of the server in its deployment, which its front was given.
func (s *Server) Name() string { return filepath.Base(s.dir) }

// Source is the IP address that a server behind a front connects from, and nobody
// else; "" for one without.
func (s *Server) Source() string { return s.source }

// Dir is the folder with the server's files.
func (s *Server) Dir() string { return s.dir }

// PID is that of the process, 0 while there is none.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return 0
	}
	return s.cmd.Process.Pid
}

// Kill ends the server at once, as kill -9 does, and waits until it is gone. It
// does nothing to one that does not run.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Kill() // a process that has ended is what is wanted
		_ = s.cmd.Wait()         // always an error: it was killed
		s.cmd = nil
	}
}

// Restart starts a server that does not run, on its files and its port, and
// returns once it takes connections.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return errors.New("the server runs already")
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return errors.New("there is no redis-server on this machine: install version 7 or later")
	}
	cmd := exec.Command(path, s.args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		// A Sentinel says who it is once it listens.
		if !strings.Contains(line, "Ready to accept connections") && !strings.Contains(line, "Sentinel ID is") {
			continue
		}
		s.cmd = cmd
		go func() {
			for lines.Scan() { // so that the server never waits for its log
			}
		}()
		return nil
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it has told nothing, and that is what counts
	return errEnded
}

// dataArgs are the arguments of a server that holds data as the store demands it.
func dataArgs(s *Server, more ...string) []string {
	args := []string{
		"--bind", host, "--port", strconv.Itoa(s.port), "--dir", s.dir, "--save", "",
		"--appendonly", "yes", "--maxmemory-policy", "noeviction",
	}
	if s.source != "" {
		args = append(args, "--bind-source-addr", s.source,
			"--replica-announce-ip", host, "--replica-announce-port", portOf(s.at))
	}
	return append(args, more...)
}

// portOf is the port of an address, which is one of ours.
func portOf(address string) string {
	_, port, _ := strings.Cut(address, ":")
	return port
}

// FreePort finds a port that nobody listens on. It is below those from which the
// system takes the near end of a connection, so that nobody takes it while its
// server is killed.
func FreePort() (int, error) {
	for range 100 {
		port := 12_000 + rand.IntN(20_000)
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("no port is free")
}
