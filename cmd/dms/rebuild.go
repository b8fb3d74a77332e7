package main

import (
	"context"
	"os"

	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/dms"
)

// rebuild makes projections anew from their logs.
func rebuild(ctx context.Context, args []string) error {
	program := ops.Program{
		Name: "dms rebuild",
		Description: "Makes what replicas derive from the logs in Redis anew: the state of auctions, answers, lists. " +
			"Replicas do this themselves where they miss something; this is for an operator who mistrusts what is there. " +
			"It may run while they run, and changes no log.",
		Example: "dms rebuild --house demo --redis-url redis://127.0.0.1:6379/0 --all",
	}
	var cfg dms.RebuildConfig
	if err := program.Parse(&cfg, args); err != nil {
		return err
	}
	return dms.Rebuild(ctx, cfg, os.Stdout)
}
