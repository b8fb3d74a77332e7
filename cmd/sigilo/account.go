package main

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
)

type enrollCmd struct {
	House     string            `placeholder:"FILE" help:"The house's file, or the ready file of a house that is up. Needed once: the profile pins it."`
	Invite    string            `placeholder:"CODE" help:"The code that the house's operator gave you."`
	Login     bool              `help:"Log in with a browser on this machine, where the house has an identity provider."`
	Username  string            `placeholder:"NAME" help:"Your name, where the house takes everybody."`
	Attribute map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"More about you, with --username: email=ada@example.org. Repeat it for more."`
}

func (enrollCmd) Help() string {
	return `Examples:

    sigilo enroll --house house.json --invite 7K3F-...
    sigilo enroll --house house.json --login
    sigilo enroll --house ready.json --username ada --attribute email=ada@example.org
    sigilo enroll                 (logs in again after a logout)`
}

// Validate demands what belongs together.
func (cmd *enrollCmd) Validate() error {
	switch {
	case cmd.Login && (cmd.Invite != "" || cmd.Username != ""):
		return errors.New("--login says who you are: leave --invite and --username out")
	case cmd.Invite != "" && cmd.Username != "":
		return errors.New("--invite names you already: leave --username out")
	case cmd.Username == "" && len(cmd.Attribute) > 0:
		return errors.New("--attribute goes with --username")
	}
	return nil
}

func (cmd *enrollCmd) asNewcomer() bool { return cmd.Invite != "" || cmd.Username != "" || cmd.Login }

// loginPatience is how long a person may take to log in with a browser.
const loginPatience = 5 * time.Minute

// enrolled is what an enrolment gives.
type enrolled struct {
	House       string            `json:"house"`
	Profile     string            `json:"profile"`
	Participant auction.Hash      `json:"participant"` // permanent identifier
	Claims      map[string]string `json:"claims"`
}

// Run makes the profile, unless it is there, and enrols its key.
func (cmd *enrollCmd) Run(ctx context.Context, a *app) error {
	patience := a.Timeout
	if cmd.Login {
		patience += loginPatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, err := cmd.profile(a)
	if err != nil {
		return err
	}
	if err := a.open(p); err != nil {
		return err
	}
	switch {
	case cmd.asNewcomer():
		who := client.Enrolment{Invite: cmd.Invite, Username: cmd.Username, Attributes: cmd.Attribute}
		if cmd.Login {
			who.Browse = func(url string) error {
				a.note("log in with a browser on this machine, within %v: %s", loginPatience, plain(url))
				return nil
			}
		}
		err = a.node.Enroll(ctx, who)
	case !p.Enrolled():
		err = a.node.Renew(ctx)
	}
	if err != nil {
		return err
	}
	claims, err := a.node.Claims()
	if err != nil {
		return local("read the credential: %w", err)
	}
	// The first connection pins the key that the house signs its logs with.
	if _, _, err := a.node.Policy(ctx); err != nil {
		a.note("you are enrolled, and the auctions do not answer yet: %s", plain(explain(err)))
	}
	a.result(enrolled{p.House().House, p.Dir(), auction.Hash(p.Participant()), claims}, func() { a.printEnrolled(p, claims) })
	return nil
}

// profile opens the profile or makes it. A house file of the house that is
// pinned says where it is now.
func (cmd *enrollCmd) profile(a *app) (*client.Profile, error) {
	var house client.House
	var err error
	if cmd.House != "" {
		if house, err = client.LoadHouse(cmd.House); err != nil {
			return nil, local("read the house's file: %w", err)
		}
	}
	if a.Profile == "" {
		return nil, local("no profile directory: say which with --profile")
	}
	p, err := client.OpenProfile(a.Profile)
	switch {
	case err == nil && cmd.House != "":
		if err := p.Relocate(house); err != nil {
			return nil, local("%w (--profile takes another directory)", err)
		}
		return p, nil
	case err == nil:
		return p, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, local("open the profile: %w", err)
	case cmd.House == "":
		return nil, usage("--house is needed to make a profile: the file says where the house is, and which root to trust")
	case !cmd.asNewcomer():
		return nil, usage("--invite is needed to make a profile, or --login where the house has an identity provider, or --username where it takes everybody")
	}
	if p, err = client.CreateProfile(a.Profile, house); err != nil {
		return nil, local("make the profile: %w", err)
	}
	return p, nil
}

func (a *app) printEnrolled(p *client.Profile, claims map[string]string) {
	a.print("enrolled with house %s", p.House().House)
	a.print("profile      %s", p.Dir())
	a.print("permanent id %s", p.Participant())
	a.print("The CA knows your name and what else you gave: %s.", names(claims))
	a.print("The auctions' service knows the permanent id and what you list and bid, and never your name.")
	a.print("Everybody else sees a new random name for each thing that you do. Only the other side of a sale learns what you disclose to it.")
}

type logoutCmd struct {
	Forget bool `help:"Remove the keys too. What you won or sold cannot be disclosed any more, and you cannot come back as the same participant."`
}

func (logoutCmd) Help() string {
	return `Example: sigilo logout

The keys stay, so that sigilo enroll logs you in again.`
}

// Run removes what a session needs, or everything.
func (cmd *logoutCmd) Run(a *app) error {
	p, err := a.profile()
	if err != nil {
		return err
	}
	if err := p.Logout(cmd.Forget); err != nil {
		return local("log out: %w", err)
	}
	a.result(struct {
		Profile string `json:"profile"`
		Forgot  bool   `json:"forgot"`
	}{p.Dir(), cmd.Forget}, func() {
		if cmd.Forget {
			a.print("forgotten: %s", p.Dir())
			return
		}
		a.print("logged out; the keys stay in %s", p.Dir())
	})
	return nil
}
