package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/sigilo/sigilo/bench"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/tsa"
)

type benchTSACmd struct {
	Peer        string        `help:"Path of sigstore's timestamp-server, v2.1.0, to measure beside ours." type:"path" placeholder:"FILE"`
	Connections []int         `help:"Numbers of connections, in turn." default:"1,8,64"`
	Rounds      int           `help:"Rounds of each server, in turn with the other, at each number." default:"3"`
	Duration    time.Duration `help:"Of each round." default:"5s"`
}

func (benchTSACmd) Help() string {
	return `Each server is a process of its own and gets the same requests over HTTP. Needs Linux.

Example: sigilo bench tsa --peer /tmp/peers/timestamp-server --json`
}

// Run measures time authorities.
func (c *benchTSACmd) Run(ctx context.Context, a *app) error {
	program, err := os.Executable()
	if err != nil {
		return local("find this program: %w", err)
	}
	result, err := bench.TSA(ctx, bench.TSAConfig{
		Server: []string{program, "bench", "tsa-server"}, Peer: c.Peer,
		Connections: c.Connections, Rounds: c.Rounds, Duration: c.Duration, Progress: a.err,
	})
	return a.report(result, err)
}

type benchTSAServerCmd struct{ tsa.Config }

// Run runs the time authority that bench tsa measures: as cmd/tsa does, but for a
// log of errors alone.
func (c *benchTSAServerCmd) Run(ctx context.Context, a *app) error {
	c.Log = ops.NewLogger(a.err, slog.LevelError)
	return tsa.Run(ctx, c.Config)
}
