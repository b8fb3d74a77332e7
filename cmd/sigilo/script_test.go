package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/services/allinone"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sigilo": main})
}

// TestOffline runs what needs no house. EVIDENCE names a folder with bundles.
func TestOffline(t *testing.T) {
	bundles, err := filepath.Abs("../../pkg/evidence/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/offline", Cmds: commands(), RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("EVIDENCE", bundles)
			e.Setenv("SIGILO_PROFILE", filepath.Join(e.WorkDir, "profile"))
			return nil
		},
	})
}

// TestHouse runs each script against a house of its own, over real sockets. Its
// time is simulated, so that scripts reach a close without waiting for it.
func TestHouse(t *testing.T) {
	cmds := commands()
	maps.Copy(cmds, map[string]func(*testscript.TestScript, bool, []string){
		"advance": advance, "invite": invite, "approve": approve, "stop-replica": stopReplica, "other-house": otherHouse,
		"unanswer": unanswer, "moment": moment,
	})
	testscript.Run(t, testscript.Params{
		Dir: "testdata/house", Cmds: cmds, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error { return startHouse(t, e) },
	})
}

type houseKey struct{}

func startHouse(t *testing.T, e *testscript.Env) error {
	h, err := allinone.Start(context.WithoutCancel(t.Context()), allinone.Config{
		Dir: filepath.Join(e.WorkDir, "house"), SimulatedTime: true, OpenEnrolment: true,
	})
	if err != nil {
		return err
	}
	e.Defer(func() {
		if err := h.Stop(); err != nil {
			t.Error(err)
		}
	})
	e.Values[houseKey{}] = &house{House: h}
	ready, err := json.Marshal(h.Ready)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(e.WorkDir, "ready.json"), ready, 0o600)
}

// house is the house of a script, and how far its time is ahead.
type house struct {
	*allinone.House
	ahead time.Duration
}

func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"exits": exits, "capture": capture, "flip": flip, "trust-file": trustFile,
	}
}

// exits STATUS COMMAND...: the command ends with that exit status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// capture NAME REGEXP: sets a variable to the group in the last standard output.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("the output does not match %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// flip FILE OFFSET: changes one bit of the file.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	data := []byte(ts.ReadFile(args[0]))
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	data[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

// trust-file FILE ROOT LOGKEY: writes a trust file for the house demo.
func trustFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: trust-file FILE ROOT LOGKEY")
	}
	data, err := json.Marshal(map[string]any{"house": "demo", "roots": args[1:2], "log_keys": args[2:3]})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

// advance DURATION: moves the house's time forward.
func advance(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: advance DURATION")
	}
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	h := ts.Value(houseKey{}).(*house)
	h.ahead += d
	ts.Check(h.SetTime(context.Background(), auction.TimeOf(time.Now().Add(h.ahead))))
}

// moment NAME DURATION: sets a variable to a time that is so far ahead in the house.
func moment(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: moment NAME DURATION")
	}
	d, err := time.ParseDuration(args[1])
	ts.Check(err)
	ahead := ts.Value(houseKey{}).(*house).ahead
	ts.Setenv(args[0], time.Now().Add(ahead+d).UTC().Format(time.RFC3339))
}

// invite NAME USERNAME ROLE: sets a variable to an invite.
func invite(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: invite NAME USERNAME ROLE")
	}
	code, err := ts.Value(houseKey{}).(*house).Invite(context.Background(), args[1], nil, args[2])
	ts.Check(err)
	ts.Setenv(args[0], code)
}

// approve AUCTION THUMBPRINT: lets an auditor see an auction.
func approve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: approve AUCTION THUMBPRINT")
	}
	thumbprint, err := auction.ParseHash(args[1])
	ts.Check(err)
	ts.Check(ts.Value(houseKey{}).(*house).ApproveAudit(context.Background(), auction.ID(args[0]), thumbprint))
}

// stop-replica N: stops a replica as a SIGTERM would.
func stopReplica(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: stop-replica N")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(ts.Value(houseKey{}).(*house).Replicas()[n-1].Stop())
}

// other-house FILE: writes the file of a house that is not on this machine.
func otherHouse(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: other-house FILE")
	}
	h, err := ts.Value(houseKey{}).(*house).Client()
	ts.Check(err)
	h.House, h.CA, h.TSA, h.DMS = "other", "http://ca.example", []string{"http://tsa.example"}, []string{"http://dms.example"}
	data, err := json.Marshal(h)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

// unanswer PROFILE: takes the profile back to before the house's answers came,
// as if the program had ended after the house had committed.
func unanswer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unanswer PROFILE")
	}
	receipts, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "receipts", "*"))
	ts.Check(err)
	for _, path := range receipts {
		var placed struct {
			Prepared json.RawMessage `json:"prepared"`
		}
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(path)), &placed))
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), "pending", filepath.Base(path)), placed.Prepared, 0o600))
		ts.Check(os.Remove(path))
	}
}
