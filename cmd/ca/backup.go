package main

import (
	"context"
	"os"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/ca/registry"
)

type backupFlags struct {
	Registry string `help:"File of the registry." type:"path" required:""`
}

// backup writes a copy of the registry to the standard output, so that it gets
// out of a container that has no other program.
func backup(ctx context.Context, args []string) error {
	program := ops.Program{
		Name:        "ca backup",
		Description: "Writes a copy of the registry to the standard output, while the CA goes on working, and records that in the audit table. It holds names: keep it as the registry itself.",
		Example:     "ca backup --registry registry.db > registry-backup.db",
	}
	var flags backupFlags
	if err := program.Parse(&flags, args); err != nil {
		return err
	}
	return registry.Backup(ctx, flags.Registry, os.Stdout, auction.TimeOf(time.Now()))
}
