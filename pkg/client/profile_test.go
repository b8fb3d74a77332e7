package client_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// What a profile keeps is for its owner alone, and there is nothing in it but
// what the documentation names.
func TestProfileFiles(t *testing.T) {
	seller, bidder := enrol(t), enrol(t)
	id := seller.list(t)
	must(bidder.Bid(within(t), id, 1000))(t)
	known := map[string]bool{
		"house.json": true, "key.pem": true, "chain.pem": true, "credential": true, "house.log": true,
		"disclosure": true, "pending": true, "receipts": true, "closed": true, "junk": true,
	}
	err := filepath.WalkDir(bidder.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%s has mode %v", path, mode)
		}
		if filepath.Dir(path) == bidder.dir && !known[entry.Name()] {
			t.Errorf("%s is not documented", path)
		}
		return nil
	})
	check(t, err)
	if n := len(must(os.ReadDir(filepath.Join(bidder.dir, "receipts")))(t)); n != 1 {
		t.Errorf("%d receipts", n)
	}
}

func TestCreateProfile(t *testing.T) {
	house := must(theHouse.Client())(t)
	dir := filepath.Join(t.TempDir(), "profile")
	p := must(client.CreateProfile(dir, house))(t)
	if p.Enrolled() || p.Dir() != dir {
		t.Fatalf("a new profile in %s, enrolled %v", p.Dir(), p.Enrolled())
	}
	if _, err := client.CreateProfile(dir, house); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("a profile made twice: %v", err)
	}
	if again := must(client.OpenProfile(dir))(t); again.Participant() != p.Participant() {
		t.Fatal("another key")
	}

	// A creation that ended before it named the house is taken up again.
	check(t, os.Remove(filepath.Join(dir, "house.json")))
	if _, err := client.OpenProfile(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("half a profile opens: %v", err)
	}
	if again := must(client.CreateProfile(dir, house))(t); again.Participant() != p.Participant() {
		t.Fatal("another key")
	}

	for name, change := range map[string]func(*client.House){
		"no house":    func(h *client.House) { h.House = "" },
		"a bad name":  func(h *client.House) { h.House = "Demo House" },
		"no root":     func(h *client.House) { h.Root = "" },
		"two roots":   func(h *client.House) { h.Root += h.Root },
		"no CA":       func(h *client.House) { h.CA = "" },
		"no TSA":      func(h *client.House) { h.TSA = nil },
		"no replicas": func(h *client.House) { h.DMS = nil },
	} {
		bad := house
		change(&bad)
		if _, err := client.CreateProfile(filepath.Join(t.TempDir(), "profile"), bad); err == nil {
			t.Errorf("%s: a profile was made", name)
		}
	}
}

func TestRelocate(t *testing.T) {
	p := enrol(t)
	must(p.Items(within(t)))(t)
	pinned := p.Profile().House().LogKey
	moved := must(theHouse.Client())(t)
	moved.DMS = []string{"https://dms.example"}
	check(t, p.Profile().Relocate(moved))
	again := must(client.OpenProfile(p.dir))(t).House()
	if again.DMS[0] != "https://dms.example" || again.LogKey != pinned || pinned == "" {
		t.Fatalf("the house is now %+v", again)
	}
	other := moved
	other.House = "other"
	wantCode(t, p.Profile().Relocate(other), auction.CodeNotAllowed)
}

func TestPlainConnections(t *testing.T) {
	house := must(theHouse.Client())(t)
	house.TSA = []string{"http://tsa.example"}
	p := must(client.CreateProfile(filepath.Join(t.TempDir(), "profile"), house))(t)
	_, err := client.New(p, client.Options{})
	wantCode(t, err, auction.CodeNotAllowed)
	must(client.New(p, client.Options{AllowInsecure: true}))(t).Close()
}

// Logging out keeps what makes the participant; forgetting removes what is the
// profile's and nothing else.
func TestLogout(t *testing.T) {
	p := enrol(t)
	id := p.list(t)
	check(t, p.Profile().Logout(false))
	if p.Profile().Enrolled() {
		t.Fatal("still enrolled")
	}
	c := p.restart(t)
	_, err := c.Items(within(t))
	wantCode(t, err, auction.CodeBadCertificate)
	check(t, c.Renew(within(t)))
	if mine := must(c.MyItems(within(t)))(t); len(mine) != 1 || mine[0].Auction != id {
		t.Fatalf("after a renewal one's items are %v", mine)
	}
	c.Close()

	foreign := filepath.Join(p.dir, "notes.txt")
	check(t, os.WriteFile(foreign, nil, 0o600))
	check(t, c.Profile().Logout(true))
	if left := must(os.ReadDir(p.dir))(t); len(left) != 1 || left[0].Name() != "notes.txt" {
		t.Fatalf("left: %v", left)
	}
	check(t, os.Remove(foreign))
	check(t, c.Profile().Logout(true))
	if _, err := os.Stat(p.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the directory is left: %v", err)
	}
}

