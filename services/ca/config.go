package ca

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/services/ca/registry"
)

// Modes of enrolment.
const (
	ModeInvite = "invite" // an operator's one-time code says who somebody is
	ModeOIDC   = "oidc"   // an OpenID provider says it, or an invite
	ModeOpen   = "open"   // everybody says it of themselves: for trials on one machine
)

// Config configures the CA. The files are those that Bootstrap makes; Files
// fills them in from its folder.
type Config struct {
	ops.Config

	House string `help:"Id of the house." required:""`

	Root          string   `help:"File with the root certificate, PEM. The root's key is not needed, and does not belong here." type:"path" required:""`
	Certificate   string   `help:"File with the CA's intermediate certificate, PEM." type:"path" required:""`
	Key           string   `help:"File with the key of --certificate." type:"path" required:""`
	TokenKey      []string `name:"token-key" help:"File with the key that signs session tokens. More may follow, the next and the one before: they sign nothing, and are in the key set." type:"path" required:""`
	CredentialKey []string `name:"credential-key" help:"File with the key that signs identity credentials. More may follow, as for --token-key; one that has signed stays for 90 days." type:"path" required:""`
	KeyPassphrase string   `name:"key-passphrase" help:"File with the passphrase of the key files that are encrypted (by age -p). Others are read as they are." type:"path"`
	OperatorToken string   `name:"operator-token" help:"File with the operator's token." type:"path" required:""`
	Registry      string   `help:"File of the registry (SQLite). It holds names: keep it on this service's own disk." type:"path" default:"registry.db"`

	Mode       string `help:"Who may enrol: invite (whoever has an operator's code), oidc (also whoever an OpenID provider knows) or open (everybody, under any name)." enum:"invite,oidc,open" default:"invite"`
	OpenPublic bool   `name:"open-public" help:"Let --mode=open listen on an address that others can reach. Anybody can then be anybody."`

	OIDCIssuer     string   `name:"oidc-issuer" help:"URL of the OpenID provider of --mode=oidc, as its ID tokens have it."`
	OIDCClientID   string   `name:"oidc-client-id" help:"Id of this house's client at the provider: the audience of ID tokens."`
	OIDCUsername   string   `name:"oidc-username" help:"Claim that becomes the username, when somebody enrols first." default:"preferred_username"`
	OIDCAttributes []string `name:"oidc-attributes" help:"Claims that become attributes, where an ID token has them as text, such as name,email. An email counts only if the provider has verified it."`

	MaxKeys   int           `name:"max-keys" help:"How many keys a person may have in use at once, one a device. With more than 1 the house cannot tell a seller who bids on the own item under another key." default:"1"`
	Retention time.Duration `help:"Erase people from the registry when this long has passed since their last certificate ended; at least 2160h, in which they may still renew. 0: when the operator says so." default:"0s"`

	CertificateLife time.Duration  `name:"certificate-life" help:"How long a participant's certificate is good for." default:"8h"`
	Rate            float64        `help:"Requests a second for enrolment and tokens that one address may make; bursts of ten seconds' worth. 0 is no limit." default:"20"`
	TrustedProxies  []netip.Prefix `name:"trusted-proxies" help:"Networks of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8. Without one, the connection's own address counts."`

	SimulatedTime  bool   `name:"simulated-time" help:"Follow the clock of the time authority of --tsa, which must be simulated. For demonstrations and tests."`
	TSA            string `name:"tsa" help:"Base URL of the time authority to follow."`
	TSACertificate string `name:"tsa-certificate" help:"File with the certificate of that time authority, PEM." type:"path"`

	// Clock, if set, is the time instead of this machine's. No flag sets it.
	Clock auction.Clock `kong:"-"`
	// Log takes the log lines; nil means standard output. No flag sets it.
	Log *slog.Logger `kong:"-"`
	// OnListen is called once with the public and the internal address.
	OnListen func(public, internal string) `kong:"-"`
}

// Certificates of participants live for hours: it is how the loss of a key that nobody
// notices ends by itself.
const (
	minCertificateLife = 10 * time.Minute
	maxCertificateLife = 7 * 24 * time.Hour
)

// defaultMaxKeys stands for a MaxKeys of 0. Nobody carries more than maxMaxKeys devices.
const (
	defaultMaxKeys = 1
	maxMaxKeys     = 100
)

// Validate refuses values that no CA should run with.
func (c Config) Validate() error {
	switch {
	case c.Mode != ModeInvite && c.Mode != ModeOIDC && c.Mode != ModeOpen:
		return errors.New("--mode is invite, oidc or open")
	case (c.Mode == ModeOIDC) != (c.OIDCIssuer != "") || (c.Mode == ModeOIDC) != (c.OIDCClientID != ""):
		return errors.New("--mode=oidc, --oidc-issuer and --oidc-client-id go together")
	case c.Mode == ModeOIDC && !secret(c.OIDCIssuer):
		return errors.New("--oidc-issuer is an https URL, since the provider's keys come from there")
	case c.Mode == ModeOIDC && c.OIDCUsername == "":
		return errors.New("--oidc-username names a claim")
	case c.Mode == ModeOpen && !c.OpenPublic && !loopback(c.Listen):
		return errors.New("--mode=open lets anybody be anybody: it listens on a loopback address alone, unless --open-public")
	case c.CertificateLife < minCertificateLife || c.CertificateLife > maxCertificateLife:
		return errors.New("--certificate-life is between 10m and 168h")
	case c.MaxKeys < 0 || c.MaxKeys > maxMaxKeys:
		return fmt.Errorf("--max-keys is between 1 and %d", maxMaxKeys)
	case c.Retention != 0 && c.Retention < registry.RenewalGrace:
		return fmt.Errorf("--retention is 0s or at least %v, in which a key may still be renewed", registry.RenewalGrace)
	case c.Rate < 0:
		return errors.New("--rate is not negative")
	case c.SimulatedTime != (c.TSA != "") || c.SimulatedTime != (c.TSACertificate != ""):
		return errors.New("--simulated-time, --tsa and --tsa-certificate go together")
	case c.SimulatedTime && c.Clock != nil:
		return errors.New("a clock is given, and simulated time too")
	}
	return c.Config.Validate()
}

// secret reports whether nobody on the way can change what comes from a URL.
func secret(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && loopback(net.JoinHostPort(u.Hostname(), "0")))
}

// loopback reports whether nobody but this machine reaches an address to listen
// on. An empty host is every address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
