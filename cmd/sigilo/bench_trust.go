package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/sigilo/sigilo/bench"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/ca"
	"github.com/sigilo/sigilo/services/tsa"
)

// contestFlags are those of a benchmark that measures a server beside a peer's.
type contestFlags struct {
	Peers       string `help:"Folder of the module that builds the peer, which needs Go; empty measures ours alone." default:"bench/peers"`
	Connections []int  `help:"Numbers of connections, in turn." default:"1,8,64"`
	Rounds      int    `help:"Rounds of each server, in turn with the other, at each number." default:"3"`
}

type benchTSACmd struct {
	contestFlags
	Duration time.Duration `help:"Of each round." default:"5s"`
}

func (benchTSACmd) Help() string {
	return `The peer is sigstore's timestamp-server. Each server is a process of its own and gets
the same requests over HTTP. Needs Linux.

Example: sigilo bench tsa --json`
}

// Run measures time authorities.
func (c *benchTSACmd) Run(ctx context.Context, a *app) error {
	program, err := os.Executable()
	if err != nil {
		return local("find this program: %w", err)
	}
	result, err := bench.TSA(ctx, bench.TSAConfig{
		Server: []string{program, "bench", "tsa-server"}, Peers: c.Peers,
		Connections: c.Connections, Rounds: c.Rounds, Duration: c.Duration, Progress: a.err,
	})
	return a.report(result, err)
}

type benchCACmd struct {
	contestFlags
	Certificates int `help:"Of each round." default:"1500"`
}

func (benchCACmd) Help() string {
	return `The peer is step-ca's library. Each server is a process of its own, with a database on
the disk, and gets the same requests over HTTP. Needs Linux.

Example: sigilo bench ca --json`
}

// Run measures certificate authorities.
func (c *benchCACmd) Run(ctx context.Context, a *app) error {
	program, err := os.Executable()
	if err != nil {
		return local("find this program: %w", err)
	}
	result, err := bench.CA(ctx, bench.CAConfig{
		Server: []string{program, "bench", "ca-server"}, Peers: c.Peers,
		Connections: c.Connections, Rounds: c.Rounds, Certificates: c.Certificates, Progress: a.err,
	})
	return a.report(result, err)
}

type benchTSAServerCmd struct{ tsa.Config }

// Run runs the time authority that bench tsa measures: as cmd/tsa does, but for a
// log of errors alone.
func (c *benchTSAServerCmd) Run(ctx context.Context, a *app) error {
	c.Log = ops.NewLogger(a.err, slog.LevelError)
	ops.UseMemory(os.DirFS("/"), ops.GarbageOfFew)
	return tsa.Run(ctx, c.Config)
}

type benchCAServerCmd struct{ ca.Config }

// Run runs the CA that bench ca measures, likewise.
func (c *benchCAServerCmd) Run(ctx context.Context, a *app) error {
	c.Log = ops.NewLogger(a.err, slog.LevelError)
	ops.UseMemory(os.DirFS("/"), ops.GarbageOfFew)
	return ca.Run(ctx, c.Config)
}
