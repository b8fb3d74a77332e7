package main

import (
	"context"
	"encoding/json"
	"io"
	"os"

	"github.com/sigilo/sigilo/services/allinone"
)

type demoCmd struct {
	Dir string `help:"Directory for the evidence; a new temporary one by default." type:"path" placeholder:"DIR"`
}

func (demoCmd) Help() string {
	return `One process plays the house, real clients play a seller and three bidders, and the
story says what each of them did and could see. It takes some seconds.

Example: sigilo demo --json`
}

// Run holds an auction on this machine and tells it, or reports it as JSON.
func (c *demoCmd) Run(ctx context.Context, a *app) error {
	dir := c.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "sigilo-demo-"); err != nil {
			return err
		}
	}
	story := a.out
	if a.globals.JSON {
		story = io.Discard
	}
	report, err := allinone.Demo(ctx, dir, story)
	if err != nil {
		return err
	}
	if !a.globals.JSON {
		return nil
	}
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(report)
}
