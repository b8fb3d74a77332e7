package main

import (
	"context"
	"os"
	"time"

	"github.com/sigilo/sigilo/bench"
)

type benchHostileCmd struct {
	Redis        string        `help:"URL of an empty Redis to use instead of starting one; what it holds stays there." placeholder:"URL"`
	Participants int           `help:"Honest bidders, each over a connection of its own." default:"64"`
	Auctions     int           `help:"Auctions that they bid in, in turn." default:"200"`
	Rate         float64       `help:"Honest bids a second." default:"100"`
	Flood        float64       `help:"Hostile tries a second, of each kind in its turn." default:"2000"`
	Duration     time.Duration `help:"Of each measure: one in calm and one under the flood for each kind." default:"10s"`
}

func (benchHostileCmd) Help() string {
	return `It starts a house of its own on this machine, lets honest bidders bid at a fixed rate,
and floods the DMS from other addresses: with false signatures, frames under wrong keys,
handshakes, half-open and slow connections, and spectators. The flood shares the
processors with the house: the result says how much of them each side used. Needs Linux
and redis-server.

Example: sigilo bench hostile --json`
}

// Run measures hostile load.
func (c *benchHostileCmd) Run(ctx context.Context, a *app) error {
	program, err := os.Executable()
	if err != nil {
		return local("find this program: %w", err)
	}
	result, err := bench.Hostile(ctx, bench.HostileConfig{
		DMS: []string{program, "bench", "dms"}, RedisURL: c.Redis, Participants: c.Participants, Auctions: c.Auctions,
		Rate: c.Rate, Flood: c.Flood, Duration: c.Duration, Progress: a.err,
	})
	return a.report(result, err)
}
