package client_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A bid whose answer is lost is sent again over the next replica, the same bytes,
// and counts once.
func TestLostAnswer(t *testing.T) {
	l := newLiar(t)
	id := enrol(t).list(t)
	bidder := enrolAt(t, l, theHouse.Ready.DMS[0])
	var lost atomic.Bool
	l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		if _, receipt := m.(*wire.ReceiptAnswer); receipt && lost.CompareAndSwap(false, true) {
			return nil // the connection ends
		}
		return pass(m)
	}
	placed := must(bidder.Bid(within(t), id, 1500))(t)
	if !lost.Load() || l.sent(placed.Prepared.Pseudonym) != 1 {
		t.Fatal("the answer was not lost")
	}
	if n := bids(t, bidder.Client, id); n != 1 {
		t.Fatalf("%d bids", n)
	}
	if pending := must(bidder.Profile().Pending())(t); len(pending) != 0 {
		t.Fatalf("%d commands pending", len(pending))
	}
}

// The program ends between sending and the answer. The next start finds out what
// became of the command, whether the house got it or not.
func TestResume(t *testing.T) {
	tests := []struct {
		name      string
		committed bool
	}{
		{"the house had committed", true},
		{"the house had not got it", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLiar(t)
			id := enrol(t).list(t)
			bidder := enrolAt(t, l)
			ctx, crash := context.WithCancel(within(t))
			l.toHouse = func(m wire.ClientMessage) bool {
				if isBid(m) && !tt.committed {
					crash()
					return false
				}
				return true
			}
			l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
				if _, receipt := m.(*wire.ReceiptAnswer); receipt {
					crash()
					return drop
				}
				return pass(m)
			}
			if _, err := bidder.Bid(ctx, id, 1500); err == nil {
				t.Fatal("a bid without an answer succeeded")
			}
			pending := must(bidder.Profile().Pending())(t)
			if len(pending) != 1 {
				t.Fatalf("%d commands pending", len(pending))
			}

			next := bidder.restart(t)
			l.toHouse, l.toClient = nil, nil
			placed, refused, err := next.Resume(within(t))
			if err != nil || len(refused) != 0 || len(placed) != 1 {
				t.Fatalf("resumed: %d placed, %v refused, %v", len(placed), refused, err)
			}
			got := placed[0].Prepared
			if got.JWS != pending[0].JWS || got.Pseudonym != pending[0].Pseudonym {
				t.Fatal("other bytes were sent")
			}
			if n := bids(t, next, id); n != 1 {
				t.Fatalf("%d bids", n)
			}
			checkStamps(t, placed[0], pending[0].Stamped, tt.committed)
			if pending := must(next.Profile().Pending())(t); len(pending) != 0 {
				t.Fatalf("%d commands pending", len(pending))
			}
			placed, refused, err = next.Resume(within(t))
			if err != nil || len(placed)+len(refused) != 0 {
				t.Fatalf("nothing is left to resume: %v, %v, %v", placed, refused, err)
			}
		})
	}
}

// checkStamps holds that a command which was stamped anew keeps its first
// stamps, and that the receipt is over the stamps that were committed.
func checkStamps(t *testing.T, placed client.Placed, first client.Stamped, committedFirst bool) {
	t.Helper()
	p := placed.Prepared
	if len(p.Earlier) != 1 || p.Earlier[0].TS != first.TS || p.TS <= first.TS {
		t.Fatalf("stamps of %d, earlier %v, first %d", p.TS, p.Earlier, first.TS)
	}
	private := must(auction.ParsePrivate(placed.Private))(t)
	want := p.Stamped
	if committedFirst {
		want = first
	}
	same := slices.EqualFunc(private.Tokens, want.Stamps, func(a []byte, b auction.Blob) bool { return slices.Equal(a, b) })
	if private.TS != want.TS || !same {
		t.Fatal("the receipt is over other stamps than those that were committed")
	}
}

// A bid that was not answered and was too late after all is told as refused.
func TestResumeRefused(t *testing.T) {
	l := newLiar(t)
	id := enrol(t).list(t)
	bidder := enrolAt(t, l)
	ctx, crash := context.WithCancel(within(t))
	l.toHouse = func(m wire.ClientMessage) bool {
		if isBid(m) {
			crash()
			return false
		}
		return true
	}
	if _, err := bidder.Bid(ctx, id, 1500); err == nil {
		t.Fatal("a bid without an answer succeeded")
	}
	must(enrol(t).Bid(within(t), id, 2000))(t)
	l.toHouse = nil
	next := bidder.restart(t)
	placed, refused, err := next.Resume(within(t))
	if err != nil || len(placed) != 0 || len(refused) != 1 {
		t.Fatalf("resumed: %d placed, %v refused, %v", len(placed), refused, err)
	}
	for _, why := range refused {
		if code := auction.CodeOf(why); code != auction.CodeBidTooLow && code != auction.CodeStaleHead {
			t.Fatalf("refused with %v", why)
		}
	}
	if pending := must(next.Profile().Pending())(t); len(pending) != 0 {
		t.Fatalf("%d commands pending", len(pending))
	}
}

