package client_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// sold is an auction that has closed, with what the house knows of it.
type sold struct {
	id             auction.ID
	seller, winner person
	loser          person
	losing         client.Placed
	leaves         []auction.Hash // of the public log
	forSeller      wire.Message   // that it closed, as the house tells it
	forWinner      wire.Message
}

// sale holds an auction to its close.
func sale(t *testing.T) sold {
	t.Helper()
	s := sold{seller: enrol(t), winner: enrol(t), loser: enrol(t)}
	s.id = s.seller.list(t)
	s.losing = must(s.loser.Bid(within(t), s.id, 1000))(t)
	must(s.winner.Bid(within(t), s.id, 1500))(t)
	f := must(s.loser.Follow(within(t), auction.LogID(s.id)))(t)
	advance(t, 2*time.Minute)
	wantEvents(t, f, auction.SomeoneListed, auction.SomeoneBid, auction.SomeoneBid, auction.AuctionClosed)
	bundle := must(evidence.ParseBundle(must(s.loser.Evidence(within(t), s.id, evidence.Public))(t)))(t)
	for _, e := range bundle.Entries {
		s.leaves = append(s.leaves, e.Leaf())
	}
	s.forSeller, s.forWinner = only(t, s.seller.Client), only(t, s.winner.Client)
	return s
}

// only returns the one message of an inbox.
func only(t *testing.T, c *client.Client) wire.Message {
	t.Helper()
	messages := must(c.Inbox(within(t)))(t)
	if len(messages) != 1 {
		t.Fatalf("%d messages", len(messages))
	}
	return messages[0]
}

// copied returns a message whose parts can be changed.
func copied(m wire.Message) wire.Message {
	record, counterpart := *m.Close, *m.Counterpart
	counterpart.Private = append(auction.Blob(nil), counterpart.Private...)
	counterpart.Salt = append(auction.Blob(nil), counterpart.Salt...)
	m.Close, m.Counterpart = &record, &counterpart
	m.Proof = append([]auction.Hash(nil), m.Proof...)
	return m
}

// counterpartOf is a command as the house would show it to the other side.
func counterpartOf(t *testing.T, p person, placed client.Placed) *wire.Counterpart {
	t.Helper()
	chain := must(identity.LoadChain(filepath.Join(p.dir, "chain.pem")))(t)
	out := &wire.Counterpart{Event: placed.Event, Commitment: placed.Commitment, Salt: placed.Salt, Private: placed.Private}
	for _, der := range chain {
		out.Chain = append(out.Chain, der)
	}
	return out
}

