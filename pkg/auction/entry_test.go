package auction_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	someID        = auction.ID("0f3a9c12-5b7d-4e21-9abc-0123456789ab")
	somePseudonym = auction.Pseudonym("1f3a9c12-5b7d-4e21-9abc-0123456789ab")
)

func validEvents() map[string]auction.Event {
	at := int64(1_893_456_000)
	head, auditor := auction.Head{Size: 3, Root: auction.Hash{9}}, auction.Hash{8}
	return map[string]auction.Event{
		"listed":   {Seq: 1, Kind: auction.SomeoneListed, Auction: someID, Pseudonym: auction.Pseudonym(someID), Time: at, Terms: `{"v":1}`},
		"bid":      {Seq: 2, Kind: auction.SomeoneBid, Auction: someID, Pseudonym: somePseudonym, Time: at, Amount: auction.MaxAmount},
		"recorded": {Seq: 3, Kind: auction.SomeoneBid, Auction: someID, Pseudonym: somePseudonym, Time: at, Amount: 1, Recorded: true},
		"sold": {
			Seq: 4, Kind: auction.AuctionClosed, Auction: someID, Time: at, Amount: 7, Outcome: auction.Sold,
			Winner: somePseudonym, Head: &head, Stamps: []auction.Blob{{1, 2}},
		},
		"unsold": {
			Seq: 4, Kind: auction.AuctionClosed, Auction: someID, Time: at, Outcome: auction.Unsold,
			Head: &head, Stamps: []auction.Blob{{1, 2}, {3}},
		},
		"outage": {
			Seq: 4, Kind: auction.AuctionExtended, Auction: someID, Time: at, Ends: 1<<53 - 1, Cause: auction.CauseOutage,
			Outage: &auction.Outage{From: 1, To: 2}, Signature: make([]byte, 64),
		},
		"policy":    {Seq: 1, Kind: auction.PolicyAdopted, Time: at, Policy: "{}"},
		"approved":  {Seq: 5, Kind: auction.AuditApproved, Auction: someID, Time: at, Auditor: &auditor},
		"disclosed": {Seq: 6, Kind: auction.AuditDisclosed, Auction: someID, Time: at, Auditor: &auditor},
	}
}

func TestEvents(t *testing.T) {
	for name, e := range validEvents() {
		back, err := auction.ParseEvent(e.Encode())
		if err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("%s: %+v, %v", name, back, err)
		}
		if joined := auction.JoinEvent(e.Seq, e.Tail()); !bytes.Equal(joined, e.Encode()) {
			t.Errorf("%s: number and tail give %s", name, joined)
		}
	}
	// place.lua turns the tail of a bid into that of a recorded bid.
	bid := validEvents()["recorded"]
	bid.Recorded = false
	tail := bid.Tail()
	recorded := string(tail[:len(tail)-1]) + `,"recorded":true}`
	if want := string(validEvents()["recorded"].Tail()); recorded != want {
		t.Errorf("recorded by text %s, want %s", recorded, want)
	}
}

// The tails that are written without the encoder are what it writes.
func TestBidTails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digit := rapid.SampledFrom([]byte("0123456789abcdef"))
		id := func(label string) string {
			hex := rapid.SliceOfN(digit, 36, 36).Draw(t, label)
			hex[8], hex[13], hex[14], hex[18], hex[19], hex[23] = '-', '-', '4', '-', '8', '-'
			return string(hex)
		}
		c := auction.Command{
			Kind: auction.KindBid, Auction: auction.ID(id("auction")), Pseudonym: auction.Pseudonym(id("pseudonym")),
			Amount: auction.Amount(rapid.Int64Range(1, int64(auction.MaxAmount)).Draw(t, "amount")),
			TS:     auction.Time(rapid.Int64Range(1e6, 1<<53-1).Draw(t, "ts")),
		}
		bid, extension := c.BidTails()
		if want := c.Event().Tail(); !bytes.Equal(bid, want) {
			t.Errorf("bid %s, want %s", bid, want)
		}
		ends := rapid.Int64Range(1, 1<<53-1).Draw(t, "ends")
		whole := fmt.Sprintf(`%s%d,"cause":"bid"}`, extension, ends)
		if want := c.Extension(auction.Time(ends)).Tail(); whole != string(want) {
			t.Errorf("extension %s, want %s", whole, want)
		}
	})
}

