package dms

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/auction/auctiontest"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// The session's frames hold exactly what messages may have.
func TestFrameSizes(t *testing.T) {
	if session.MaxClientPlaintext != wire.MaxClientMessage || session.MaxServerPlaintext != wire.MaxServerFrame {
		t.Error("the limits of wire and session differ")
	}
}

// The largest of each kind of element fits an empty page.
func TestLargestMessages(t *testing.T) {
	listing := largestListing(t)
	chain := slices.Repeat([]auction.Blob{make(auction.Blob, 1<<10)}, wire.MaxChain) // ours have 600 bytes
	closed := wire.Entry{Event: string(auction.Event{
		Seq: 1, Kind: auction.AuctionClosed, Auction: listing.id, Time: 1, Outcome: auction.Unsold,
		Head: &auction.Head{}, Stamps: blobsOf(tokens()),
	}.Encode())}
	private := auction.Private{JWS: make([]byte, wire.MaxCommand), Tokens: tokens(), TS: 1, Arrival: 1}.Encode()
	entry := wire.Entry{Event: listing.event, Private: private, Salt: make(auction.Blob, auction.SaltSize)}
	largest := map[string][]any{
		"entry with its chain": {entry, chain},
		"policy":               {wire.Entry{Event: strings.Repeat("x", auction.MaxEvent)}},
		"item": {wire.Item{
			Title: strings.Repeat("\\", auction.MaxTitle), Mine: slices.Repeat([]wire.MyBid{{
				Pseudonym: auction.Pseudonym(listing.id), Seq: 1 << 52, Amount: auction.MaxAmount, Status: wire.BidRecorded,
			}}, maxMyBids),
		}},
		"closed": {wire.Message{
			Auction: listing.id, Message: auction.MessageClosed, Role: wire.RoleSeller, Outcome: auction.Sold, Close: &closed,
			Counterpart: &wire.Counterpart{Event: listing.event, Private: private, Salt: entry.Salt, Chain: chain},
			Proof:       make([]auction.Hash, 20), // a log of a million entries
		}},
		"disclosure": {wire.Message{
			Auction: listing.id, Message: auction.MessageDisclosure,
			JWS: strings.Repeat("x", wire.MaxCommand), Sealed: make(auction.Blob, wire.MaxSealed),
		}},
	}
	for name, elements := range largest {
		left := room(frameRoom)
		if fits, err := left.take(elements...); err != nil || !fits {
			t.Errorf("%s does not fit a frame: %v", name, err)
		}
	}
}

// tokens are those of as many authorities as a policy may name. Ours have less
// than 450 bytes.
func tokens() [][]byte { return slices.Repeat([][]byte{make([]byte, 512)}, auction.MaxAuthorities) }

func blobsOf(in [][]byte) []auction.Blob {
	out := make([]auction.Blob, len(in))
	for i, b := range in {
		out[i] = b
	}
	return out
}

// largestListing is a listing whose text grows most on its way: each quotation
// mark is escaped in the terms, in the event, and in the message.
func largestListing(t *testing.T) (listing struct {
	id    auction.ID
	event string
},
) {
	t.Helper()
	s := newStage(t, nil)
	c := s.List("seller", s.Terms())
	for n := auction.MaxDescription; ; n -= 50 {
		terms := s.Terms()
		terms.Description = strings.Repeat(`"`, n)
		doc, err := terms.Encode()
		if err != nil {
			t.Fatal(err)
		}
		// The payload of a JWS in base64, with the terms in it as a JSON string.
		payload, err := wire.Marshal(string(doc))
		if err != nil {
			t.Fatal(err)
		}
		if len(payload)*4/3 < wire.MaxCommand {
			c.Terms, listing.id = doc, c.Auction
			listing.event = string(auction.JoinEvent(1, c.Event().Tail()))
			return listing
		}
	}
}

