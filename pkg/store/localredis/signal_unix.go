//go:build unix

package localredis

import (
	"errors"
	"syscall"
)

// Suspend stops the process where it is, as SIGSTOP does: it keeps its
// connections and answers nothing until Resume.
func (s *Server) Suspend() error { return s.signal(syscall.SIGSTOP) }

// Resume lets a suspended process go on.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return errors.New("the server does not run")
	}
	return s.cmd.Process.Signal(sig)
}