// A receipt that is not of what was sent is refused, and the command stays
// pending: what became of it is not known.
func TestFalseReceipt(t *testing.T) {
	l := newLiar(t)
	id := enrol(t).list(t)
	other := must(enrol(t).Bid(within(t), id, 1000))(t)
	bidder := enrolAt(t, l)
	amount := auction.Amount(1500)
	tests := []struct {
		name string
		lie  func(*wire.ReceiptAnswer)
	}{
		{"another amount", func(r *wire.ReceiptAnswer) { r.Event = changed(t, r.Event, `"amount":`, `"amount":1`) }},
		{"another place", func(r *wire.ReceiptAnswer) { r.Event = changed(t, r.Event, `"seq":`, `"seq":1`) }},
		{"another time", func(r *wire.ReceiptAnswer) { r.Event = changed(t, r.Event, `"time":1`, `"time":2`) }},
		{"another salt", func(r *wire.ReceiptAnswer) { r.Salt[0] ^= 1 }},
		{"another arrival", func(r *wire.ReceiptAnswer) { r.Arrival++ }},
		{"another revocation list", func(r *wire.ReceiptAnswer) { r.CRL++ }},
		{"another commitment", func(r *wire.ReceiptAnswer) { r.Commitment[0] ^= 1 }},
		{"another leaf", func(r *wire.ReceiptAnswer) { r.Receipt.Leaf[0] ^= 1 }},
		{"a receipt of another place", func(r *wire.ReceiptAnswer) { r.Receipt.Seq++ }},
		{"a false signature", func(r *wire.ReceiptAnswer) { r.Receipt.Signature[0] ^= 1 }},
		{"another batch", func(r *wire.ReceiptAnswer) { r.Receipt.Batch++ }},
		{"the receipt of somebody else", func(r *wire.ReceiptAnswer) { r.Receipt = other.Receipt }},
		{"somebody else's bid", func(r *wire.ReceiptAnswer) {
			r.Event, r.Commitment, r.Salt, r.Receipt = other.Event, other.Commitment, other.Salt, other.Receipt
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			amount += 100
			l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
				if r, ok := m.(*wire.ReceiptAnswer); ok {
					tt.lie(r)
				}
				return pass(m)
			}
			_, err := bidder.Bid(within(t), id, amount)
			if code := auction.CodeOf(err); code != auction.CodeBadSignature && code != auction.CodeBadRequest {
				t.Fatalf("error %v", err)
			}
			if pending := must(bidder.Profile().Pending())(t); len(pending) != 1 {
				t.Fatalf("%d commands pending", len(pending))
			}
			l.toClient = nil
			placed, refused, err := bidder.Resume(within(t))
			if err != nil || len(placed) != 1 || len(refused) != 0 {
				t.Fatalf("resumed: %d placed, %v refused, %v", len(placed), refused, err)
			}
		})
	}
}

// What the house answers decides on a command only if it is an answer to that
// command, and by the rules. All else leaves it pending, also when the command
// had been committed before.
func TestOnlyTheRulesDecide(t *testing.T) {
	refused := func(id uint32, code auction.Code) []wire.ServerMessage {
		return pass(&wire.RefusedAnswer{ID: id, Code: code})
	}
	answers := func(code auction.Code) func(wire.ServerMessage, *bool) []wire.ServerMessage {
		return func(m wire.ServerMessage, _ *bool) []wire.ServerMessage {
			if r, ok := m.(*wire.ReceiptAnswer); ok {
				return refused(r.ID, code)
			}
			return pass(m)
		}
	}
	reconnects := func(code auction.Code) func(wire.ServerMessage, *bool) []wire.ServerMessage {
		return func(m wire.ServerMessage, cut *bool) []wire.ServerMessage {
			switch m := m.(type) {
			case *wire.ReceiptAnswer:
				*cut = true
				return nil // the connection ends
			case *wire.EntriesAnswer:
				if *cut {
					return refused(m.ID, code)
				}
			}
			return pass(m)
		}
	}
	tests := []struct {
		name string
		lie  func(m wire.ServerMessage, cut *bool) []wire.ServerMessage
	}{
		{"a defect of the house", answers(auction.CodeInternal)},
		{"another certificate", answers(auction.CodeNotYourCommand)},
		{"a certificate that is revoked", answers(auction.CodeCertificateRevoked)},
		{"stamps that do not hold", answers(auction.CodeBadStamp)},
		{"a history that changed", answers(auction.CodeHistoryChanged)},
		{"no way back, for a history that changed", reconnects(auction.CodeHistoryChanged)},
		{"no way back, with a code of the rules", reconnects(auction.CodeBidTooLow)},
		{"no way back, for a defect", reconnects(auction.CodeInternal)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLiar(t)
			id := enrol(t).list(t)
			bidder := enrolAt(t, l)
			cut := false
			l.toClient = func(m wire.ServerMessage) []wire.ServerMessage { return tt.lie(m, &cut) }
			_, err := bidder.Bid(within(t), id, 1500)
			var open *client.Unconfirmed
			if !errors.As(err, &open) {
				t.Fatalf("error %v", err)
			}
			pending := must(bidder.Profile().Pending())(t)
			if len(pending) != 1 || pending[0].Pseudonym != open.Pseudonym {
				t.Fatalf("%d commands pending", len(pending))
			}
			next := bidder.restart(t)
			l.toClient = nil
			placed, refused, err := next.Resume(within(t))
			if err != nil || len(placed) != 1 || len(refused) != 0 {
				t.Fatalf("resumed: %d placed, %v refused, %v", len(placed), refused, err)
			}
		})
	}
}

