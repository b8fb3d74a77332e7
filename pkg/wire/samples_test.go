package wire_test

import (
	"strings"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

const note = "sigilo/head/v1 demo/house\n12\nAAAA\n\n— demo BBBB\n"

// sample is a message under a name of its own.
type sample[M any] struct {
	name string
	m    M
}

// requests is one good message of each form that a client sends.
func requests() []sample[wire.ClientMessage] {
	leaf := hashOf("leaf")
	receipt := auction.Receipt{
		Auction: lot, Seq: 7, Leaf: leaf, Index: 1, Batch: 2, Path: []auction.Hash{hashOf("other")}, Signature: []byte("signature"),
	}
	return []sample[wire.ClientMessage]{
		{"command", &wire.CommandRequest{ID: 1, JWS: "a.b.c", Stamps: []auction.Blob{[]byte("stamp one"), []byte("stamp two")}}},
		{"command-query", &wire.CommandRequest{ID: 1<<32 - 1, JWS: "a.b.c", Stamps: []auction.Blob{}}},
		{"command-disclose", &wire.CommandRequest{ID: 2, JWS: "a.b.c", Stamps: []auction.Blob{}, Sealed: []byte("sealed")}},
		{"follow", &wire.FollowRequest{ID: 3, Log: auction.LogID(lot), Seq: 7, Leaf: &leaf}},
		{"follow-with-a-receipt", &wire.FollowRequest{ID: 8, Log: auction.LogID(lot), Receipt: &receipt}},
		{"follow-from-the-start", &wire.FollowRequest{ID: 4, Log: auction.HouseLog}},
		{"unfollow", &wire.UnfollowRequest{ID: 5, Log: auction.HouseLog}},
		{"entries", &wire.EntriesRequest{ID: 6, Log: auction.LogID(lot), From: 1, View: wire.ViewOwn}},
		{"acknowledge", &wire.AcknowledgeRequest{ID: 7, Auction: lot, Message: auction.MessageClosed}},
	}
}

// answers is one good message of each form that the DMS sends.
func answers() []sample[wire.ServerMessage] {
	e := entry()
	public := wire.EntryOf(e.Public())
	open, closed := openItem(), closedItem()
	sold := wire.Message{
		Auction: lot, Message: auction.MessageClosed, Role: wire.RoleSeller, Outcome: auction.Sold, Close: &public,
		Counterpart: &wire.Counterpart{
			Event: string(e.Event), Commitment: e.Commitment, Salt: e.Salt, Private: e.Private,
			Chain: []auction.Blob{[]byte("leaf certificate"), []byte("issuer certificate")},
		},
		Proof: []auction.Hash{hashOf("sibling"), hashOf("uncle")},
	}
	unsold := wire.Message{
		Auction: lot, Message: auction.MessageClosed, Role: wire.RoleSeller, Outcome: auction.Unsold, Close: &public,
	}
	disclosed := wire.Message{Auction: lot, Message: auction.MessageDisclosure, JWS: "a.b.c", Sealed: []byte("sealed")}
	return []sample[wire.ServerMessage]{
		{"receipt", &wire.ReceiptAnswer{
			ID: 1, Event: string(e.Event), Commitment: e.Commitment, Salt: e.Salt, Arrival: 1_780_000_000_123_456, CRL: 3,
			Receipt: auction.Receipt{
				Auction: lot, Seq: 2, Leaf: e.Leaf(), Index: 1, Batch: 2, Path: []auction.Hash{hashOf("other")},
				Signature: []byte("signature"),
			},
		}},
		{"receipt-alone", &wire.ReceiptAnswer{
			ID: 1, Event: string(e.Event), Commitment: e.Commitment, Salt: e.Salt, Arrival: 1_780_000_000_123_456,
			Receipt: auction.Receipt{Auction: lot, Seq: 2, Leaf: e.Leaf(), Batch: 1, Path: []auction.Hash{}, Signature: []byte("signature")},
		}},
		{"refused", &wire.RefusedAnswer{ID: 2, Code: auction.CodeBidTooLow, Detail: "bid at least the least acceptable amount", Least: 1600}},
		{"refused-unreadable", &wire.RefusedAnswer{Code: auction.CodeBadRequest, Detail: "not the JSON that the protocol describes"}},
		{"ok", &wire.OKAnswer{ID: 3}},
		{"items", &wire.ItemsAnswer{ID: 4, Items: []wire.Item{open, closed}, More: true}},
		{"items-none", &wire.ItemsAnswer{ID: 5, Items: []wire.Item{}}},
		{"item", &wire.ItemAnswer{ID: 6, Item: open, Terms: string(terms()), Head: note}},
		{"following", &wire.FollowingAnswer{ID: 7, Log: auction.HouseLog, Head: note}},
		{"entries", &wire.EntriesAnswer{
			ID: 8, Log: auction.LogID(lot), Entries: []wire.Entry{wire.EntryOf(e), public},
			Certificates: [][]auction.Blob{{[]byte("leaf certificate"), []byte("issuer certificate")}}, More: true, Head: note,
		}},
		{"entries-none", &wire.EntriesAnswer{ID: 9, Log: auction.HouseLog, Entries: []wire.Entry{}, Head: note}},
		{"inbox", &wire.InboxAnswer{ID: 10, Messages: []wire.Message{sold, unsold, disclosed}}},
		{"inbox-unasked", &wire.InboxAnswer{Messages: []wire.Message{disclosed}, More: true}},
		{"event", &wire.EventNotice{Log: auction.LogID(lot), Event: string(e.Event), Commitment: e.Commitment}},
		{"snapshot", &wire.SnapshotNotice{Log: auction.LogID(lot), Code: auction.CodeTooOld, Detail: "it was archived", Item: &closed, Head: note}},
		{"snapshot-house", &wire.SnapshotNotice{Log: auction.HouseLog, Code: auction.CodeHistoryChanged, Detail: "keep your proof", Head: note}},
		{"bye", &wire.ByeNotice{Reason: wire.ReasonDrain, After: 5000}},
	}
}

func openItem() wire.Item {
	return wire.Item{
		Auction: lot, Title: listing().Title, Currency: "EUR", Minimum: 1000, Increment: 100,
		Closes: listing().Closes, TieWindow: 1_000_000, TermsHash: auction.TermsHash(terms()),
		Status: wire.StatusOpen, Bids: 1, Highest: 1500, Leader: alice, Least: 1600,
		Head: auction.Head{Size: 2, Root: hashOf("head")},
		Mine: []wire.MyBid{{Pseudonym: alice, Seq: 2, Amount: 1500, Status: wire.BidLeading}},
	}
}

func closedItem() wire.Item {
	i := openItem()
	i.Status, i.Least, i.Mine = wire.StatusClosed, 0, nil
	i.Outcome, i.Winner = auction.Sold, alice
	return i
}

func entry() auction.Entry {
	salt := []byte(strings.Repeat("s", auction.SaltSize))
	private := auction.Private{
		JWS: []byte("a.b.c"), Tokens: [][]byte{[]byte("stamp")}, Certificate: thumbprint,
		Participant: auction.Participant(hashOf("peer")), CRL: 3, Arrival: 1_780_000_000_123_456, TS: 1_780_000_000_000_001,
	}.Encode()
	return auction.Entry{
		Seq: 2, Event: bidEvent().Encode(), Commitment: auction.Commit(salt, private), Salt: salt, Private: private,
	}
}

func bidEvent() auction.Event {
	return auction.Event{
		Seq: 2, Kind: auction.SomeoneBid, Auction: lot, Pseudonym: alice, Time: 1_780_000_000, Amount: 1500,
	}
}

func listedEvent() auction.Event {
	return auction.Event{
		Seq: 1, Kind: auction.SomeoneListed, Auction: lot, Pseudonym: auction.Pseudonym(lot),
		Time: 1_780_000_000, Terms: string(terms()),
	}
}
