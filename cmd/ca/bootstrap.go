package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/ca"
)

type bootstrapFlags struct {
	Dir           string            `help:"Folder for the files; secrets in it are for its owner alone." type:"path" default:"keys"`
	House         string            `help:"Id of the house." required:""`
	Authorities   []string          `help:"Names of its time authorities." required:""`
	SimulatedTime bool              `name:"simulated-time" help:"Make the time authorities' keys for simulated time."`
	Kubernetes    bool              `help:"Keep all in Secrets of the cluster that this runs in, instead of a folder, and replace certificates that end soon."`
	Name          string            `help:"With --kubernetes: first part of the names of the Secrets." default:"sigilo"`
	Secrets       map[string]string `help:"With --kubernetes: other names of Secrets by part, such as ca=my-ca;dms=my-dms."`
	Redis         bool              `help:"With --kubernetes: make a password for Redis too."`
}

func bootstrap(ctx context.Context, args []string) error {
	program := ops.Program{
		Name:        "ca bootstrap",
		Description: "Makes the keys and certificates that a house lacks in a folder. It never replaces one.",
		Example:     "ca bootstrap --house demo --dir keys --authorities tsa1,tsa2,tsa3",
	}
	var flags bootstrapFlags
	if err := program.Parse(&flags, args); err != nil {
		return err
	}
	cfg := ca.BootstrapConfig{
		House: flags.House, Authorities: flags.Authorities, SimulatedTime: flags.SimulatedTime, Now: time.Now(),
	}
	if !flags.Kubernetes {
		return ca.Bootstrap(flags.Dir, cfg)
	}
	api, err := ca.InCluster()
	if err != nil {
		return err
	}
	return ca.BootstrapKubernetes(ctx, ca.KubernetesConfig{
		BootstrapConfig: cfg, Name: flags.Name, Secrets: flags.Secrets, Redis: flags.Redis,
		API: api, Log: ops.NewLogger(os.Stdout, slog.LevelInfo),
	})
}
