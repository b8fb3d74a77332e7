package store_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenStory is what stands in Redis of a whole auction, and what it amounts to.
type goldenStory struct {
	Auction    auction.ID
	House, Log []goldenMessage
	State      auctiontest.Summary
}

// goldenMessage is an entry of a stream. The scripts rely on the order of its fields.
type goldenMessage struct {
	ID     string
	Fields []goldenField
}

type goldenField struct {
	Name  string
	Value auction.Blob
}

// streamOf reads a stream as it stands.
func streamOf(t *testing.T, c *redis.Client, key string) []goldenMessage {
	t.Helper()
	messages, err := c.Do(t.Context(), "XRANGE", key, "-", "+").Slice()
	if err != nil {
		t.Fatal(err)
	}
	stream := make([]goldenMessage, len(messages))
	for i, m := range messages {
		pair := m.([]any)
		stream[i].ID = pair[0].(string)
		for field := range slices.Chunk(pair[1].([]any), 2) {
			stream[i].Fields = append(stream[i].Fields, goldenField{field[0].(string), auction.Blob(field[1].(string))})
		}
	}
	return stream
}

// putStream writes a stream as it stood.
func putStream(t *testing.T, c *redis.Client, key string, stream []goldenMessage) {
	t.Helper()
	for _, m := range stream {
		var values []any
		for _, field := range m.Fields {
			values = append(values, field.Name, []byte(field.Value))
		}
		if err := c.XAdd(t.Context(), &redis.XAddArgs{Stream: key, ID: m.ID, Values: values}).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func readGolden(t *testing.T, file string) map[string]goldenStory {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var g map[string]goldenStory
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// What the scripts append keeps its bytes: the streams are the only state that
// cannot be made anew, and another release has to read them.
func TestGoldenStreams(t *testing.T) {
	const file = "testdata/streams.json"
	eachRedis(t, func(t *testing.T, url string) {
		keys := client(t, url)
		made := make(map[string]goldenStory)
		for _, story := range auctiontest.Stories() {
			if err := keys.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			clock := auctiontest.NewClock()
			s := auctiontest.NewStoryScene(t, open(t, url, clock.Now), clock)
			id := story.Tell(s)
			made[story.Name] = goldenStory{
				id, streamOf(t, keys, keyOf(auction.HouseLog)), streamOf(t, keys, keyOf(auction.LogID(id))), auctiontest.Summarize(s.State(id)),
			}
		}
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
		for _, story := range auctiontest.Stories() {
			if !reflect.DeepEqual(made[story.Name], golden[story.Name]) {
				t.Errorf("%s: other bytes stand in Redis than before", story.Name)
			}
		}
	})
}

// A replica of today takes over what each release has left in Redis, with nothing
// there but the streams.
func TestReleasedStreams(t *testing.T) {
	files, err := filepath.Glob("testdata/v[0-9]*/streams.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no kept streams: %v", err)
	}
	eachRedis(t, func(t *testing.T, url string) {
		keys := client(t, url)
		for _, file := range files {
			for name, kept := range readGolden(t, file) {
				if err := keys.FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				log := auction.LogID(kept.Auction)
				putStream(t, keys, keyOf(auction.HouseLog), kept.House)
				putStream(t, keys, keyOf(log), kept.Log)
				clock := auctiontest.NewClock()
				clock.Set(kept.State.Arrival)
				s := open(t, url, clock.Now)
				for _, log := range []auction.LogID{auction.HouseLog, log} {
					if _, err := s.Rebuild(t.Context(), log); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}
				scene := auctiontest.NewStoryScene(t, s, clock) // which adopts the policy that is there
				if got := auctiontest.Summarize(scene.State(kept.Auction)); got != kept.State {
					t.Errorf("%s, %s: replays to %+v, want %+v", file, name, got, kept.State)
				}
				scene.CheckLogs()
				if again := streamOf(t, keys, keyOf(log)); !reflect.DeepEqual(again, kept.Log) {
					t.Errorf("%s, %s: what stood there has changed", file, name)
				}
			}
		}
	})
}
