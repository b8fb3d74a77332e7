package client_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// houseSigner signs as the house does.
func houseSigner(t *testing.T) *evidence.LogSigner {
	t.Helper()
	secret := must(os.ReadFile(filepath.Join(filepath.Dir(theHouse.Ready.RootCertificate), "log.key")))(t)
	return must(evidence.NewLogSigner(string(secret)))(t)
}

// What the house's signed head does not vouch for is neither used nor kept: the
// next start reads the true log.
func TestHouseLogBeyondItsHead(t *testing.T) {
	secret, verifier, err := note.GenerateKey(rand.Reader, "demo")
	check(t, err)
	other := must(evidence.NewLogSigner(secret))(t)
	tests := []struct {
		name string
		lie  func(*testing.T, *wire.EntriesAnswer, *auction.House)
	}{
		{"an old head for new entries", func(t *testing.T, page *wire.EntriesAnswer, known *auction.House) {
			page.Entries[0].Commitment[0] ^= 1
			page.Head = must(houseSigner(t).SignHead("demo", auction.HouseLog, known.Head()))(t)
		}},
		{"a policy with another log key", func(t *testing.T, page *wire.EntriesAnswer, known *auction.House) {
			policy := known.Policies[known.InForce]
			policy.LogKey = verifier
			event := auction.Event{
				Seq: known.Size() + 1, Kind: auction.PolicyAdopted, Time: 1_780_000_000,
				Policy: string(must(policy.Encode())(t)),
			}
			page.Entries = []wire.Entry{{Event: string(event.Encode()), Commitment: auction.Hash{1}}}
			next := *known
			check(t, next.Apply(must(page.Entries[0].Entry())(t)))
			page.Head = must(other.SignHead("demo", auction.HouseLog, next.Head()))(t)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLiar(t)
			p := enrolAt(t, l)
			known := new(auction.House)
			l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
				if page, ok := m.(*wire.EntriesAnswer); ok && page.Log == auction.HouseLog {
					for _, e := range page.Entries {
						check(t, known.Apply(must(e.Entry())(t)))
					}
				}
				return pass(m)
			}
			must(p.Items(within(t)))(t)
			before := must(os.ReadFile(filepath.Join(p.dir, "house.log")))(t)
			enrol(t).list(t)
			l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
				if page, ok := m.(*wire.EntriesAnswer); ok && page.Log == auction.HouseLog {
					tt.lie(t, page, known)
				}
				return pass(m)
			}
			_, err := p.restart(t).Items(within(t))
			wantCode(t, err, auction.CodeHistoryChanged)
			if after := must(os.ReadFile(filepath.Join(p.dir, "house.log")))(t); string(after) != string(before) {
				t.Fatal("the profile keeps what the house did not sign")
			}
			l.toClient = nil
			must(start(t, must(client.OpenProfile(p.dir))(t)).Items(within(t)))(t)
		})
	}
}

// Terms are taken from the house log alone: a house that shows others, in another
// currency perhaps, would have a bid signed that its owner did not mean.
func TestItemOfOtherTerms(t *testing.T) {
	tests := []struct {
		name string
		lie  func(*testing.T, *wire.ItemAnswer)
	}{
		{"another currency", func(t *testing.T, a *wire.ItemAnswer) {
			a.Terms = changed(t, a.Terms, "EUR", "BHD")
			a.Item.Currency = "BHD"
			a.Item.TermsHash = auction.TermsHash([]byte(a.Terms))
		}},
		{"another currency of the item", func(_ *testing.T, a *wire.ItemAnswer) { a.Item.Currency = "BHD" }},
		{"an earlier end", func(_ *testing.T, a *wire.ItemAnswer) { a.Item.Closes-- }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLiar(t)
			id := enrol(t).list(t)
			bidder := enrolAt(t, l)
			l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
				if a, ok := m.(*wire.ItemAnswer); ok {
					tt.lie(t, a)
				}
				return pass(m)
			}
			_, err := bidder.Item(within(t), id)
			wantCode(t, err, auction.CodeWrongTerms)
			_, err = bidder.PrepareBid(within(t), id, 1000)
			wantCode(t, err, auction.CodeWrongTerms)
		})
	}
}

// Two programs may work on one profile, a shell and a command say: both keep the
// same entries of the house log, once. So does one that was cut off as it wrote.
func TestHouseLogOfTwoPrograms(t *testing.T) {
	p := enrol(t)
	must(p.Items(within(t)))(t)
	second := start(t, must(client.OpenProfile(p.dir))(t))
	seller := enrol(t)
	seller.list(t)
	must(second.Items(within(t)))(t)
	id := seller.list(t)
	must(p.Item(within(t), id))(t)
	must(second.Item(within(t), id))(t)

	third := start(t, must(client.OpenProfile(p.dir))(t))
	must(third.Item(within(t), id))(t)
	file := filepath.Join(p.dir, "house.log")
	whole := must(os.ReadFile(file))(t)
	check(t, os.Truncate(file, int64(len(whole)-10)))
	must(p.restart(t).Item(within(t), id))(t)
	if got := must(os.ReadFile(file))(t); string(got) != string(whole) {
		t.Errorf("%d bytes of the log after a cut, want the %d of before", len(got), len(whole))
	}
}
