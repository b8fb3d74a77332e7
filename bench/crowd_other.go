//go:build !linux

package bench

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// crowd is there on Linux alone, whose epoll it is made of.
type crowd struct {
	busy atomic.Int64
	done chan error
}

func gather(context.Context, string, auction.LogID, int, *journal) (*crowd, error) {
	return nil, errLinux
}

func (*crowd) leave() error { return errLinux }

func writeFloor(context.Context, int) (time.Duration, error) { return 0, errLinux }
