package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sigilo/sigilo/services/allinone"
)

type upCmd struct {
	Dir           string `help:"Directory for keys, registry and log; a new temporary one by default, removed at the end." type:"path" placeholder:"DIR"`
	House         string `help:"Id of the house." default:"demo"`
	Redis         string `help:"URL of a Redis to keep the auctions in. Without it there is an embedded one, which forgets them at the end." placeholder:"URL"`
	Replicas      int    `help:"Replicas of the DMS." default:"2"`
	Authorities   int    `help:"Time authorities; of 3f+1, f may fail." default:"1"`
	SimulatedTime bool   `help:"Stamp a time that the operator moves."`
	Open          bool   `help:"Let everybody enrol under any name, without an invite."`
	ReadyFile     string `help:"File to write once all is ready: JSON with the URLs." type:"path" placeholder:"FILE"`
	TargetsFile   string `help:"File to write once all is ready: the services as a Prometheus finds them (file_sd_configs)." type:"path" placeholder:"FILE"`
}

func (upCmd) Help() string {
	return `It stays up until Ctrl-C, and prints where everything is and what to do first.

Example: sigilo up --open --ready-file house.json`
}

// Validate refuses numbers that no house has.
func (c *upCmd) Validate() error {
	if c.Replicas < 1 || c.Replicas > 16 || c.Authorities < 1 || c.Authorities > 13 {
		return errors.New("--replicas is 1 to 16, --authorities 1 to 13")
	}
	return nil
}

// Run runs a house in this process until ctx ends.
func (c *upCmd) Run(ctx context.Context, a *app) error {
	dir := c.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "sigilo-up-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	logs, err := os.OpenFile(filepath.Join(dir, "services.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer logs.Close()
	house, err := allinone.Start(ctx, allinone.Config{
		Dir: dir, House: c.House, Replicas: c.Replicas, Authorities: c.Authorities, RedisURL: c.Redis,
		SimulatedTime: c.SimulatedTime, OpenEnrolment: c.Open, Log: logs,
	})
	if err != nil {
		return err
	}
	if err := c.announce(house, a, dir); err != nil {
		return errors.Join(err, house.Stop())
	}
	err = house.Wait()
	for _, file := range []string{c.ReadyFile, c.TargetsFile} {
		if file != "" {
			err = errors.Join(err, os.Remove(file))
		}
	}
	if !a.globals.JSON {
		fmt.Fprintln(a.out, "\nThe house is closed.")
	}
	return err
}

// announce writes the ready file and says where everything is.
func (c *upCmd) announce(house *allinone.House, a *app, dir string) error {
	if c.TargetsFile != "" {
		targets, err := house.Targets()
		if err != nil {
			return err
		}
		if err := writeReady(c.TargetsFile, append(targets, '\n')); err != nil {
			return err
		}
	}
	ready, err := json.MarshalIndent(house.Ready, "", "  ")
	if err != nil {
		return err
	}
	readyFile := c.ReadyFile
	if readyFile == "" {
		readyFile = filepath.Join(dir, "ready.json")
	}
	if err := writeReady(readyFile, append(ready, '\n')); err != nil {
		return err
	}
	if a.globals.JSON {
		_, err := fmt.Fprintf(a.out, "%s\n", ready)
		return err
	}
	c.describe(a.out, house, readyFile, dir)
	return nil
}

func (c *upCmd) describe(out io.Writer, house *allinone.House, readyFile, dir string) {
	fmt.Fprintf(out, "The house %q is open.\n\n", house.Ready.House)
	fmt.Fprintf(out, "  CA       %s\n", house.Ready.CA)
	for _, url := range house.Ready.TSA {
		fmt.Fprintf(out, "  TSA      %s\n", url)
	}
	for _, url := range house.Ready.DMS {
		fmt.Fprintf(out, "  DMS      %s\n", url)
	}
	for _, url := range house.Ready.Metrics {
		fmt.Fprintf(out, "  metrics  %s\n", url)
	}
	fmt.Fprintf(out, "  root     %s\n  log      %s\n", house.Ready.RootCertificate, filepath.Join(dir, "services.log"))
	if c.Redis == "" {
		fmt.Fprint(out, "\nThe embedded Redis forgets every auction when this stops; --redis keeps them.\n")
	}
	enrol := fmt.Sprintf("sigilo enroll --house %s --username YOU", readyFile)
	if !c.Open {
		enrol = fmt.Sprintf("sigilo enroll --house %s --invite CODE   (the operator makes the code: POST %s/api/invites)", readyFile, house.Ready.CA)
	}
	fmt.Fprintf(out, "\nFirst steps, in another terminal:\n  %s\n  sigilo list --title \"A clock\" --currency EUR --minimum 10 --closes 10m\n  sigilo items\n\nCtrl-C closes the house.\n", enrol)
}

// writeReady writes a file whole, so that whoever waits for it reads no half. The
// ready file holds the operator's token.
func writeReady(path string, data []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
