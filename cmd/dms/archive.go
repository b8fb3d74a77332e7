package main

import (
	"context"
	"os"

	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/dms"
)

// archive moves auctions that were closed long ago out of Redis.
func archive(ctx context.Context, args []string) error {
	program := ops.Program{
		Name: "dms archive",
		Description: "Moves auctions that were closed long ago from Redis to a folder: each as a file of evidence, " +
			"which `sigilo verify` checks and which is checked before anything is deleted. It runs once, while replicas run; " +
			"interrupted, it has lost nothing and goes on when it runs again.",
		Example: "dms archive --house demo --redis-url redis://127.0.0.1:6379/0 --root root.pem --log-key log.key --dir archive",
	}
	var cfg dms.ArchiveConfig
	if err := program.Parse(&cfg, args); err != nil {
		return err
	}
	return dms.Archive(ctx, cfg, os.Stdout)
}
