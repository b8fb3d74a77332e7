package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sigilo/sigilo/bench"
)

type benchScaleCmd struct {
	Replicas     []int         `help:"Replicas of each point." default:"1,2,4"`
	Auctions     []int         `help:"Auctions of each curve. One is the hot auction." default:"400,1"`
	Participants int           `help:"Bidders for each replica, each over a connection of its own." default:"12"`
	Runs         int           `help:"Of each point, of which the median counts." default:"3"`
	Duration     time.Duration `help:"Of the measure of a run." default:"10s"`
	Warmup       time.Duration `help:"Before it." default:"5s"`
	Out          string        `help:"Folder for scale.csv, scale.svg and scale.md." type:"path" placeholder:"DIR"`
	From         string        `help:"File with the runs of earlier, to sum up instead of measuring." type:"existingfile" placeholder:"CSV"`
}

func (benchScaleCmd) Help() string {
	return `It starts houses of 1, 2 and 4 replicas on this machine, each replica held to 12 % of one
core, and gives them as many bids as they take: over many auctions, and in one. A run in
which the generator was short of CPU, or the replicas were not, is repeated. Needs Linux,
redis-server, and the right to make cgroups (root).

Example: sigilo bench scale --json --out bench/results`
}

// Run measures, or reads, and sums up.
func (c *benchScaleCmd) Run(ctx context.Context, a *app) error {
	points, failed := c.points(ctx, a)
	if len(points) == 0 {
		return failed
	}
	if c.Out != "" {
		for name, write := range map[string]func(io.Writer, []bench.Point) error{
			"scale.csv": bench.WritePoints, "scale.svg": bench.PlotPoints, "scale.md": bench.DescribePoints,
		} {
			if err := writeFile(filepath.Join(c.Out, name), points, write); err != nil {
				return local("write the results: %w", errors.Join(err, failed))
			}
		}
	}
	return a.report(bench.ScaleResult(points), failed)
}

func (c *benchScaleCmd) points(ctx context.Context, a *app) ([]bench.Point, error) {
	if c.From != "" {
		file, err := os.Open(c.From)
		if err != nil {
			return nil, local("%w", err)
		}
		defer file.Close()
		return bench.ReadPoints(file)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, local("find this program: %w", err)
	}
	return bench.Scale(ctx, bench.ScaleConfig{
		DMS: []string{program, "bench", "dms"}, Replicas: c.Replicas, Auctions: c.Auctions, Participants: c.Participants,
		Runs: c.Runs, Duration: c.Duration, Warmup: c.Warmup, Progress: a.err,
	})
}

func writeFile(name string, points []bench.Point, write func(io.Writer, []bench.Point) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(file, points), file.Close())
}
