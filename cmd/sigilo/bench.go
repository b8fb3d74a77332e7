package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"time"

	"github.com/sigilo/sigilo/bench"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// benchCmd holds the benchmarks: sigilo bench NAME.
type benchCmd struct {
	Load      benchLoadCmd      `cmd:"" help:"Put a house of your own under load."`
	Bid       benchBidCmd       `cmd:"" help:"Measure what a bid costs the DMS, against the floor of its cryptography."`
	Hostile   benchHostileCmd   `cmd:"" help:"Measure what honest bidders lose to floods."`
	Fanout    benchFanoutCmd    `cmd:"" help:"Measure what an event costs the DMS for each of many spectators."`
	Handshake benchHandshakeCmd `cmd:"" help:"Measure what setting up a session costs, in each mode."`
	Scale     benchScaleCmd     `cmd:"" help:"Measure how the bids a second grow with the replicas."`
	TSA       benchTSACmd       `cmd:"" name:"tsa" help:"Measure what a stamp costs a time authority, beside sigstore's."`
	CA        benchCACmd        `cmd:"" name:"ca" help:"Measure what a certificate costs a CA, beside step-ca."`
	TSAServer benchTSAServerCmd `cmd:"" name:"tsa-server" hidden:"" help:"The time authority of bench tsa, in a process of its own."`
	CAServer  benchCAServerCmd  `cmd:"" name:"ca-server" hidden:"" help:"The CA of bench ca, in a process of its own."`
	DMS       benchDMSCmd       `cmd:"" name:"dms" hidden:"" help:"The replica of the other benchmarks, in a process of its own."`
}

type benchBidCmd struct {
	Redis        string        `help:"URL of an empty Redis to use instead of starting one; what it holds stays there." placeholder:"URL"`
	Participants int           `help:"Bidders, each over a connection of its own." default:"128"`
	Auctions     int           `help:"Auctions that they bid in, in turn." default:"1000"`
	Duration     time.Duration `help:"Of each of the two measures." default:"10s"`
	Warmup       time.Duration `help:"Before them." default:"3s"`
	CPUProfile   string        `name:"cpu-profile" help:"File for a CPU profile of the DMS while it is saturated." type:"path" placeholder:"FILE"`
}

func (benchBidCmd) Help() string {
	return `It starts a house of its own on this machine: a redis-server whose writes are on disk
before they are answered, and the DMS in a process of its own. First the DMS gets as many
bids as it takes, then half as many. Needs Linux and redis-server.

Example: sigilo bench bid --json`
}

// Run measures a bid.
func (c *benchBidCmd) Run(ctx context.Context, a *app) error {
	program, err := os.Executable()
	if err != nil {
		return local("find this program: %w", err)
	}
	result, err := bench.Bid(ctx, bench.BidConfig{
		DMS: []string{program, "bench", "dms"}, RedisURL: c.Redis, Participants: c.Participants, Auctions: c.Auctions,
		Duration: c.Duration, Warmup: c.Warmup, Profile: c.CPUProfile, Progress: a.err,
	})
	return a.report(result, err)
}

type benchHandshakeCmd struct {
	Rounds int `help:"Handshakes in each mode." default:"1000"`
}

func (benchHandshakeCmd) Help() string {
	return `Example: sigilo bench handshake --json`
}

// Run measures handshakes. Needs no house.
func (c *benchHandshakeCmd) Run(ctx context.Context, a *app) error {
	result, err := bench.Handshake(ctx, c.Rounds)
	return a.report(result, err)
}

type benchDMSCmd struct{}

// Run runs a replica that another benchmark asks about itself.
func (benchDMSCmd) Run(ctx context.Context, a *app) error { return bench.RunDMS(ctx, a.in, a.out) }

