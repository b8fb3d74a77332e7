package auction_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenLog is a whole auction with a tie, recorded bids and a close, as it
// stands in the logs, and what it amounts to.
type goldenLog struct {
	House   []goldenEntry
	Auction []goldenEntry
	Digest  auction.Hash // what the stamps of the close are over
	State   goldenState
}

type goldenEntry struct {
	Event      string
	Commitment auction.Hash
	Salt       auction.Blob
	Private    auction.Blob
	Leaf       auction.Hash
}

type goldenState struct {
	Head                  auction.Head
	Seller                auction.Hash
	Bids, Recorded        int
	Leader, Winner        auction.Pseudonym
	LeaderAmount, Amount  auction.Amount
	Least                 auction.Amount
	End, Arrival, TieEnds auction.Time
	TermsHash, PolicyHash auction.Hash
	Outcome               string
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
	g.Digest, g.State = auction.CloseDigest(id, *state.Closed.Head), summary(state)
	return g
}

func summary(s *auction.State) goldenState {
	return goldenState{
		Head: s.Head(), Seller: auction.Hash(s.Seller), Bids: len(s.Bids), Recorded: len(s.Recorded),
		Leader: s.Leader.Pseudonym, LeaderAmount: s.Leader.Amount, Winner: s.Closed.Winner, Amount: s.Closed.Amount,
		Least: s.Least(), End: s.End(), Arrival: s.Arrival(), TieEnds: s.TieEnds(),
		TermsHash: s.TermsHash, PolicyHash: s.Terms.Policy, Outcome: s.Closed.Outcome,
	}
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

// The logs of a whole auction keep their bytes, and amount to the same for ever.
func TestGoldenLog(t *testing.T) {
	const file = "testdata/log.json"
	s := newScene(t)
	id := s.Listed("seller", s.Terms())
	s.Clock.Advance(time.Minute)
	tie, leader := s.Bid(id, "anna", 1000), s.Bid(id, "ben", 1000)
	s.Accept(leader)
	s.Accept(tie)
	end := s.State(id).End()
	s.Clock.Set(end)
	s.Accept(auctiontest.Restamped(s.Bid(id, "ben", 1049), end-2))
	s.Accept(auctiontest.Restamped(s.Bid(id, "carl", auction.MaxAmount), end-1))
	s.Ended(id)
	made := goldenOf(s, id)

	if *update {
		data, err := json.MarshalIndent(made, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var golden goldenLog
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(made, golden) {
		t.Error("the same commands give other bytes than before")
	}
	if got := summary(replayGolden(t, golden)); got != golden.State {
		t.Errorf("replays to %+v, want %+v", got, golden.State)
	}
}

// The logs of each release that are kept in testdata replay to the state and the
// hashes that they had then. A release adds a folder; none is ever changed.
func TestReleasedLogs(t *testing.T) {
	files, err := filepath.Glob("testdata/v[0-9]*/log.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no kept logs: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var kept goldenLog
			if err := json.Unmarshal(data, &kept); err != nil {
				t.Fatal(err)
			}
			if got := summary(replayGolden(t, kept)); got != kept.State {
				t.Errorf("replays to %+v, want %+v", got, kept.State)
			}
		})
	}
}
