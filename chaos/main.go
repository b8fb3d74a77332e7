package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sigilo/sigilo/pkg/ops"
)

// config is what a run can be told.
type config struct {
	Rounds   int           `help:"End after so many rounds; 0 is no limit." default:"0"`
	For      time.Duration `help:"Begin no round after this long." default:"5m"`
	Seed     uint64        `help:"Of the faults and the bids; 0 takes a random one. It repeats what is done, not when it strikes." default:"0"`
	Redis    string        `help:"Shape of the Redis." enum:"standalone" default:"standalone"`
	Replicas int           `help:"Replicas of the DMS." default:"2"`
	Dir      string        `help:"Folder for programs, logs, keys and profiles, kept after the run. Without it, one that is removed unless something is off." type:"path"`
	Verbose  bool          `help:"Tell of each fault."`
}

// Validate refuses values that no run could have.
func (c config) Validate() error {
	switch {
	case c.Rounds < 0 || c.For <= 0:
		return errors.New("a run has rounds, and time for them")
	case c.Replicas < 1 || c.Replicas > 16:
		return errors.New("between 1 and 16 replicas")
	}
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := parse(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, ops.ErrHelp) {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		stop()
		os.Exit(1)
	}
}

func parse(ctx context.Context, args []string, out io.Writer) error {
	program := ops.Program{
		Name:        "chaos",
		Description: "Breaks a house of real processes while people bid in it, and checks after each round that nothing was lost, doubled or reordered.",
		Example:     "chaos --for 10m --redis sentinel",
	}
	var cfg config
	if err := program.Parse(&cfg, args); err != nil {
		return err
	}
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	return chaos(ctx, cfg, out)
}
