package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// dmsProcess is a replica in a process of its own: see [RunDMS].
type dmsProcess struct {
	url     string
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

// startDMS runs argv, which must call [RunDMS] on its standard input and output.
func startDMS(ctx context.Context, argv []string, cfg childConfig) (*dmsProcess, error) {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Stderr = os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start a replica: %w", err)
	}
	p := &dmsProcess{command: command, in: in, out: json.NewDecoder(out)}
	err = json.NewEncoder(in).Encode(cfg)
	var ready childReady
	if err == nil {
		err = p.out.Decode(&ready)
	}
	if err == nil {
		err = waitReady(ctx, ready.Ready)
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("start a replica: %w", err)
	}
	p.url = ready.URL
	return p, nil
}

const (
	startTimeout = 30 * time.Second // a stamp, the CA's documents, the policy
	startPoll    = 20 * time.Millisecond
)

// waitReady waits until a service says that it can do its work.
func waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close() // the status is all that is wanted
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		if !sleepUntil(ctx, time.Now().Add(startPoll)) {
			return errors.New("it is not ready in time")
		}
	}
}

func (p *dmsProcess) tell(line string) error {
	_, err := io.WriteString(p.in, line+"\n")
	return err
}

func (p *dmsProcess) stat() (childStat, error) {
	var s childStat
	if err := p.tell(askStat); err != nil {
		return s, fmt.Errorf("ask the replica: %w", err)
	}
	if err := p.out.Decode(&s); err != nil {
		return s, fmt.Errorf("ask the replica: %w", err)
	}
	return s, nil
}

// stop lets the process end, and waits for it.
func (p *dmsProcess) stop() {
	_ = p.in.Close()     // it ends with its input
	_ = p.command.Wait() // a benchmark's result does not depend on how
}

// redisProcess is a redis-server with the settings that the store demands:
// every write is on disk before it is answered.
type redisProcess struct {
	url     string
	command *exec.Cmd
}

// startRedis starts one on a free port of the loopback interface, with its files
// in dir.
func startRedis(ctx context.Context, dir string) (*redisProcess, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("there is no redis-server on this machine: install it, or name one with --redis")
	}
	for range 3 { // somebody else may take the port in between
		port, err := freePort(ctx)
		if err != nil {
			return nil, err
		}
		p := &redisProcess{url: fmt.Sprintf("redis://127.0.0.1:%d/0", port)}
		p.command = exec.CommandContext(ctx, path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1",
			"--dir", dir, "--appendonly", "yes", "--appendfsync", "always", "--save", "",
			"--maxmemory-policy", "noeviction", "--daemonize", "no")
		started, err := p.start()
		if err != nil {
			return nil, err
		}
		if started {
			return p, nil
		}
	}
	return nil, errors.New("redis-server does not start")
}

// start returns once the server says that it is ready, or has ended.
func (p *redisProcess) start() (bool, error) {
	out, err := p.command.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := p.command.Start(); err != nil {
		return false, fmt.Errorf("start redis-server: %w", err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			go func() { _, _ = io.Copy(io.Discard, out) }() // until it ends
			return true, nil
		}
	}
	_ = p.command.Wait() // it has told nothing, and that is what counts
	return false, nil
}

func (p *redisProcess) stop() {
	_ = p.command.Process.Signal(os.Interrupt) // it may have ended
	_ = p.command.Wait()
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
