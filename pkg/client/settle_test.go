package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/wire"
)

// notTaken has a liar answer commands of a kind with a refusal that decides
// nothing. Those that it keeps do not reach the house.
func (l *liar) notTaken(kind auction.Kind, code auction.Code, keep bool) {
	var tap *tapped
	var about atomic.Uint32 // the last request of the kind
	l.onConnect = func(c *tapped) { tap = c }
	l.toHouse = func(m wire.ClientMessage) bool {
		if kindOf(m) != kind {
			return true
		}
		about.Store(m.RequestID())
		if !keep {
			return true
		}
		check(l.t, tap.send(l.t.Context(), &wire.RefusedAnswer{ID: m.RequestID(), Code: code}))
		return false
	}
	l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		if r, ok := m.(*wire.ReceiptAnswer); ok && !keep && r.ID == about.Load() {
			return pass(&wire.RefusedAnswer{ID: r.ID, Code: code})
		}
		return pass(m)
	}
}

func kindOf(m wire.ClientMessage) auction.Kind {
	command, ok := m.(*wire.CommandRequest)
	if !ok {
		return ""
	}
	signed, err := wire.ParseCommand([]byte(command.JWS))
	if err != nil {
		return ""
	}
	return signed.Kind
}

// A command that the house does not take from this participant any more is not
// pending for ever: once its stamps have lapsed, the log, as everybody is shown
// it, says whether it was carried out.
func TestUndecidedIsSettledByTheLog(t *testing.T) {
	for _, tc := range []struct {
		name string
		kind auction.Kind
		code auction.Code
		kept bool // by the liar: the house never sees it
	}{
		{"a bid that is not in the log", auction.KindBid, auction.CodeNotYourCommand, true},
		{"a listing that is not in the log", auction.KindList, auction.CodeCertificateRevoked, true},
		{"a withdrawal that is not in the log", auction.KindWithdraw, auction.CodeCertificateRevoked, true},
		{"a bid that is", auction.KindBid, auction.CodeCertificateRevoked, false},
		{"a listing that is", auction.KindList, auction.CodeNotYourCommand, false},
		{"a withdrawal that is", auction.KindWithdraw, auction.CodeNotYourCommand, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLiar(t)
			id := enrol(t).list(t)
			p := enrolAt(t, l, theHouse.Ready.DMS[0])
			l.notTaken(tc.kind, tc.code, tc.kept)
			var err error
			switch tc.kind {
			case auction.KindBid:
				_, err = p.Bid(within(t), id, 1500)
			case auction.KindWithdraw:
				_, err = p.Send(within(t), must(p.PrepareWithdraw(within(t), p.list(t)))(t))
			default:
				now := must(p.Now(within(t)))(t)
				_, err = p.List(within(t), client.Listing{
					Title: "Clock", Currency: "EUR", Minimum: 1000, Closes: now.Add(time.Hour), TieWindow: time.Second,
				})
			}
			var open *client.Unconfirmed
			if !errors.As(err, &open) {
				t.Fatalf("error %v", err)
			}
			wantCode(t, err, tc.code)

			advance(t, 20*time.Second)
			if !tc.kept {
				l.toClient = nil
			}
			placed, refused, err := p.Resume(within(t))
			check(t, err)
			if tc.kept {
				wantCode(t, refused[open.Pseudonym], tc.code)
			} else if len(placed) != 1 || placed[0].Prepared.Pseudonym != open.Pseudonym {
				t.Errorf("%d placed, refused %v", len(placed), refused)
			} else if n := len(placed[0].Prepared.Earlier); n != 0 {
				t.Errorf("stamped anew %d times, so that it never lapses", n)
			}
			if pending := must(p.Profile().Pending())(t); len(pending) != 0 {
				t.Errorf("%d commands pending", len(pending))
			}
		})
	}
}

