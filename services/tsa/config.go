package tsa

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/sigilo/sigilo/pkg/ops"
)

// Config configures one time authority. Each authority is one process with a
// key of its own: its tokens are in order, which two processes could not promise.
type Config struct {
	ops.Config

	Certificate   string        `help:"File with the authority's certificate, PEM; more of its chain may follow." type:"path" required:""`
	Key           string        `help:"File with the certificate's key." type:"path" required:""`
	KeyPassphrase string        `name:"key-passphrase" help:"File with the passphrase of --key, if it is encrypted (by age -p)." type:"path"`
	Accuracy      time.Duration `help:"By how much the clock of this machine may be wrong, as each token states." default:"100ms"`

	NTP  []string `name:"ntp" help:"NTP servers, host or host:port, to compare this machine's clock with each minute. Nothing is stamped while most of them do not answer or say that the clock is wrong by more than --accuracy."`
	Rate float64  `help:"Stamps a second that one address may ask for; bursts of ten seconds' worth. 0 is no limit." default:"0"`

	TrustedProxies []netip.Prefix `name:"trusted-proxies" help:"Networks of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8. Without one, the connection's own address counts."`

	SimulatedTime bool   `name:"simulated-time" help:"Stamp a time that the operator moves, under the policy of simulated time and with a certificate for it. For demonstrations and tests: no real auction counts it."`
	OperatorToken string `name:"operator-token" help:"File with the operator's token, for --simulated-time." type:"path"`

	// Now, if set, is the clock instead of this machine's. No flag sets it.
	Now func() time.Time `kong:"-"`
	// Log takes the log; nil writes JSON to the standard output.
	Log *slog.Logger `kong:"-"`
	// OnListen is called once with the public and the internal address.
	OnListen func(public, internal net.Addr) `kong:"-"`
}

// Validate refuses values that contradict each other.
func (c Config) Validate() error {
	if c.SimulatedTime != (c.OperatorToken != "") {
		return errors.New("--simulated-time and --operator-token go together")
	}
	if c.SimulatedTime && len(c.NTP) > 0 {
		return errors.New("--simulated-time is no time that --ntp could confirm")
	}
	if len(c.NTP) > maxServers {
		return fmt.Errorf("--ntp names at most %d servers", maxServers)
	}
	if c.Rate < 0 {
		return errors.New("--rate is not negative")
	}
	return c.Config.Validate()
}
