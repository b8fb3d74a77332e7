package main

import (
	"context"
	"os"
	"time"

	"github.com/sigilo/sigilo/bench"
)

type benchFanoutCmd struct {
	Redis      string        `help:"URL of an empty Redis to use instead of starting one; what it holds stays there." placeholder:"URL"`
	Spectators []int         `help:"Spectators of each step, each on a socket of its own." default:"2000,4000,8000"`
	Rate       float64       `help:"Events a second." default:"50"`
	Duration   time.Duration `help:"Of the measure of a step." default:"15s"`
	Warmup     time.Duration `help:"Before it." default:"3s"`
	CPUProfile string        `name:"cpu-profile" help:"File for a CPU profile of the DMS during the last step." type:"path" placeholder:"FILE"`
}

func (benchFanoutCmd) Help() string {
	return `It starts a house of its own on this machine, with the DMS in a process of its own, and
shows one auction to many spectators, until the DMS fills a core. Every spectator must get
every event once and in order. Needs Linux, redis-server, and as many open files as there
are spectators (ulimit -n).

Example: sigilo bench fanout --json`
}

// Run measures the fan-out.
func (c *benchFanoutCmd) Run(ctx context.Context, a *app) error {
	program, err := os.Executable()
	if err != nil {
		return local("find this program: %w", err)
	}
	result, err := bench.Fanout(ctx, bench.FanoutConfig{
		DMS: []string{program, "bench", "dms"}, RedisURL: c.Redis, Spectators: c.Spectators, Rate: c.Rate,
		Duration: c.Duration, Warmup: c.Warmup, Profile: c.CPUProfile, Progress: a.err,
	})
	return a.report(result, err)
}