// A record that was cut short is an error, not a command that never was.
func TestDamagedRecord(t *testing.T) {
	p := enrol(t)
	pending := filepath.Join(p.dir, "pending", "3f2a91c0-0000-4000-8000-000000000000")
	check(t, os.WriteFile(pending, []byte(`{"kind":"bid"`), 0o600))
	if _, err := p.Profile().Pending(); err == nil {
		t.Fatal("half a record was read")
	}
	if _, _, err := p.Resume(within(t)); err == nil {
		t.Fatal("half a record was resumed")
	}
}

// A house log whose last line was cut short by a crash is read on from there.
func TestHouseLogCutShort(t *testing.T) {
	p := enrol(t)
	id := p.list(t)
	must(p.Items(within(t)))(t)
	log := filepath.Join(p.dir, "house.log")
	data := must(os.ReadFile(log))(t)
	check(t, os.WriteFile(log, data[:len(data)-20], 0o600))
	c := p.restart(t)
	must(c.Item(within(t), id))(t)
	c.Close()
	again := start(t, must(client.OpenProfile(p.dir))(t))
	must(again.Item(within(t), id))(t)
}

func TestEvidence(t *testing.T) {
	seller := enrol(t)
	id := seller.list(t)
	must(enrol(t).Bid(within(t), id, 1000))(t)
	trust := must(seller.Profile().Trust())(t)
	for _, kind := range []evidence.Kind{evidence.Public, evidence.Party} {
		data := must(seller.Evidence(within(t), id, kind))(t)
		v := must(evidence.Verify(data, &trust))(t)
		if v.Auction != id || v.Bids != 1 || !v.Anchored || v.Kind != kind {
			t.Errorf("%s: %+v", kind, v)
		}
		if wantReceipts := map[evidence.Kind]int{evidence.Party: 1}[kind]; v.Receipts != wantReceipts {
			t.Errorf("%s: %d receipts", kind, v.Receipts)
		}
	}
	_, err := seller.Evidence(within(t), id, evidence.Audit)
	wantCode(t, err, auction.CodeNotAllowed)
}

func TestProbes(t *testing.T) {
	p := enrol(t, theHouse.Ready.DMS[0], "http://127.0.0.1:1")
	if _, err := p.ProbeAuthorities(within(t)); auction.CodeOf(err) != auction.CodeUnavailable {
		t.Fatalf("authorities before the first connection: %v", err)
	}
	must(p.Items(within(t)))(t)
	authorities := must(p.ProbeAuthorities(within(t)))(t)
	if len(authorities) != 1 || authorities[0].Err != nil || authorities[0].Time == 0 {
		t.Fatalf("authorities: %+v", authorities)
	}
	if probe := p.ProbeCA(within(t)); probe.Err != nil {
		t.Fatal(probe.Err)
	}
	if probe := p.ProbeToken(within(t)); probe.Err != nil {
		t.Fatal(probe.Err)
	}
	replicas := p.ProbeReplicas(within(t))
	if len(replicas) != 2 || replicas[0].Err != nil || replicas[1].Err == nil {
		t.Fatalf("replicas: %+v", replicas)
	}
	cert := must(p.Certificate())(t)
	if cert.Participant != p.Profile().Participant() {
		t.Fatal("a certificate of somebody else")
	}
}

// Whatever a house file says, it is read strictly.
func FuzzLoadHouse(f *testing.F) {
	f.Add([]byte(`{"house":"demo","root":"","ca":"https://ca.example","tsa":["https://tsa.example"],"dms":["https://dms.example"]}`))
	f.Add([]byte(`{"house":"demo","ca":"","tsa":[],"dms":[],"metrics":[],"web":"","root_certificate":"root.pem","operator_token":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "house.json")
		check(t, os.WriteFile(path, data, 0o600))
		house, err := client.LoadHouse(path)
		if err != nil {
			return
		}
		// What was read is a house, and reads the same again.
		check(t, os.WriteFile(path, must(wire.Marshal(house))(t), 0o600))
		again := must(client.LoadHouse(path))(t)
		if again.House != house.House || len(again.DMS) == 0 || len(again.TSA) == 0 {
			t.Fatalf("%+v, then %+v", house, again)
		}
	})
}
