package dms

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/session"
)

// maxDrainTime leaves the last connection that is said goodbye to its time to
// go before ops.Serve cuts off what is left.
const maxDrainTime = 30 * time.Second

// Config configures one replica. The replicas of a house share all of it but
// the addresses.
type Config struct {
	ops.Config

	House    string            `help:"Id of the house." required:""`
	RedisURL string            `name:"redis-url" help:"The state of the house, which its replicas share: redis://, redis+sentinel:// or redis+cluster://, or rediss for TLS; see docs/operations.md." default:"redis://127.0.0.1:6379/0"`
	CA       string            `name:"ca" help:"Base URL of the CA." required:""`
	TSA      map[string]string `name:"tsa" help:"Base URL of each time authority by its name in the policy: tsa1=https://..." required:""`

	Root          string `help:"File with the pinned root certificate, PEM." type:"path" required:""`
	Certificate   string `help:"File with this service's certificate chain, PEM." type:"path" required:""`
	Key           string `help:"File with the certificate's key." type:"path" required:""`
	KeyPassphrase string `name:"key-passphrase" help:"File with the passphrase of --key and --log-key, where they are encrypted (by age -p)." type:"path"`
	LogKey        string `name:"log-key" help:"File with the key that signs heads and receipts, as a signed-note key." type:"path" required:""`
	Policy        string `help:"File with the house policy to have in force." type:"path" required:""`
	OperatorToken string `name:"operator-token" help:"File with the operator's token, for audits. Without it there are none." type:"path"`

	SessionModes   []string       `name:"session-modes" help:"Modes of a session that clients may use, of sigilo.v1.mlkem768p256 and sigilo.v1.p256; the best of those that a client offers is taken. Without it, all. One alone keeps out who lacks it."`
	SessionLife    time.Duration  `name:"session-life" help:"How long a connection lives before its client is asked to open the next one." default:"30m"`
	MaxSessions    int            `name:"max-sessions" help:"Connections that this replica holds at once; more are turned away." default:"20000"`
	MaxPerAddress  int            `name:"max-per-address" help:"Of these, connections from one address, those that are still shaking hands included. 0 is no limit." default:"200"`
	TrustedProxies []netip.Prefix `name:"trusted-proxies" help:"Networks of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8. Without one, the connection's own address counts."`
	DrainTime      time.Duration  `name:"drain-time" help:"Over how long the goodbyes are spread when the replica stops. 20s in Kubernetes." default:"1s"`
	Peers          string         `help:"DNS name whose addresses are those of all replicas, such as that of a headless Service. With it a replica that holds more than its share of the sessions lets some go."`

	// OnFrame, if set, sees the plaintext of every frame that clients sent, so
	// that the demo and tests can search it for names. No flag sets it.
	OnFrame func(plaintext []byte) `kong:"-"`
	// OnVerify, if set, gets the verification of a command's signature and that of
	// its stamps, by their op in sigilo_crypto_seconds, after each was done. A
	// benchmark repeats some of them to time what no replica can do without. It
	// is called concurrently. No flag sets it.
	OnVerify func(op string, again func()) `kong:"-"`
	// Log takes the log; nil writes JSON to the standard output.
	Log *slog.Logger `kong:"-"`
	// OnListen is called once with the public and the internal address.
	OnListen func(public, internal string) `kong:"-"`
}

// Validate refuses values that no replica could run with.
func (c Config) Validate() error {
	for i, mode := range c.SessionModes {
		if !slices.Contains(session.Modes(), mode) || slices.Contains(c.SessionModes[:i], mode) {
			return errors.New("session-modes has an unknown mode, or one twice")
		}
	}
	switch {
	case c.SessionLife < time.Minute:
		return errors.New("session-life is at least a minute")
	case c.MaxSessions < 1:
		return errors.New("max-sessions is at least 1")
	case c.MaxPerAddress < 0:
		return errors.New("max-per-address is not negative")
	case c.DrainTime < 0 || c.DrainTime > maxDrainTime:
		return errors.New("drain-time is at most 30s")
	}
	return c.Config.Validate()
}

// modes returns the modes of a session that the replica takes, best first.
func (c Config) modes() []string {
	if len(c.SessionModes) == 0 {
		return session.Modes()
	}
	return slices.DeleteFunc(session.Modes(), func(mode string) bool { return !slices.Contains(c.SessionModes, mode) })
}
