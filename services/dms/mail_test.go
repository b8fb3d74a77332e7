package dms

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// postOffice is a stage on which mail is delivered.
type postOffice struct {
	*stage
	ctx context.Context
}

func newPostOffice(t *testing.T, change func(*server)) *postOffice {
	t.Helper()
	s := newStage(t, change)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	ended := make(chan error, 1)
	go func() { ended <- s.srv.mail.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return &postOffice{s, ctx}
}

// connect makes a connection of somebody, which gets mail.
func (p *postOffice) connect(name string) *conn {
	c := p.srv.newConn()
	c.party = party(name)
	p.srv.mail.open(p.ctx, c)
	return c
}

// got waits for so many private messages.
func (p *postOffice) got(c *conn, kinds ...auction.MessageKind) []wire.Message {
	p.t.Helper()
	var out []wire.Message
	for len(out) < len(kinds) {
		queued, err := c.queue.Next(p.ctx)
		if err != nil {
			p.t.Fatalf("%d messages, want %d: %v", len(out), len(kinds), err)
		}
		for _, data := range queued {
			inbox, ok := messagesOf(p.t, data)[0].(*wire.InboxAnswer)
			if !ok || inbox.ID != 0 || len(inbox.Messages) != 1 {
				p.t.Fatalf("got %s", data)
			}
			out = append(out, inbox.Messages[0])
		}
	}
	for i, m := range out {
		if i >= len(kinds) || m.Message != kinds[i] {
			p.t.Fatalf("message %d is %s", i, m.Message)
		}
	}
	return out
}

// nothing holds that nothing comes to a connection, once all else is delivered.
func (p *postOffice) nothing(c *conn, id auction.ID) {
	p.t.Helper()
	if !p.srv.mail.deliver(p.ctx, id) {
		p.t.Fatal("not read")
	}
	if c.queue.Push([]byte("end")) {
		if queued, err := c.queue.Next(p.ctx); err != nil || len(queued) != 1 || string(queued[0]) != "end" {
			p.t.Errorf("%d messages too many", len(queued)-1)
		}
	}
}

// Each party of a sale is told of the close once, nobody else is, and each gets
// the other's presentation once both are there.
func TestMail(t *testing.T) {
	p := newPostOffice(t, nil)
	id := p.Listed("seller", p.Terms())
	p.Accept(p.Bid(id, "loser", 1000))
	p.Accept(p.Bid(id, "winner", 2000))
	seller, winner, loser := p.connect("seller"), p.connect("winner"), p.connect("loser")
	p.nothing(seller, id)
	p.Ended(id)

	toSeller := p.got(seller, auction.MessageClosed)[0]
	toWinner := p.got(winner, auction.MessageClosed)[0]
	if toSeller.Role != wire.RoleSeller || toWinner.Role != wire.RoleWinner {
		t.Errorf("to the seller as %s, to the winner as %s", toSeller.Role, toWinner.Role)
	}
	log := p.Log(auction.LogID(id))
	if toSeller.Counterpart.Event != string(log[2].Event) || toWinner.Counterpart.Event != string(log[0].Event) {
		t.Error("the counterpart is another")
	}
	p.srv.mail.mark(id) // a wake too many
	p.nothing(seller, id)
	p.nothing(loser, id)

	p.disclose(id, "seller", "of the seller")
	p.nothing(winner, id)
	p.nothing(seller, id)
	p.disclose(id, "winner", "of the winner")
	if m := p.got(seller, auction.MessageDisclosure)[0]; string(m.Sealed) != "of the winner" {
		t.Errorf("the seller gets %q", m.Sealed)
	}
	if m := p.got(winner, auction.MessageDisclosure)[0]; string(m.Sealed) != "of the seller" {
		t.Errorf("the winner gets %q", m.Sealed)
	}
	p.nothing(loser, id)

	// Another connection gets all that is not acknowledged.
	again := p.connect("seller")
	p.got(again, auction.MessageClosed, auction.MessageDisclosure)
	ack := &wire.AcknowledgeRequest{ID: 1, Auction: id, Message: auction.MessageClosed}
	if _, err := p.srv.acknowledge(p.ctx, again.party.Certificate.Participant, ack); err != nil {
		t.Fatal(err)
	}
	p.got(p.connect("seller"), auction.MessageDisclosure)
	if _, err := p.srv.acknowledge(p.ctx, loser.party.Certificate.Participant, ack); auction.CodeOf(err) != auction.CodeNoDisclosure {
		t.Errorf("a loser acknowledges: %v", err)
	}
	for _, c := range []*conn{seller, winner, loser, again} {
		p.srv.mail.close(c)
	}
}

func (p *postOffice) disclose(id auction.ID, who, sealed string) {
	p.t.Helper()
	if err := p.Disclose(p.ctx, auction.NewAccepted(p.Disclosure(id, who, sealed))); err != nil {
		p.t.Fatal(err)
	}
}

// The seller of what nobody bought is told so, and no more comes.
func TestMailOfNoSale(t *testing.T) {
	p := newPostOffice(t, nil)
	id := p.listed(0)
	seller := p.connect("seller")
	p.Ended(id)
	if m := p.got(seller, auction.MessageClosed)[0]; m.Outcome != auction.Unsold || m.Counterpart != nil {
		t.Errorf("got %+v", m)
	}
	p.nothing(seller, id)
}

// failing is a store of which some reads fail.
type failing struct {
	state
	failures atomic.Int32
}

func (f *failing) Acknowledged(ctx context.Context, id auction.ID, p auction.Participant) (map[auction.MessageKind]bool, error) {
	if f.failures.Add(-1) >= 0 {
		return nil, errors.New("no store")
	}
	return f.state.Acknowledged(ctx, id, p)
}

// What could not be read is delivered later, though nothing wakes for it.
func TestMailAfterAFailure(t *testing.T) {
	store := new(failing)
	p := newPostOffice(t, func(srv *server) {
		store.state = srv.store
		srv.store = store
	})
	id := p.listed(1)
	seller := p.connect("seller")
	store.failures.Store(2)
	p.Ended(id)
	p.got(seller, auction.MessageClosed)
}