// A house that tells of another close than the log holds is believed nothing:
// another winner, another disclosure key, other stamps, another outcome.
func TestFalseClose(t *testing.T) {
	s := sale(t)
	// The house's own accomplice signs what the winner is to take for the listing.
	accomplice := must(identity.LoadKey(filepath.Join(s.loser.dir, "key.pem")))(t)
	swapKey := func(t *testing.T, c *wire.Counterpart, cheat func(*auction.Private, []byte)) {
		private := must(auction.ParsePrivate(c.Private))(t)
		cmd := must(wire.ParseCommand(private.JWS))(t).Command
		cmd.DisclosureKey = must(wire.ParseCommand([]byte(s.losing.Prepared.JWS)))(t).DisclosureKey
		cheat(&private, must(wire.Sign(accomplice, private.Certificate, cmd, nil))(t))
		c.Private = private.Encode()
	}
	tests := []struct {
		name string
		to   person
		lie  func(*testing.T, *wire.Message)
	}{
		{"another winner", s.seller, func(t *testing.T, m *wire.Message) {
			winner := must(auction.ParseEvent([]byte(m.Close.Event)))(t).Winner
			m.Close.Event = changed(t, m.Close.Event, string(winner), string(s.losing.Prepared.Pseudonym))
			m.Close.Event = changed(t, m.Close.Event, `"amount":1500`, `"amount":1000`)
			m.Counterpart = counterpartOf(t, s.loser, s.losing)
			m.Proof = must(evidence.ProveInclusion(s.leaves, s.losing.Receipt.Seq, uint64(len(s.leaves))-1))(t)
		}},
		{"the loser's command for the winner's", s.seller, func(t *testing.T, m *wire.Message) {
			m.Counterpart = counterpartOf(t, s.loser, s.losing)
			m.Proof = must(evidence.ProveInclusion(s.leaves, s.losing.Receipt.Seq, uint64(len(s.leaves))-1))(t)
		}},
		{"another disclosure key", s.winner, func(t *testing.T, m *wire.Message) {
			swapKey(t, m.Counterpart, func(p *auction.Private, jws []byte) { p.JWS = jws })
		}},
		{"another disclosure key, committed to anew", s.winner, func(t *testing.T, m *wire.Message) {
			swapKey(t, m.Counterpart, func(p *auction.Private, jws []byte) { p.JWS = jws })
			m.Counterpart.Commitment = auction.Commit(m.Counterpart.Salt, m.Counterpart.Private)
		}},
		{"another amount", s.seller, func(t *testing.T, m *wire.Message) {
			m.Close.Event = changed(t, m.Close.Event, `"amount":1500`, `"amount":1501`)
		}},
		{"stamps over something else", s.seller, func(t *testing.T, m *wire.Message) {
			event := must(auction.ParseEvent([]byte(m.Close.Event)))(t)
			event.Stamps = s.losing.Prepared.Stamps
			m.Close.Event = string(event.Encode())
		}},
		{"a shorter log", s.seller, func(t *testing.T, m *wire.Message) {
			event := must(auction.ParseEvent([]byte(m.Close.Event)))(t)
			event.Seq--
			event.Head.Size--
			m.Close.Event = string(event.Encode())
		}},
		{"the other role", s.winner, func(_ *testing.T, m *wire.Message) { m.Role = wire.RoleSeller }},
		{"not sold", s.seller, func(_ *testing.T, m *wire.Message) {
			m.Outcome, m.Counterpart, m.Proof = auction.Unsold, nil, nil
		}},
		{"a proof that proves nothing", s.seller, func(_ *testing.T, m *wire.Message) { m.Proof[0][0] ^= 1 }},
		{"another salt", s.winner, func(_ *testing.T, m *wire.Message) { m.Counterpart.Salt[0] ^= 1 }},
		{"the certificate of somebody else", s.winner, func(t *testing.T, m *wire.Message) {
			m.Counterpart.Chain = counterpartOf(t, s.loser, s.losing).Chain
		}},
		{"a sale to somebody who did not take part", s.loser, func(*testing.T, *wire.Message) {}},
		{"another auction", s.seller, func(_ *testing.T, m *wire.Message) { m.Auction = auction.ID(uuid.NewString()) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := copied(s.forWinner)
			if tt.to.name == s.seller.name {
				m = copied(s.forSeller)
			}
			tt.lie(t, &m)
			closing, err := tt.to.Closed(within(t), m)
			if code := auction.CodeOf(err); code == "" || code == auction.CodeInternal || code.Temporary() {
				t.Fatalf("believed %+v, error %v", closing, err)
			}
			if wrong := tt.name != "another auction"; errors.As(err, new(*client.Junk)) != wrong {
				t.Fatalf("junk is %v: %v", !wrong, err)
			}
			if kept := must(tt.to.Profile().Closings())(t); len(kept) != 0 {
				t.Fatalf("kept %+v", kept)
			}
			wantCode(t, tt.to.Disclose(within(t), s.id, nil), auction.CodeNoDisclosure)
		})
	}
	// What the house told truly is still there, and is believed.
	for _, p := range []person{s.seller, s.winner} {
		closing := must(p.Closed(within(t), only(t, p.Client)))(t)
		if closing.Amount != 1500 || closing.Outcome != auction.Sold {
			t.Fatalf("closed %+v", closing)
		}
		if messages := must(p.Inbox(within(t)))(t); len(messages) != 0 {
			t.Fatalf("%d messages after they were acknowledged", len(messages))
		}
	}
}

