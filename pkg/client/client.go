package client

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Options are what a caller may set; the zero value is for a person.
type Options struct {
	HTTP          *http.Client // nil means one with sensible limits; redirects are not followed whatever it says
	Log           *slog.Logger // nil discards
	AllowInsecure bool         // plain http and ws beyond this machine
	Modes         []string     // of a session that are offered, of session.Modes; nil means all

	// OnReceive, if set, sees every byte that the client received, decrypted:
	// messages of the session and bodies of HTTP answers. It is called
	// concurrently.
	OnReceive func([]byte)
	// OnStamp, if set, is told of each answer of a time authority. It is called
	// concurrently.
	OnStamp func(authority string, d time.Duration, err error)
	// OnStatus, if set, is told when the connection comes and goes.
	OnStatus func(Status)
	// OnMessages, if set, gets private messages that come unasked.
	OnMessages func([]wire.Message)
}

// Status is how a client stands with its house.
type Status string

// Statuses of a client.
const (
	StatusConnected   Status = "connected"
	StatusMoving      Status = "moving"       // to another replica, before it leaves this one
	StatusUnconfirmed Status = "unconfirmed"  // connection lost: what was sent is not confirmed yet
	StatusClosed      Status = "disconnected" // by Close
)

// Client works with one profile. All methods are safe for concurrent use.
type Client struct {
	profile  *Profile
	options  Options
	verifier *identity.Verifier
	checker  *accept.Checker
	roots    [][]byte

	maxEvents int // the constant, less in tests

	ctx    context.Context // of the connections; ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	enrolling sync.Mutex   // one enrolment, renewal or token at a time
	sending   atomic.Int32 // commands that wait for their answers
	syncing   sync.Mutex   // one reading of the house log at a time
	amending  sync.Mutex   // one change of a record of a close at a time

	dialing chan struct{} // has room for one: one connection attempt at a time
	opened  time.Time     // when the last one succeeded; of who dials
	brief   int           // connections in a row that did not last; of who dials

	mu      sync.Mutex
	token   string
	link    *link // the current connection, nil if there is none
	replica int   // index of the replica to try next
	follows map[auction.LogID]*Follow
	house   *auction.House          // as far as it was read
	listed  map[auction.ID]listed   // of the terms in house
	logged  int64                   // bytes of house in the profile
	trust   *trust                  // of the policy in force, nil before the first connection
	earlier map[auction.Hash]*trust // of policies that are not in force any more
}

// New makes a client of a profile. It connects when it must.
func New(profile *Profile, options Options) (*Client, error) {
	if !options.AllowInsecure {
		if err := profile.house.CheckURLs(); err != nil {
			return nil, err
		}
	}
	root, err := profile.house.root()
	if err != nil {
		return nil, err
	}
	checker, err := accept.New(profile.house.House, [][]byte{root}, nil)
	if err != nil {
		return nil, err
	}
	if options.HTTP == nil {
		options.HTTP = &http.Client{Timeout: httpTimeout}
	}
	// Nothing is sent where a redirect says: an invite could go out in clear.
	direct := *options.HTTP
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	options.HTTP = &direct
	if options.Modes == nil {
		options.Modes = session.Modes()
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		profile: profile, options: options, verifier: checker.Verifier(), checker: checker, roots: [][]byte{root},
		follows: make(map[auction.LogID]*Follow), house: new(auction.House),
		listed: make(map[auction.ID]listed), earlier: make(map[auction.Hash]*trust), dialing: make(chan struct{}, 1), maxEvents: maxEvents,
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, c.loadHouseLog()
}

// Profile returns the client's profile.
func (c *Client) Profile() *Profile { return c.profile }

// Close ends the connections and waits for all that the client started.
func (c *Client) Close() {
	c.cancel()
	c.tasks.Wait()
	c.status(StatusClosed)
}

func (c *Client) status(s Status) {
	if c.options.OnStatus != nil {
		c.options.OnStatus(s)
	}
}

func (c *Client) received(data []byte) {
	if c.options.OnReceive != nil {
		c.options.OnReceive(data)
	}
}

// Now returns the trusted time: a stamp and the monotonic clock since. It
// connects if it must, to learn whose stamps count.
func (c *Client) Now(ctx context.Context) (auction.Time, error) {
	t, err := c.trusted(ctx)
	if err != nil {
		return 0, err
	}
	if now, err := t.clock.Now(); err == nil && !t.policy.Simulated {
		return now, nil
	}
	if err := t.clock.Refresh(ctx); err != nil {
		return 0, err
	}
	return t.clock.Now()
}

// Policy returns the house policy in force and its hash.
func (c *Client) Policy(ctx context.Context) (auction.Policy, auction.Hash, error) {
	t, err := c.trusted(ctx)
	if err != nil {
		return auction.Policy{}, auction.Hash{}, err
	}
	return t.policy, t.hash, nil
}