// What is larger than a frame is not sent, and its asker learns that.
func TestMessageLargerThanAFrame(t *testing.T) {
	s := newStage(t, nil)
	c := s.srv.newConn()
	if err := c.answer(&wire.ItemAnswer{ID: 7, Terms: strings.Repeat("x", wire.MaxServerFrame)}); err != nil {
		t.Fatal(err)
	}
	if err := c.answer(&wire.InboxAnswer{Messages: []wire.Message{{JWS: strings.Repeat("x", wire.MaxServerFrame)}}}); err != nil {
		t.Fatal(err)
	}
	queued, err := c.queue.Next(t.Context())
	if err != nil || len(queued) != 1 {
		t.Fatal(len(queued), err)
	}
	m := messagesOf(t, queued[0])[0]
	if r, ok := m.(*wire.RefusedAnswer); !ok || r.ID != 7 || r.Code != auction.CodeInternal {
		t.Errorf("got %+v", m)
	}
}

// Pages of any list hold each element once, in order, and fit frames.
func TestPages(t *testing.T) {
	s := newStage(t, nil)
	seen := make(map[auction.ID]bool)
	var last auction.ID
	var all []auction.ID
	for range 2*pageItems + 3 {
		terms := s.Terms()
		terms.Title = strings.Repeat(`"`, auction.MaxTitle)
		all = append(all, s.Listed("seller", terms))
	}
	for pages := 0; ; pages++ {
		answer, err := s.srv.items(context.Background(), 1, auction.Command{Kind: auction.KindAllItems}, last)
		if err != nil {
			t.Fatal(err)
		}
		page := fitting(t, answer).(*wire.ItemsAnswer)
		for _, item := range page.Items {
			if seen[item.Auction] || item.Auction != all[len(seen)] {
				t.Fatal("an auction twice, or out of order")
			}
			seen[item.Auction], last = true, item.Auction
		}
		if !page.More {
			break
		}
	}
	if len(seen) != len(all) {
		t.Errorf("%d auctions on the pages, want %d", len(seen), len(all))
	}
}

// fitting holds that a message fits a frame, and returns it as its reader gets it.
func fitting(t *testing.T, m wire.ServerMessage) wire.ServerMessage {
	t.Helper()
	data := wire.AppendMessage(nil, m)
	if len(data) > wire.MaxServerFrame {
		t.Fatalf("a message of %d bytes", len(data))
	}
	out, err := wire.ParseServer(data[:len(data)-1])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEntryPages(t *testing.T) {
	s := newStage(t, nil)
	id := s.listed(3 * pageEntries)
	c := s.srv.newConn()
	c.party = party("bidder 0")
	for _, view := range []wire.View{wire.ViewPublic, wire.ViewOwn} {
		next, own := uint64(1), 0
		for more := true; more; {
			answer, err := c.entries(context.Background(), &wire.EntriesRequest{ID: 1, Log: auction.LogID(id), From: next, View: view})
			if err != nil {
				t.Fatal(err)
			}
			page := fitting(t, answer).(*wire.EntriesAnswer)
			for _, e := range page.Entries {
				entry, err := e.Entry()
				if err != nil || entry.Seq != next {
					t.Fatal(entry.Seq, err)
				}
				next++
				if len(e.Private) > 0 {
					own++
				}
			}
			more = page.More
		}
		want := map[wire.View]int{wire.ViewPublic: 0, wire.ViewOwn: 3 * pageEntries / 2}[view]
		if next != 3*pageEntries+2 || own != want {
			t.Errorf("%s: %d entries, %d of them open, want %d", view, next-1, own, want)
		}
	}
}

// An inbox that does not fit a frame comes in pages, one after the other was
// acknowledged.
func TestInboxPages(t *testing.T) {
	s := newStage(t, nil)
	const auctions = 12
	for range auctions {
		id := s.Listed("seller", s.Terms())
		c := s.Bid(id, "winner", 2000)
		c.JWS = []byte(strings.Repeat("x", wire.MaxCommand))
		s.Accept(c)
		s.Ended(id)
	}
	seller := auctiontest.Participant("seller")
	got := 0
	for pages := 1; ; pages++ {
		answer, err := s.srv.inbox(context.Background(), 1, seller)
		if err != nil {
			t.Fatal(err)
		}
		page := fitting(t, answer).(*wire.InboxAnswer)
		for _, m := range page.Messages {
			got++
			if err := s.Acknowledge(context.Background(), m.Auction, seller, m.Message); err != nil {
				t.Fatal(err)
			}
		}
		if !page.More {
			if pages == 1 {
				t.Error("all fit one page: this test shows nothing")
			}
			break
		}
	}
	if got != auctions {
		t.Errorf("%d messages, want %d", got, auctions)
	}
}