// Each side reads what the other sealed, and nothing that was put in its place.
func TestDisclosure(t *testing.T) {
	s := sale(t)
	must(s.seller.Closed(within(t), s.forSeller))(t)
	must(s.winner.Closed(within(t), s.forWinner))(t)
	check(t, s.seller.Disclose(within(t), s.id, []string{"email"}))
	if messages := must(s.winner.Inbox(within(t)))(t); len(messages) != 0 {
		t.Fatal("the winner reads the seller before it has disclosed")
	}
	check(t, s.winner.Disclose(within(t), s.id, nil))
	toSeller, toWinner := only(t, s.seller.Client), only(t, s.winner.Client)

	tests := []struct {
		name string
		m    func(wire.Message) wire.Message
	}{
		{"other ciphertext", func(m wire.Message) wire.Message {
			m.Sealed = append(auction.Blob(nil), m.Sealed...)
			m.Sealed[0] ^= 1
			return m
		}},
		{"one's own disclosure", func(m wire.Message) wire.Message {
			m.JWS, m.Sealed = toSeller.JWS, toSeller.Sealed
			return m
		}},
		{"ciphertext that somebody else signed", func(m wire.Message) wire.Message {
			key := must(identity.LoadKey(filepath.Join(s.loser.dir, "key.pem")))(t)
			cmd := must(wire.ParseCommand([]byte(m.JWS)))(t)
			m.Sealed = auction.Blob("junk")
			cmd.Sealed = sha256.Sum256(m.Sealed)
			m.JWS = string(must(wire.Sign(key, cmd.Thumbprint, cmd.Command, nil))(t))
			return m
		}},
		{"junk that the counterpart signed", func(m wire.Message) wire.Message {
			key := must(identity.LoadKey(filepath.Join(s.seller.dir, "key.pem")))(t)
			cmd := must(wire.ParseCommand([]byte(m.JWS)))(t)
			m.Sealed = auction.Blob("junk, which does not open")
			cmd.Sealed = sha256.Sum256(m.Sealed)
			m.JWS = string(must(wire.Sign(key, cmd.Thumbprint, cmd.Command, nil))(t))
			return m
		}},
		{"a bid for a disclosure", func(m wire.Message) wire.Message {
			m.JWS = s.losing.Prepared.JWS
			return m
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.winner.Opened(within(t), tt.m(toWinner))
			wantCode(t, err, auction.CodeBadSignature)
			if closing := must(s.winner.Closing(s.id))(t); closing.Theirs != nil {
				t.Fatalf("kept %v", closing.Theirs)
			}
		})
	}

	closing := must(s.winner.Opened(within(t), toWinner))(t)
	if closing.Early != nil {
		t.Fatal("the house gave it when both had disclosed, and is accused")
	}
	if closing.Theirs["username"] != s.seller.name || closing.Theirs["email"] != s.seller.name+"@example.org" {
		t.Fatalf("the winner reads %v", closing.Theirs)
	}
	closing = must(s.seller.Opened(within(t), toSeller))(t)
	if closing.Theirs["username"] != s.winner.name || len(closing.Theirs) != 1 {
		t.Fatalf("the seller reads %v: the winner chose to say its name alone", closing.Theirs)
	}
	if len(closing.Disclosed) != 2 {
		t.Fatalf("the seller disclosed %v", closing.Disclosed)
	}
	if messages := must(s.winner.Inbox(within(t)))(t); len(messages) != 0 {
		t.Fatalf("%d messages after they were acknowledged", len(messages))
	}
}

// Nobody but the parties of a sale discloses, and nothing before they know of it.
func TestDiscloseNothing(t *testing.T) {
	s := sale(t)
	for _, p := range []person{s.seller, s.loser} {
		wantCode(t, p.Disclose(within(t), s.id, nil), auction.CodeNoDisclosure)
	}
	_, err := s.loser.Opened(within(t), wire.Message{Auction: s.id, Message: auction.MessageDisclosure})
	wantCode(t, err, auction.CodeNoDisclosure)
}

// A pseudonym is public once it is in a log. A house and its accomplice that use
// it again, for a bid in another auction or for an auction's id, do not learn
// from its owner who that is.
func TestCloseUnderSomebodyElsesName(t *testing.T) {
	victim, seller, accomplice := enrol(t), enrol(t), enrol(t)
	placed := must(victim.Bid(within(t), enrol(t).list(t), 1000))(t)
	name := placed.Prepared.Pseudonym
	id := seller.list(t)
	prepared := must(accomplice.PrepareBidAs(within(t), name, id, 1000))(t)
	must(accomplice.Send(within(t), prepared))(t)
	f := must(seller.Follow(within(t), auction.LogID(id)))(t)
	advance(t, 2*time.Minute)
	wantEvents(t, f, auction.SomeoneListed, auction.SomeoneBid, auction.AuctionClosed)

	refuses := func(m wire.Message) {
		t.Helper()
		_, err := victim.Closed(within(t), m)
		wantCode(t, err, auction.CodeBadSignature)
		wantCode(t, victim.Disclose(within(t), id, nil), auction.CodeNoDisclosure)
	}
	refuses(only(t, accomplice.Client))
	// The same for an auction whose id is the victim's pseudonym.
	receipts := filepath.Join(victim.dir, "receipts")
	check(t, os.Rename(filepath.Join(receipts, string(name)), filepath.Join(receipts, string(id))))
	refuses(only(t, seller.Client))
}

