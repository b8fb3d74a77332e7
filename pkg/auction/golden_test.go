package auction_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenLog is a whole auction as it stands in the logs, and what it amounts to.
type goldenLog struct {
	House   []goldenEntry
	Auction []goldenEntry
	Digest  auction.Hash // what the stamps of the close are over; zero without them
	State   auctiontest.Summary
}

type goldenEntry struct {
	Event      string
	Commitment auction.Hash
	Salt       auction.Blob `json:",omitempty"`
	Private    auction.Blob `json:",omitempty"`
	Leaf       auction.Hash
}

func goldenOf(s *auctiontest.Scene, id auction.ID) goldenLog {
	var g goldenLog
	for _, e := range s.Log(auction.HouseLog) {
		g.House = append(g.House, goldenEntry{string(e.Event), e.Commitment, e.Salt, e.Private, e.Leaf()})
	}
	for _, e := range s.Log(auction.LogID(id)) {
		g.Auction = append(g.Auction, goldenEntry{string(e.Event), e.Commitment, e.Salt, e.Private, e.Leaf()})
	}
	state := s.State(id)
	if state.Closed.Head != nil {
		g.Digest = auction.CloseDigest(id, *state.Closed.Head)
	}
	g.State = auctiontest.Summarize(state)
	return g
}

func readGolden(t *testing.T, file string) goldenLog {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var g goldenLog
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func replayGolden(t *testing.T, g goldenLog) *auction.State {
	t.Helper()
	entry := func(i int, e goldenEntry) auction.Entry {
		out := auction.Entry{
			Seq: uint64(i) + 1, Event: []byte(e.Event), Commitment: e.Commitment, Salt: e.Salt, Private: e.Private,
		}
		if out.Leaf() != e.Leaf {
			t.Errorf("the leaf of entry %d", i+1)
		}
		return out
	}
	house := new(auction.House)
	for i, e := range g.House {
		if err := house.Apply(entry(i, e)); err != nil {
			t.Fatal(err)
		}
	}
	var entries []auction.Entry
	for i, e := range g.Auction {
		entries = append(entries, entry(i, e))
	}
	state, err := auction.Replay(house.Policies, entries)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// The logs of whole auctions keep their bytes, and amount to the same for ever.
func TestGoldenLogs(t *testing.T) {
	for _, story := range auctiontest.Stories() {
		t.Run(story.Name, func(t *testing.T) {
			clock := auctiontest.NewClock()
			memory := auction.NewMemory(clock.Now, auctiontest.Signer{}, auctiontest.Zeros{})
			s := auctiontest.NewStoryScene(t, memory, clock)
			made := goldenOf(s, story.Tell(s))
			file := filepath.Join("testdata", story.Name+".json")
			if *update {
				data, err := json.MarshalIndent(made, "", "\t")
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden := readGolden(t, file)
			if !reflect.DeepEqual(made, golden) {
				t.Error("the same commands give other bytes than before")
			}
			if got := auctiontest.Summarize(replayGolden(t, golden)); got != golden.State {
				t.Errorf("replays to %+v, want %+v", got, golden.State)
			}
		})
	}
}

// The logs of each release that are kept in testdata replay to the state and the
// hashes that they had then. A release adds a folder with a log of each story;
// none is ever changed.
func TestReleasedLogs(t *testing.T) {
	files, err := filepath.Glob("testdata/v[0-9]*/*.json")
	if err != nil || len(files) < len(auctiontest.Stories()) {
		t.Fatalf("%d kept logs: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimPrefix(file, "testdata/"), func(t *testing.T) {
			kept := readGolden(t, file)
			if got := auctiontest.Summarize(replayGolden(t, kept)); got != kept.State {
				t.Errorf("replays to %+v, want %+v", got, kept.State)
			}
		})
	}
}
