// Command dms runs one replica of the service that holds the auctions, mends what
// replicas derive from its logs, and archives auctions.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/dms"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, ops.ErrHelp) {
		fmt.Fprintln(os.Stderr, "dms:", err)
		os.Exit(1)
	}
}

// run serves, which the word serve may say, unless the first word is rebuild
// or archive.
func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			args = args[1:]
		case "rebuild":
			return rebuild(ctx, args[1:])
		case "archive":
			return archive(ctx, args[1:])
		}
	}
	program := ops.Program{
		Name:        "dms",
		Description: "Runs one replica of the service that checks commands, keeps auctions, and closes them. `dms rebuild` makes what they derive from the logs anew, `dms archive` moves old auctions out of Redis.",
		Example: "dms --house demo --redis-url redis://127.0.0.1:6379/0 --ca https://ca.example --tsa tsa1=https://tsa.example " +
			"--root root.pem --certificate dms.pem --key dms.key --log-key log.key --policy policy.json",
	}
	var cfg dms.Config
	if err := program.Parse(&cfg, args); err != nil {
		return err
	}
	ops.UseMemory(os.DirFS("/"), ops.GarbageOfMany)
	return dms.Run(ctx, cfg)
}
