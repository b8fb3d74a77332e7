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
	Rounds   int           `help:"End after so many rounds with each shape; 0 is no limit." default:"0"`
	For      time.Duration `help:"Begin no round after this long; all shapes of Redis share it." default:"6m"`
	Seed     uint64        `help:"Of the faults and the bids; 0 takes a random one. It repeats what is done, not when it strikes." default:"0"`
	Redis    string        `help:"Shape of the Redis: standalone, sentinel, cluster, or all of them one after the other." enum:"all,standalone,sentinel,cluster" default:"all"`
	Double   bool          `help:"Instead of rounds with one fault at a time in Redis: two at once, which take acknowledged writes away, and a check that nobody is left in the dark. Not with a cluster."`
	Replicas int           `help:"Replicas of the DMS." default:"2"`
	Dir      string        `help:"Folder for programs, logs, keys and profiles, kept after the run. Without it, one that is removed unless something is off." type:"path"`
	Verbose  bool          `help:"Tell of each fault."`
}

// Validate refuses values that no run could have.
func (c config) Validate() error {
	switch {
	case c.Rounds < 0 || c.For <= 0:
		return errors.New("a run has rounds, and time for them")
	case c.Double && c.Redis == "cluster":
		return errors.New("--double is for standalone and sentinel")
	case c.Replicas < 1 || c.Replicas > 16:
		return errors.New("between 1 and 16 replicas")
	}
	return nil
}

// shapes returns what to run: a configuration for each shape of Redis.
func (c config) shapes() []config {
	if c.Redis != "all" {
		return []config{c}
	}
	names := []string{"standalone", "sentinel", "cluster"}
	if c.Double {
		names = names[:2]
	}
	each := make([]config, len(names))
	for i, name := range names {
		each[i] = c
		each[i].Redis, each[i].For = name, c.For/time.Duration(len(names))
	}
	return each
}

// sessionLife is how long a connection of the house lives. In rounds it is the
// least, so that clients move all the time. In the dark it is the usual one, so
// that nobody is told of a loss only because the connection was over.
func (c config) sessionLife() time.Duration {
	if c.Double {
		return 30 * time.Minute
	}
	return time.Minute
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
		Example:     "go run ./chaos --for 10m --redis sentinel",
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
