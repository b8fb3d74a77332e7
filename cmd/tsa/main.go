// Command tsa runs a time authority.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/tsa"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tsa:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	program := ops.Program{
		Name:        "tsa",
		Description: "Stamps hashes with the time, by RFC 3161.",
		Example:     "tsa --certificate tsa-one.pem --key tsa-one.key",
	}
	var cfg tsa.Config
	if err := program.Parse(&cfg, args); err != nil {
		if errors.Is(err, ops.ErrHelp) {
			return nil
		}
		return err
	}
	ops.UseMemory(os.DirFS("/"), ops.GarbageOfFew)
	return tsa.Run(ctx, cfg)
}