// A disclosure whose answer is lost is sent again, the same bytes, also by the
// next start of the program: the house takes one from each side.
func TestDiscloseAgain(t *testing.T) {
	l := newLiar(t)
	seller, winner := enrolAt(t, l), enrol(t)
	id := seller.list(t)
	must(winner.Bid(within(t), id, 1500))(t)
	f := must(winner.Follow(within(t), auction.LogID(id)))(t)
	advance(t, 2*time.Minute)
	wantEvents(t, f, auction.SomeoneListed, auction.SomeoneBid, auction.AuctionClosed)
	told := only(t, seller.Client)
	must(seller.Closed(within(t), told))(t)

	ctx, crash := context.WithCancel(within(t))
	var sent []*wire.CommandRequest
	l.toHouse = func(m wire.ClientMessage) bool {
		if c, ok := m.(*wire.CommandRequest); ok && c.Sealed != nil {
			sent = append(sent, c)
		}
		return true
	}
	l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		if _, ok := m.(*wire.OKAnswer); ok {
			crash()
			return drop
		}
		return pass(m)
	}
	if err := seller.Disclose(ctx, id, []string{"email"}); err == nil {
		t.Fatal("a disclosure without an answer succeeded")
	}
	if closing := must(seller.Closing(id))(t); closing.Disclosed != nil {
		t.Fatalf("disclosed %v, and the house has not said so", closing.Disclosed)
	}
	next := seller.restart(t)
	l.toClient = nil
	must(next.Closed(within(t), told))(t) // the house tells of it again
	check(t, next.Disclose(within(t), id, nil))
	if len(sent) != 2 || sent[0].JWS != sent[1].JWS || string(sent[0].Sealed) != string(sent[1].Sealed) {
		t.Fatalf("%d disclosures, not the same", len(sent))
	}
	if closing := must(next.Closing(id))(t); len(closing.Disclosed) != 2 {
		t.Fatalf("disclosed %v", closing.Disclosed)
	}
}

// What does not hold is kept as a proof and acknowledged, so that the inbox is
// free for what does.
func TestReject(t *testing.T) {
	l := newLiar(t)
	seller := enrol(t)
	key := must(identity.LoadKey(filepath.Join(seller.dir, "key.pem")))(t)
	l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		if inbox, ok := m.(*wire.InboxAnswer); ok {
			for i := range inbox.Messages {
				if inbox.Messages[i].Message == auction.MessageClosed {
					continue
				}
				cmd := must(wire.ParseCommand([]byte(inbox.Messages[i].JWS)))(t)
				inbox.Messages[i].Sealed = auction.Blob("junk that the seller signed")
				cmd.Sealed = sha256.Sum256(inbox.Messages[i].Sealed)
				inbox.Messages[i].JWS = string(must(wire.Sign(key, cmd.Thumbprint, cmd.Command, nil))(t))
			}
		}
		return pass(m)
	}
	winner := enrolAt(t, l)
	id := seller.list(t)
	must(winner.Bid(within(t), id, 1500))(t)
	f := must(winner.Follow(within(t), auction.LogID(id)))(t)
	advance(t, 2*time.Minute)
	wantEvents(t, f, auction.SomeoneListed, auction.SomeoneBid, auction.AuctionClosed)
	must(seller.Closed(within(t), only(t, seller.Client)))(t)
	must(winner.Closed(within(t), only(t, winner.Client)))(t)
	check(t, seller.Disclose(within(t), id, nil))
	check(t, winner.Disclose(within(t), id, nil))

	m := only(t, winner.Client)
	_, err := winner.Opened(within(t), m)
	var why *client.Junk
	if !errors.As(err, &why) {
		t.Fatalf("error %v", err)
	}
	check(t, winner.Reject(within(t), m, why))
	if messages := must(winner.Inbox(within(t)))(t); len(messages) != 0 {
		t.Fatalf("%d messages", len(messages))
	}
	kept := must(winner.Profile().Rejected())(t)
	if len(kept) != 1 || kept[0].Message.JWS != m.JWS || kept[0].Why == "" {
		t.Fatalf("kept %+v", kept)
	}
}

// Without a house that can be asked nothing is junk.
func TestNotJunk(t *testing.T) {
	s := sale(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.seller.Closed(ctx, s.forSeller); err == nil || errors.As(err, new(*client.Junk)) {
		t.Fatalf("error %v", err)
	}
}
