package ops

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/alecthomas/kong"
)

// Config is the part of a configuration that all services share; a service
// embeds it in its own.
type Config struct {
	Listen     string        `help:"Public address, host:port. Port 0 takes a free one." default:"127.0.0.1:8080"`
	Internal   string        `help:"Address for health checks and metrics. Not for the public." default:"127.0.0.1:9090"`
	TLSCert    string        `name:"tls-cert" help:"File with the certificate chain of the public address, PEM. Without it that address speaks plain HTTP." type:"path"`
	TLSKey     string        `name:"tls-key" help:"File with the key of --tls-cert, PEM." type:"path"`
	LogLevel   slog.Level    `help:"Least level to log: debug, info, warn or error." default:"info"`
	DrainDelay time.Duration `help:"How long to go on accepting after readiness failed, so that load balancers notice. 5s in Kubernetes." default:"0s"`
}

// Validate refuses values that contradict each other. Program.Parse calls it.
func (c Config) Validate() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	if c.DrainDelay < 0 || c.DrainDelay > time.Minute {
		return errors.New("--drain-delay is between 0s and 1m")
	}
	return nil
}

// ErrHelp is returned by Program.Parse when the command line asked for help or
// for the version: it is printed, and there is nothing left to do.
var ErrHelp = errors.New("help was asked for")

// A Program describes the command line of a service.
type Program struct {
	Name        string    // as a person types it
	Description string    // one sentence
	Example     string    // one whole command line
	Stdout      io.Writer // takes help and version; nil means os.Stdout
}

// Parse fills dst, a pointer to a struct with kong tags. Each field RedisURL is
// set by the flag --redis-url, else by SIGILO_REDIS_URL in the environment, else
// by "redis-url" in the JSON file that --config or SIGILO_CONFIG names, else by
// its default tag. In the file, a list is an array and a duration a string.
//
// Unknown flags, unknown or doubled keys of the file, missing required values,
// and whatever a Validate() error method of dst or of a struct embedded in it
// refuses are errors. Unknown variables of the environment are not: Kubernetes
// sets some of its own.
func (p Program) Parse(dst any, args []string) error {
	stdout := p.Stdout
	if stdout == nil {
		stdout = os.Stdout
	}
	var common struct {
		Config  string           `help:"JSON file with values for these flags, under the same names." type:"path" placeholder:"FILE"`
		Version kong.VersionFlag `help:"Print the version and exit." env:"-"`
	}
	var file fileResolver
	// kong calls exit and then goes on, so the call is noted and the rest of
	// its work ignored.
	exited := false
	k, err := kong.New(dst,
		kong.Name(p.Name),
		kong.Description(p.Description+"\n\nExample: "+p.Example),
		kong.Embed(&common),
		kong.DefaultEnvars("SIGILO"),
		kong.WithBeforeResolve(file.load),
		kong.Resolvers(&file),
		kong.Vars{"version": Version()},
		kong.Writers(stdout, io.Discard),
		kong.Exit(func(int) { exited = true }),
	)
	if err != nil {
		return fmt.Errorf("describe flags of %s: %w", p.Name, err)
	}
	_, err = k.Parse(args)
	if exited {
		return ErrHelp
	}
	return err
}
