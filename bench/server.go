package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"time"

	"github.com/sigilo/sigilo/pkg/store/localredis"
	"github.com/sigilo/sigilo/pkg/tsp"
)

// server is a time authority in a process of its own.
type server struct {
	name    string
	url     string // of POST
	pid     int
	command *exec.Cmd
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// startServer runs a command that serves stamps on the port that it is given,
// and returns once it gives one.
func startServer(ctx context.Context, name, path string, argv func(port int) []string) (*server, error) {
	port, err := localredis.FreePort()
	if err != nil {
		return nil, err
	}
	args := argv(port)
	s := &server{name: name, url: "http://" + loopback(port) + path, command: exec.CommandContext(ctx, args[0], args[1:]...)}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	s.pid = s.command.Process.Pid
	if err := s.wait(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return s, nil
}

// wait asks for a stamp until there is one.
func (s *server) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	request, err := tsp.NewRequest([32]byte{}, nil, rand.Reader)
	if err != nil {
		return err
	}
	query, err := request.Marshal()
	if err != nil {
		return err
	}
	for {
		err := ask(ctx, http.DefaultClient, s.url, query)
		if err == nil {
			return nil
		}
		if !sleepUntil(ctx, time.Now().Add(startPoll)) {
			return errors.Join(errors.New("it gives no stamp in time"), err)
		}
	}
}

func (s *server) stop() {
	_ = s.command.Process.Kill() // it may have ended, and the peer waits long for idle connections
	_ = s.command.Wait()         // a benchmark's result does not depend on how
}