// revoke has the CA revoke a person's key.
func revoke(t *testing.T, p person) {
	t.Helper()
	body := fmt.Sprintf(`{"participant":%q,"reason":"key_compromise"}`, p.Profile().Participant())
	req := must(http.NewRequestWithContext(within(t), http.MethodPost, theHouse.Ready.CA+"/api/revoke", strings.NewReader(body)))(t)
	req.Header.Set("Authorization", "Bearer "+theHouse.Ready.OperatorToken)
	req.Header.Set("Content-Type", "application/json")
	res := must(http.DefaultClient.Do(req))(t)
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("revoke: status %d", res.StatusCode)
	}
}

// Who was revoked gets no session any more, and learns all the same what came of
// a command: a program that knows nothing yet asks as a spectator.
func TestRevokedSettlesInANewProgram(t *testing.T) {
	id := enrol(t).list(t)
	p := enrol(t)
	bid := must(p.PrepareBid(within(t), id, 1500))(t)
	cut, cancel := context.WithCancel(within(t))
	cancel()
	_, err := p.Send(cut, bid)
	if !errors.As(err, new(*client.Unconfirmed)) {
		t.Fatalf("error %v", err)
	}
	revoke(t, p)
	for range 2 { // the second finds it noted that the house does not decide
		p.Client = p.restart(t)
		placed, refused, err := p.Resume(within(t))
		wantCode(t, err, auction.CodeCertificateRevoked)
		if len(placed) != 0 || len(refused) != 0 {
			t.Fatalf("%d placed, refused %v, before the stamps lapsed", len(placed), refused)
		}
	}
	advance(t, 20*time.Second)
	p.Client = p.restart(t)
	_, refused, err := p.Resume(within(t))
	check(t, err)
	wantCode(t, refused[bid.Pseudonym], auction.CodeCertificateRevoked)
	if pending := must(p.Profile().Pending())(t); len(pending) != 0 {
		t.Errorf("%d commands pending", len(pending))
	}
}

// An auction that the house log lists and that is open must be shown, and each
// that is shown must be in the house log, on its terms.
func TestItemsAreThoseOfTheHouseLog(t *testing.T) {
	leaveOut := func(id auction.ID) func(*wire.ItemsAnswer) {
		return func(a *wire.ItemsAnswer) {
			kept := []wire.Item{}
			for _, item := range a.Items {
				if item.Auction != id {
					kept = append(kept, item)
				}
			}
			a.Items = kept
		}
	}
	for _, tc := range []struct {
		name   string
		list   func(auction.ID) func(*wire.ItemsAnswer)
		single auction.Code // how an item that is asked for is refused; "" shows it
		code   auction.Code
	}{
		{"all", func(auction.ID) func(*wire.ItemsAnswer) { return func(*wire.ItemsAnswer) {} }, "", ""},
		{"one left out of the list", leaveOut, "", ""},
		{"one left out everywhere", leaveOut, auction.CodeUnknownAuction, auction.CodeHistoryChanged},
		{"one on other terms", func(id auction.ID) func(*wire.ItemsAnswer) {
			return func(a *wire.ItemsAnswer) {
				for i := range a.Items {
					a.Items[i].TermsHash[0] ^= 1
				}
			}
		}, "", auction.CodeWrongTerms},
		{"one that the log does not list", func(auction.ID) func(*wire.ItemsAnswer) {
			return func(a *wire.ItemsAnswer) {
				made := a.Items[0]
				made.Auction = "00000000-0000-4000-8000-000000000001"
				a.Items, a.More = []wire.Item{made}, false
			}
		}, "", auction.CodeWrongTerms},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLiar(t)
			id := enrol(t).list(t)
			p := enrolAt(t, l)
			change := tc.list(id)
			l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
				switch m := m.(type) {
				case *wire.ItemsAnswer:
					change(m)
				case *wire.ItemAnswer:
					if tc.single != "" {
						return pass(&wire.RefusedAnswer{ID: m.ID, Code: tc.single})
					}
				}
				return pass(m)
			}
			items, err := p.Items(within(t))
			if tc.code != "" {
				wantCode(t, err, tc.code)
				return
			}
			check(t, err)
			found := false
			for _, item := range items {
				found = found || item.Auction == id
			}
			if !found {
				t.Error("an open auction is not shown")
			}
		})
	}
}