// A command on which the house does not decide stays pending, and does not keep
// the others from being resumed.
func TestResumeGoesOn(t *testing.T) {
	l := newLiar(t)
	id := enrol(t).list(t)
	bidder := enrolAt(t, l)
	l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		if r, ok := m.(*wire.ReceiptAnswer); ok {
			return pass(&wire.RefusedAnswer{ID: r.ID, Code: auction.CodeInternal})
		}
		return pass(m)
	}
	for _, amount := range []auction.Amount{1500, 1600} {
		_, err := bidder.Bid(within(t), id, amount)
		wantCode(t, err, auction.CodeInternal)
	}
	first := true
	l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		if r, ok := m.(*wire.ReceiptAnswer); ok && first {
			first = false
			return pass(&wire.RefusedAnswer{ID: r.ID, Code: auction.CodeNotYourCommand})
		}
		return pass(m)
	}
	placed, refused, err := bidder.Resume(within(t))
	wantCode(t, err, auction.CodeNotYourCommand)
	if len(placed) != 1 || len(refused) != 0 || !errors.As(err, new(*client.Unconfirmed)) {
		t.Fatalf("resumed: %d placed, %v refused, %v", len(placed), refused, err)
	}
	if pending := must(bidder.Profile().Pending())(t); len(pending) != 1 {
		t.Fatalf("%d commands pending", len(pending))
	}
}

// A client that is told to go opens its next connection first, gets the answer
// that is under way on the old one, and sends nothing twice.
func TestByeMovesBeforeItLeaves(t *testing.T) {
	first, second := newLiar(t), newLiar(t)
	seller := enrol(t)
	id := seller.list(t)
	bidder := enrolAt(t, first, second.url)
	second.person = first.person
	moved := make(chan int32, 1)
	second.onConnect = func(*tapped) { moved <- first.open.Load() }
	var tap *tapped
	first.onConnect = func(c *tapped) { tap = c }
	overlapped := false
	first.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		if _, ok := m.(*wire.ReceiptAnswer); ok {
			check(t, tap.send(t.Context(), &wire.ByeNotice{Reason: wire.ReasonDrain, After: 10_000}))
			overlapped = <-moved == 1
		}
		return pass(m)
	}
	f := must(bidder.Follow(within(t), auction.LogID(id)))(t)
	placed := must(bidder.Bid(within(t), id, 1500))(t)
	if !overlapped {
		t.Fatal("it left before the next connection was there")
	}
	if n := first.sent(placed.Prepared.Pseudonym) + second.sent(placed.Prepared.Pseudonym); n != 1 {
		t.Fatalf("the bid was sent %d times", n)
	}
	must(enrol(t).Bid(within(t), id, 2000))(t)
	wantEvents(t, f, auction.SomeoneListed, auction.SomeoneBid, auction.SomeoneBid)
	waitFor(t, func() bool { return first.open.Load() == 0 })
}

// waitFor waits for what another goroutine does.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for ctx := within(t); !done(); {
		select {
		case <-ctx.Done():
			t.Fatal("it does not come to pass")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func wantEvents(t *testing.T, f *client.Follow, kinds ...auction.EventKind) {
	t.Helper()
	for i, kind := range kinds {
		e := must(f.Next(within(t)))(t)
		if e.Seq != uint64(i)+1 || e.Kind != kind {
			t.Fatalf("event %d of kind %s, want %d of kind %s", e.Seq, e.Kind, i+1, kind)
		}
	}
}