type benchLoadCmd struct {
	House            string        `help:"House file, or the ready file of a house that is up, whose operator's token then makes the invites." type:"path" required:"" env:"SIGILO_BENCH_HOUSE" placeholder:"FILE"`
	OperatorToken    string        `help:"File with the operator's token, to make invites with. Without one, enrolment must be open." type:"path" env:"SIGILO_BENCH_OPERATOR_TOKEN" placeholder:"FILE"`
	Participants     int           `help:"Bidders, each with a key, a certificate and a connection of its own." default:"50" env:"SIGILO_BENCH_PARTICIPANTS"`
	Auctions         int           `help:"Auctions that they bid in, in turn. One is the hot auction." default:"100" env:"SIGILO_BENCH_AUCTIONS"`
	Rate             float64       `help:"Bids a second, whatever the answers (open loop). 0: each participant bids again when it is answered (closed loop)." default:"0" env:"SIGILO_BENCH_RATE"`
	Duration         time.Duration `help:"Of the measure." default:"30s" env:"SIGILO_BENCH_DURATION"`
	Warmup           time.Duration `help:"Of the same load before it." default:"2s" env:"SIGILO_BENCH_WARMUP"`
	Check            float64       `help:"Share of the receipts that are verified fully." default:"0.1" env:"SIGILO_BENCH_CHECK"`
	StampKey         string        `help:"File with the key of the house's only time authority: stamp with it here instead of asking. For houses started for this alone." type:"path" env:"SIGILO_BENCH_STAMP_KEY" placeholder:"FILE"`
	StampCertificate string        `help:"File with the certificate of --stamp-key." type:"path" env:"SIGILO_BENCH_STAMP_CERTIFICATE" placeholder:"FILE"`
	Metrics          string        `help:"Address to show metrics of this program at, such as 127.0.0.1:9464." env:"SIGILO_BENCH_METRICS" placeholder:"ADDRESS"`
}

func (benchLoadCmd) Help() string {
	return `It enrols its participants, lists auctions, bids, checks receipts, and prints how long
an answer took from when its bid was to be sent. It speaks to this machine and to
private networks alone. Ctrl-C ends it early, with the result so far.

Example: sigilo up --ready-file house.json
         sigilo bench load --house house.json --participants 100 --rate 500`
}

// Run puts a house under load.
func (c *benchLoadCmd) Run(ctx context.Context, a *app) error {
	house, err := client.LoadHouse(c.House)
	if err != nil {
		return local("%w", err)
	}
	token, err := c.operatorToken()
	if err != nil {
		return local("read the operator's token: %w", err)
	}
	result, err := bench.Load(ctx, bench.LoadConfig{
		House: house, OperatorToken: token, AllowInsecure: a.Insecure,
		Participants: c.Participants, Auctions: c.Auctions, Rate: c.Rate, Duration: c.Duration, Warmup: c.Warmup,
		Check: c.Check, StampKey: c.StampKey, StampCertificate: c.StampCertificate,
		Metrics: c.Metrics, Progress: a.err,
	})
	return a.report(result, err)
}

// maxReadyFile is far above the size of a ready file, maxOperatorToken above
// that of a token, in bytes.
const (
	maxReadyFile     = 64 << 10
	maxOperatorToken = 1 << 10
)

// operatorToken reads the token from its own file, or from a ready file.
func (c *benchLoadCmd) operatorToken() (string, error) {
	if c.OperatorToken != "" {
		token, err := identity.LoadSecret(c.OperatorToken, maxOperatorToken)
		return strings.TrimSpace(string(token)), err
	}
	data, err := identity.LoadSecret(c.House, maxReadyFile)
	if err != nil {
		return "", nil // a house file may be public, and holds no token
	}
	var ready client.ReadyFile
	if wire.Unmarshal(data, &ready) != nil {
		return "", nil
	}
	return ready.OperatorToken, nil
}

// report prints a result, also one that comes with an error.
func (a *app) report(result bench.Result, failed error) error {
	if result.Name == "" {
		return failed
	}
	if !a.JSON {
		if err := result.Print(a.out); err != nil {
			return err
		}
		return failed
	}
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	if err := e.Encode(result); err != nil {
		return err
	}
	return failed
}
