package client_test

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Who bids all day notices nothing of tokens and certificates: a token that ends
// is replaced while its connection still stands, and a certificate that is in its
// last hour with the next token, before anybody refuses it.
func TestRenewedBeforeTheEnd(t *testing.T) {
	type opened struct {
		*tapped
		open int32 // connections then
	}
	l := newLiar(t)
	sessions := make(chan opened, 10)
	l.onConnect = func(tap *tapped) { sessions <- opened{tap, l.open.Load()} }
	next := func() opened {
		t.Helper()
		select {
		case s := <-sessions:
			return s
		case <-within(t).Done():
			t.Fatal("no further connection")
			return opened{}
		}
	}
	seller := enrol(t)
	id := must(seller.List(within(t), client.Listing{
		Title: "A clock", Currency: "EUR", Minimum: 1000, Closes: must(seller.Now(within(t)))(t).Add(24 * time.Hour),
	}))(t).Prepared.Auction
	bidder := enrolAt(t, l)
	before := must(bidder.Bid(within(t), id, 1000))(t)
	first := next()

	check(t, first.send(t.Context(), &wire.ByeNotice{Reason: wire.ReasonToken, After: 1000}))
	second := next()
	if second.credentials.Token == first.credentials.Token {
		t.Error("it shows the token that ends again")
	}
	if second.open < 2 {
		t.Error("it left before it had the next connection")
	}
	if !slices.EqualFunc(second.credentials.Chain, first.credentials.Chain, bytes.Equal) {
		t.Error("its certificate is another, hours before the end")
	}

	certificate := must(bidder.Certificate())(t)
	advance(t, certificate.NotAfter.Add(-59*time.Minute).Sub(time.Now().Add(ahead)))
	waitFor(t, func() bool { // replicas follow simulated time when they read it
		must(bidder.Now(within(t)))(t)
		must(bidder.Items(within(t)))(t)
		return len(sessions) > 0
	})
	after := must(bidder.Bid(within(t), id, 2000))(t)
	third := next()
	if third.credentials.Token == second.credentials.Token {
		t.Error("it shows a token that has ended")
	}
	if used := sha256.Sum256(third.credentials.Chain[0]); used == certificate.Thumbprint || thumbprint(t, after) != used {
		t.Error("it bids with the certificate that is about to end")
	}
	if thumbprint(t, before) != certificate.Thumbprint {
		t.Error("the first bid is under another certificate")
	}
	if left := must(bidder.Certificate())(t).NotAfter.Sub(time.Now().Add(ahead)); left < time.Hour {
		t.Errorf("the new certificate lasts for %v", left)
	}
}

// A command that waits for its answer keeps its certificate while that is good: under
// the next one the house would take it for a command of before, and refuse it.
func TestNoRenewalUnderACommand(t *testing.T) {
	l := newLiar(t)
	seller := enrol(t)
	id := must(seller.List(within(t), client.Listing{
		Title: "A clock", Currency: "EUR", Minimum: 1000, Closes: must(seller.Now(within(t)))(t).Add(24 * time.Hour),
	}))(t).Prepared.Auction
	bidder := enrolAt(t, l)
	var tap atomic.Pointer[tapped]
	l.onConnect = func(c *tapped) { tap.Store(c) }
	var ended atomic.Bool
	l.toHouse = func(m wire.ClientMessage) bool {
		if !isBid(m) || !ended.CompareAndSwap(false, true) {
			return true
		}
		check(t, tap.Load().send(t.Context(), &wire.RefusedAnswer{ID: m.RequestID(), Code: auction.CodeTokenExpired}))
		return false
	}
	bid := must(bidder.PrepareBid(within(t), id, 1000))(t)
	certificate := must(bidder.Certificate())(t)
	advance(t, certificate.NotAfter.Add(-59*time.Minute).Sub(time.Now().Add(ahead)))
	must(bidder.Now(within(t)))(t) // so that it knows how late it is
	placed := must(bidder.Send(within(t), bid))(t)
	if !ended.Load() || thumbprint(t, placed) != certificate.Thumbprint {
		t.Error("the bid was not sent again over another session, or not under its certificate")
	}
}

// thumbprint is that of the certificate that a command was signed under.
func thumbprint(t *testing.T, p client.Placed) auction.Hash {
	t.Helper()
	return must(wire.ParseCommand([]byte(p.Prepared.JWS)))(t).Thumbprint
}
