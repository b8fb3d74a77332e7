package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second // of a process on a machine that has much else to do
	startPoll    = 50 * time.Millisecond
)

// A process is what faults can hit. Its methods are safe for concurrent use.
type process interface {
	// Kill ends it at once, as kill -9 does, and waits until it is gone.
	Kill()
	// Restart starts it again.
	Restart() error
	// Suspend and Resume are SIGSTOP and SIGCONT.
	Suspend() error
	Resume() error
}

// A service is a program of the house, always with the same arguments.
type service struct {
	argv []string
	log  string // file that takes its output, of all its lives

	mu    sync.Mutex
	cmd   *exec.Cmd     // nil while it does not run
	ended chan struct{} // closed when cmd has ended
}

// Restart starts the program. It does nothing to one that runs. One that has
// ended by itself is started again, as whatever runs services does: a replica
// ends if it is started while its Redis is away.
func (p *service) Restart() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && !p.hasEnded() {
		return nil
	}
	out, err := os.OpenFile(p.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close() // the child has its own
	cmd := exec.Command(p.argv[0], p.argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, ownGroup()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.argv[0], err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it was killed, or its log says why it ended
		close(ended)
	}()
	p.cmd, p.ended = cmd, ended
	return nil
}

// Kill does nothing to a program that does not run.
func (p *service) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // one that has ended is what is wanted
	<-p.ended
	p.cmd = nil
}

// Suspend does nothing to a program that does not run, nor does Resume.
func (p *service) Suspend() error { return p.signal(syscall.SIGSTOP) }

// Resume lets a suspended program go on.
func (p *service) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *service) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil || p.hasEnded() {
		return nil
	}
	return p.cmd.Process.Signal(s)
}

// hasEnded reports whether a process that was started has ended. The caller
// holds mu.
func (p *service) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// await asks again and again until ask has no error.
func await(ctx context.Context, what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, errors.Join(ctx.Err(), err))
		case <-time.After(startPoll):
		}
	}
}