func TestEventsOfAnotherShapeAreRefused(t *testing.T) {
	for name, change := range map[string]func(*auction.Event){
		"number 0":               func(e *auction.Event) { e.Seq = 0 },
		"no time":                func(e *auction.Event) { e.Time = 0 },
		"late time":              func(e *auction.Event) { e.Time = 1 << 43 },
		"another kind":           func(e *auction.Event) { e.Kind = "someone_left" },
		"a member of each other": func(e *auction.Event) { e.Policy, e.Terms, e.Outcome = "x", "x", auction.Sold },
		"an auction that is none": func(e *auction.Event) {
			e.Auction = "x"
		},
		"an auditor and a winner": func(e *auction.Event) { e.Auditor, e.Winner = new(auction.Hash), somePseudonym },
		"an amount out of range":  func(e *auction.Event) { e.Amount = auction.MaxAmount + 1 },
		"a negative amount":       func(e *auction.Event) { e.Amount = -1 },
		"a pseudonym that is none": func(e *auction.Event) {
			e.Pseudonym = "X"
		},
	} {
		for kind, e := range validEvents() {
			change(&e)
			if _, err := auction.ParseEvent(e.Encode()); auction.CodeOf(err) != auction.CodeBadRequest {
				t.Errorf("%s in %s: %v", name, kind, err)
			}
		}
	}
	if _, err := auction.ParseEvent(make([]byte, auction.MaxEvent+1)); auction.CodeOf(err) != auction.CodeTooLarge {
		t.Errorf("an event that is too large: %v", err)
	}
}

// The longest terms that the rules allow fit into an event.
func TestLongestTermsFit(t *testing.T) {
	terms := validTerms()
	terms.Title, terms.Description = strings.Repeat(`"`, auction.MaxTitle), strings.Repeat(`\`, auction.MaxDescription)
	terms.Disclose = nil
	for i := range auction.MaxClaims {
		terms.Disclose = append(terms.Disclose, strings.Repeat("x", 31)+string(rune('a'+i)))
	}
	doc, err := terms.Encode()
	if err != nil {
		t.Fatal(err)
	}
	e := validEvents()["listed"]
	e.Terms = string(doc)
	if _, err := auction.ParseEvent(e.Encode()); err != nil {
		t.Error(err)
	}
}

func validPrivate() auction.Private {
	return auction.Private{
		JWS: []byte("a.b.c"), Tokens: [][]byte{{1, 2, 3}, {}}, Certificate: auction.Hash{4},
		Participant: auction.Participant{5}, CRL: 1 << 63, Arrival: 1<<53 - 1, TS: 1,
	}
}

func TestPrivate(t *testing.T) {
	p := validPrivate()
	data := p.Encode()
	back, err := auction.ParsePrivate(data)
	if err != nil || !reflect.DeepEqual(back, p) {
		t.Errorf("reads back as %+v, %v", back, err)
	}
	for n := range data {
		if _, err := auction.ParsePrivate(data[:n]); auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("%d bytes of it: %v", n, err)
		}
	}
	long := binary.BigEndian.AppendUint32(nil, 1<<31)
	for name, bad := range map[string][]byte{
		"a byte more":   append(bytes.Clone(data), 0),
		"a long length": append(long, data...),
		"too large":     make([]byte, auction.MaxPrivate+1),
		"no time":       func() []byte { q := p; q.TS = 0; return q.Encode() }(),
		"late arrival":  func() []byte { q := p; q.Arrival = 1 << 53; return q.Encode() }(),
		"negative time": func() []byte { q := p; q.TS = -1; return q.Encode() }(),
		"too many stamps": func() []byte {
			q := p
			q.Tokens = make([][]byte, auction.MaxAuthorities+1)
			return q.Encode()
		}(),
	} {
		if _, err := auction.ParsePrivate(bad); auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCommitment(t *testing.T) {
	salt, private := bytes.Repeat([]byte{7}, auction.SaltSize), validPrivate().Encode()
	e := auction.Entry{Seq: 1, Event: []byte("{}"), Commitment: auction.Commit(salt, private), Salt: salt, Private: private}
	if _, err := e.Open(); err != nil {
		t.Fatal(err)
	}
	if e.Public().Leaf() != e.Leaf() || e.Public().Salt != nil || e.Public().Private != nil {
		t.Error("the public entry has another leaf, or something private")
	}
	for name, change := range map[string]func(*auction.Entry){
		"another salt":       func(e *auction.Entry) { e.Salt = bytes.Repeat([]byte{8}, auction.SaltSize) },
		"a short salt":       func(e *auction.Entry) { e.Salt = salt[1:] },
		"another private":    func(e *auction.Entry) { e.Private = append(bytes.Clone(private), 0) },
		"another commitment": func(e *auction.Entry) { e.Commitment[0]++ },
	} {
		changed := e
		change(&changed)
		if _, err := changed.Open(); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	for _, e := range validEvents() {
		f.Add(e.Encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := auction.ParseEvent(data)
		if err != nil {
			return
		}
		if !bytes.Equal(e.Encode(), data) || !bytes.Equal(auction.JoinEvent(e.Seq, e.Tail()), data) {
			t.Errorf("accepted %q, which encodes as %q", data, e.Encode())
		}
	})
}

func FuzzParsePrivate(f *testing.F) {
	f.Add(validPrivate().Encode())
	f.Add(auction.Private{Arrival: 1, TS: 1}.Encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := auction.ParsePrivate(data); err == nil && !bytes.Equal(p.Encode(), data) {
			t.Errorf("accepted %x, which encodes as %x", data, p.Encode())
		}
	})
}
