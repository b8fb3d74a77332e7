package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"

	"github.com/sigilo/sigilo/pkg/store/localredis"
)

// server is a service in a process of its own.
type server struct {
	name    string
	url     string // of POST
	pid     int
	command *exec.Cmd
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// startServer runs the command that argv makes of the address to serve at, and
// returns once a GET of the path ready is answered. Requests go to path.
func startServer(ctx context.Context, name, ready, path string, argv func(address string) []string) (*server, error) {
	port, err := localredis.FreePort()
	if err != nil {
		return nil, err
	}
	at := loopback(port)
	args := argv(at)
	s := &server{name: name, url: "http://" + at + path, command: exec.CommandContext(ctx, args[0], args[1:]...)}
	var said bytes.Buffer
	s.command.Stderr = &said
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	s.pid = s.command.Process.Pid
	if err := waitReady(ctx, "http://"+at+ready); err != nil {
		s.stop()
		return nil, fmt.Errorf("start %s: %w", name, errors.Join(err, errors.New(said.String())))
	}
	return s, nil
}

func (s *server) stop() {
	_ = s.command.Process.Kill() // it may have ended, and a peer may wait long for idle connections
	_ = s.command.Wait()         // a benchmark's result does not depend on how
}
