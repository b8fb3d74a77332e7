package client_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/services/allinone"
)

// theHouse is a real one with a replica, over real sockets, for all tests of
// this package: they have their own auctions and people in it. Its time is
// simulated.
var theHouse *allinone.House

func TestMain(m *testing.M) { os.Exit(withHouse(m.Run)) }

func withHouse(run func() int) int {
	dir, err := os.MkdirTemp("", "sigilo-client-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	theHouse, err = allinone.Start(context.Background(), allinone.Config{
		Dir: dir, Replicas: 1, SimulatedTime: true, OpenEnrolment: true,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := run()
	if err := theHouse.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// ahead is how far the house's time is ahead of the machine's.
var ahead time.Duration

// advance moves the house's time forward.
func advance(t *testing.T, d time.Duration) {
	t.Helper()
	ahead += d
	check(t, theHouse.SetTime(t.Context(), auction.TimeOf(time.Now().Add(ahead))))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		check(t, err)
		return v
	}
}

// within bounds a test: no step of it takes long.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

var people atomic.Int32

// person is somebody who takes part.
type person struct {
	*client.Client
	name string
	dir  string
}

// enrol makes a person who reaches the house over the given replicas, or the
// real one if there are none.
func enrol(t *testing.T, replicas ...string) person {
	t.Helper()
	house := must(theHouse.Client())(t)
	if len(replicas) > 0 {
		house.DMS = replicas
	}
	p := person{name: fmt.Sprintf("person%d", people.Add(1)), dir: filepath.Join(t.TempDir(), "profile")}
	profile := must(client.CreateProfile(p.dir, house))(t)
	p.Client = start(t, profile)
	check(t, p.Enroll(within(t), client.Enrolment{Username: p.name, Attributes: map[string]string{"email": p.name + "@example.org"}}))
	return p
}

// start makes a client of a profile.
func start(t *testing.T, profile *client.Profile) *client.Client {
	t.Helper()
	c := must(client.New(profile, client.Options{}))(t)
	t.Cleanup(c.Close)
	return c
}

// restart is what a person's next start of the program gives.
func (p person) restart(t *testing.T) *client.Client {
	t.Helper()
	p.Close()
	return start(t, must(client.OpenProfile(p.dir))(t))
}

// list lists an item that closes a minute from now.
func (p person) list(t *testing.T) auction.ID {
	t.Helper()
	now := must(p.Now(within(t)))(t)
	placed := must(p.List(within(t), client.Listing{
		Title: "A clock", Currency: "EUR", Minimum: 1000, Increment: 100,
		Closes: now.Add(time.Minute), TieWindow: time.Second, Disclose: []string{"username"},
	}))(t)
	return placed.Prepared.Auction
}

// bids returns how many bids the house has accepted in an auction.
func bids(t *testing.T, c *client.Client, id auction.ID) uint64 {
	t.Helper()
	return must(c.Item(within(t), id))(t).Item.Bids
}

func wantCode(t *testing.T, err error, want auction.Code) {
	t.Helper()
	if auction.CodeOf(err) != want {
		t.Fatalf("error %v, want %s", err, want)
	}
}
