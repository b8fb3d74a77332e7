package evidence

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

var update = flag.Bool("update", false, "write the golden vectors anew")

// vectors are what another implementation must agree with, byte for byte.
type vectors struct {
	LogKey      string              `json:"log_key"`
	Entries     []entryVector       `json:"entries"`
	Heads       []headVector        `json:"heads"` // of the log of these entries, and of an empty one
	Alone       auction.Receipt     `json:"alone"`
	Batch       []auction.Receipt   `json:"batch"`
	Inclusion   []inclusionVector   `json:"inclusion"`
	Consistency []consistencyVector `json:"consistency"`
}

type entryVector struct {
	Event      string       `json:"event"`
	Salt       auction.Blob `json:"salt"`
	Private    auction.Blob `json:"private"`
	Commitment auction.Hash `json:"commitment"`
	Leaf       auction.Hash `json:"leaf"`
}

type headVector struct {
	House string        `json:"house"`
	Log   auction.LogID `json:"log"`
	Head  auction.Head  `json:"head"`
	Note  string        `json:"note"`
}

type inclusionVector struct {
	Seq   uint64         `json:"seq"`
	Head  auction.Head   `json:"head"`
	Proof []auction.Hash `json:"proof"`
}

type consistencyVector struct {
	From  auction.Head   `json:"from"`
	To    auction.Head   `json:"to"`
	Proof []auction.Hash `json:"proof"`
}

func makeVectors(t *testing.T) vectors {
	signer, key := testLogKey(t, 1)
	v := vectors{LogKey: key.String()}
	var leaves []auction.Hash
	for i := range 5 {
		seq := uint64(i) + 1
		event := auction.Event{
			Seq: seq, Kind: auction.SomeoneBid, Auction: testAuction, Pseudonym: auction.Pseudonym(testAuction),
			Time: 1_772_600_000, Amount: auction.MaxAmount - auction.Amount(i),
		}
		private := auction.Private{
			JWS: []byte("a.b.c"), Tokens: [][]byte{{0x30, 0x00}}, Certificate: hash([]byte("certificate")),
			Participant: auction.Participant(hash([]byte("participant"))), CRL: 7,
			Arrival: 1_772_600_000_123_456, TS: 1_772_600_000_000_001,
		}
		salt := hash([]byte{byte(i)})
		e := auction.Entry{Seq: seq, Event: event.Encode(), Salt: salt[:], Private: private.Encode()}
		e.Commitment = auction.Commit(e.Salt, e.Private)
		leaves = append(leaves, e.Leaf())
		v.Entries = append(v.Entries, entryVector{string(e.Event), e.Salt, e.Private, e.Commitment, e.Leaf()})
		v.Batch = append(v.Batch, auction.Receipt{Auction: testAuction, Seq: seq, Leaf: e.Leaf()})
	}
	head := func(size int) auction.Head {
		return auction.Head{Size: uint64(size), Root: oracleRoot(t, leaves[:size])}
	}
	alone := []auction.Receipt{v.Batch[0]}
	for _, receipts := range [][]auction.Receipt{alone, v.Batch} {
		if err := signer.SignReceipts(receipts); err != nil {
			t.Fatal(err)
		}
	}
	v.Alone = alone[0]
	for _, h := range []headVector{{testHouse, auction.HouseLog, head(0), ""}, {testHouse, auction.LogID(testAuction), head(5), ""}} {
		h.Note = must(signer.SignHead(h.House, h.Log, h.Head))(t)
		v.Heads = append(v.Heads, h)
	}
	for seq := range uint64(5) {
		v.Inclusion = append(v.Inclusion, inclusionVector{seq + 1, head(5), must(ProveInclusion(leaves, seq+1, 5))(t)})
	}
	for size := range 6 {
		v.Consistency = append(v.Consistency, consistencyVector{head(size), head(5), must(ProveConsistency(leaves, uint64(size), 5))(t)})
	}
	return v
}

func TestVectors(t *testing.T) {
	got, err := json.MarshalIndent(makeVectors(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "vectors.json", append(got, '\n'))
}

// TestBundleVectors holds that evidence of today verifies for ever.
func TestBundleVectors(t *testing.T) {
	if *update {
		s := newStory(t, houseOptions{})
		party := s.bundle(Party, 2, 3, 6)
		party.Receipts = s.receipts(2, 3, 6)
		for _, b := range []*Bundle{s.bundle(Public), party, s.bundle(Audit)} {
			golden(t, string(b.Kind)+".evidence", encode(t, b))
		}
		golden(t, "trust.json", append(must(json.MarshalIndent(s.trust(), "", "  "))(t), '\n'))
	}
	trust := must(ParseTrust(must(os.ReadFile(filepath.Join("testdata", "trust.json")))(t)))(t)
	for _, kind := range []Kind{Public, Party, Audit} {
		data := must(os.ReadFile(filepath.Join("testdata", string(kind)+".evidence")))(t)
		v, err := Verify(data, trust)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		golden(t, string(kind)+".verdict", []byte(v.String()))
	}
}

// The evidence of each release that is kept in testdata holds, and says what it
// said then. A release adds a folder; none is ever changed.
func TestReleasedBundles(t *testing.T) {
	folders := must(filepath.Glob(filepath.Join("testdata", "v[0-9]*")))(t)
	if len(folders) == 0 {
		t.Fatal("no kept evidence")
	}
	for _, folder := range folders {
		trust := must(ParseTrust(must(os.ReadFile(filepath.Join(folder, "trust.json")))(t)))(t)
		for _, file := range must(filepath.Glob(filepath.Join(folder, "*.evidence")))(t) {
			v, err := Verify(must(os.ReadFile(file))(t), trust)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			want := must(os.ReadFile(strings.TrimSuffix(file, ".evidence") + ".verdict"))(t)
			if v.String() != string(want) {
				t.Errorf("%s: another verdict than then", file)
			}
		}
	}
}

// golden compares with a file of testdata, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := must(os.ReadFile(path))(t); !bytes.Equal(got, want) {
		t.Errorf("%s differs from what is made now", path)
	}
}
