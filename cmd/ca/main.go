// Command ca runs the Certificate Authority, and makes the keys of a house.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/ca"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, ops.ErrHelp) {
		fmt.Fprintln(os.Stderr, "ca:", err)
		os.Exit(1)
	}
}

// run serves, which the word serve may say, unless the first word is another command.
func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "bootstrap":
			return bootstrap(ctx, args[1:])
		case "backup":
			return backup(ctx, args[1:])
		case "serve":
			args = args[1:]
		}
	}
	program := ops.Program{
		Name:        "ca",
		Description: "Enrols people, signs their certificates, and issues session tokens. `ca bootstrap` makes the keys of a house, `ca backup` copies the registry.",
		Example: "ca --house demo --root root.pem --certificate ca.pem --key ca.key --token-key token.key " +
			"--credential-key credential.key --operator-token operator.token",
	}
	var cfg ca.Config
	if err := program.Parse(&cfg, args); err != nil {
		return err
	}
	ops.UseMemory(os.DirFS("/"), ops.GarbageOfFew)
	return ca.Run(ctx, cfg)
}
