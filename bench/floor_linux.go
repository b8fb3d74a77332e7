package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	floorSockets = 200
	floorRounds  = 100
)

// writeFloor times the system call that no delivery over a socket of its own can
// do without: the CPU time of a bare write of that many bytes to a loopback
// connection whose other end is read.
func writeFloor(ctx context.Context, size int) (time.Duration, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	var readers errgroup.Group
	conns := make([]net.Conn, 0, floorSockets)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
		_ = readers.Wait() // they end with their connections
	}()
	fds := make([]int, 0, floorSockets)
	for range floorSockets {
		near, err := new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
		if err != nil {
			return 0, err
		}
		conns = append(conns, near)
		far, err := listener.Accept()
		if err != nil {
			return 0, err
		}
		conns = append(conns, far)
		readers.Go(func() error {
			_, err := io.Copy(io.Discard, far)
			return err
		})
		raw, err := near.(*net.TCPConn).SyscallConn()
		if err != nil {
			return 0, err
		}
		if err := raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
			return 0, err
		}
	}
	message := make([]byte, size)
	used, err := threadCPU(func() {
		for range floorRounds {
			for _, fd := range fds {
				if _, failed := unix.Write(fd, message); failed != nil {
					err = fmt.Errorf("write: %w", failed)
				}
			}
		}
	})
	return used / (floorRounds * floorSockets), err
}
