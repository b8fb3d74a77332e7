package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"github.com/sigilo/sigilo/pkg/ops"
)

// root is the command line. A command is a struct of flags with a method
// Run(context.Context, *app) error, and Help() string with an example.
type root struct {
	globals
	Version kong.VersionFlag `help:"Print the version and exit."`

	Enroll   enrollCmd   `cmd:"" help:"Enrol with an auction house and make a profile."`
	List     listCmd     `cmd:"" help:"List an item."`
	Bid      bidCmd      `cmd:"" help:"Bid on an item."`
	Withdraw withdrawCmd `cmd:"" help:"Withdraw an item that you listed, before the first bid."`
	Items    itemsCmd    `cmd:"" help:"Show all auctions."`
	Item     itemCmd     `cmd:"" help:"Show one auction."`
	MyItems  myItemsCmd  `cmd:"" help:"Show the auctions that you listed."`
	MyBids   myBidsCmd   `cmd:"" help:"Show your bids and where they stand."`
	Watch    watchCmd    `cmd:"" help:"Follow an auction, or the house's listings, as they happen."`
	Inbox    inboxCmd    `cmd:"" help:"Check and show your private messages: sales, and who the other side is."`
	Disclose discloseCmd `cmd:"" help:"Tell the other side of a sale who you are."`
	Evidence evidenceCmd `cmd:"" help:"Save the evidence of an auction to a file."`
	Verify   verifyCmd   `cmd:"" help:"Check evidence offline."`
	Doctor   doctorCmd   `cmd:"" help:"Find out what works and what does not."`
	Logout   logoutCmd   `cmd:"" help:"Remove the certificate and the credential from the profile."`
	Shell    shellCmd    `cmd:"" help:"Work with the house interactively."`
	Demo     demoCmd     `cmd:"" help:"Hold a whole auction on this machine, and tell it as a story."`
	Trial    trialCmd    `cmd:"" help:"Hold a short auction in a house that is up, and check all that it says."`
	Up       upCmd       `cmd:"" help:"Run a whole auction house on this machine."`
	Bench    benchCmd    `cmd:"" help:"Measure a house of your own."`
	CA       caCmd       `cmd:"" name:"ca" help:"Operate the CA of a house: invite, list, revoke and erase people, read the audit."`
	DMS      dmsCmd      `cmd:"" name:"dms" help:"Operate the DMS of a house: extend, cancel and resume auctions, save what was proven against time authorities."`
}

const description = `Takes part in auctions whose house cannot see who you are.

Exit status: 0 it is done; 1 it was refused, or does not hold; 2 wrong usage;
3 the house is unavailable, or has not confirmed yet; 4 a problem on this
machine, such as the profile or a file.`

// globals are the flags that every command has.
type globals struct {
	Profile  string        `help:"Directory with your keys." env:"SIGILO_PROFILE" default:"${profile}" placeholder:"DIR"`
	JSON     bool          `name:"json" help:"Print JSON for programs."`
	Insecure bool          `help:"Allow connections without TLS beyond this machine. Others can then see and change what they carry."`
	Quantum  bool          `name:"require-post-quantum" help:"Talk to the house only in a session that a quantum computer of later days cannot open from a recording. It is taken anyway where the house has it."`
	Timeout  time.Duration `help:"How long to wait for the house; watch and shell wait as long as you do." default:"30s"`
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, s streams) int {
	var r root
	a := &app{streams: s, globals: &r.globals, terminal: isTerminal}
	defer a.close()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parse(&r, args, s, "sigilo --help shows how")
	if err != nil { // kong sets no flags then
		r.JSON = slices.Contains(args, "--json")
	}
	if command != nil {
		command.BindTo(ctx, (*context.Context)(nil))
		err = command.Run(a)
	}
	return a.fail(err)
}

// parse reads a command line into grammar. Both results are nil if it asked for
// help or the version, which are printed. hint says where help is.
func parse(grammar any, args []string, s streams, hint string, options ...kong.Option) (*kong.Context, error) {
	exited := false // kong goes on after a call of exit that returns
	options = append([]kong.Option{
		kong.Name("sigilo"),
		kong.Description(description),
		kong.Vars{"profile": defaultProfile(), "version": ops.Version()},
		kong.Writers(s.out, s.err),
		kong.Exit(func(int) { exited = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	}, options...)
	parser, err := kong.New(grammar, options...)
	if err != nil {
		return nil, err
	}
	command, err := parser.Parse(args)
	switch {
	case exited:
		return nil, nil
	case err != nil:
		return nil, usage("%w (%s)", err, hint)
	}
	return command, nil
}

// defaultProfile is where a person's programs keep their settings.
func defaultProfile() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "sigilo")
}
