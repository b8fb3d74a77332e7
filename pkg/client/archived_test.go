package client_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// What a house says of an auction that it has archived is held against what the
// client has of it: here its listing and a bid.
func TestArchivedIsHeldAgainstWhatIsKnown(t *testing.T) {
	secret := must(os.ReadFile(filepath.Join(filepath.Dir(theHouse.Ready.RootCertificate), "log.key")))(t)
	house := must(evidence.NewLogSigner(string(secret)))(t)
	forged, _, err := note.GenerateKey(rand.Reader, "demo/house")
	check(t, err)
	for name, tt := range map[string]struct {
		open   time.Duration
		change func(*wire.Item)
		signer *evidence.LogSigner
		want   auction.Code
	}{
		"it may be":                      {20 * time.Second, func(*wire.Item) {}, house, auction.CodeTooOld},
		"its end is to come":             {time.Hour, func(*wire.Item) {}, house, auction.CodeHistoryChanged},
		"it has not closed":              {20 * time.Second, func(i *wire.Item) { i.Status, i.Outcome = wire.StatusEnded, "" }, house, auction.CodeHistoryChanged},
		"it ended before it came so far": {20 * time.Second, func(i *wire.Item) { i.Head.Size = 1 }, house, auction.CodeHistoryChanged},
		"it has other terms":             {20 * time.Second, func(i *wire.Item) { i.TermsHash[0] ^= 1 }, house, auction.CodeHistoryChanged},
		"its head is of another key": {
			20 * time.Second, func(*wire.Item) {}, must(evidence.NewLogSigner(forged))(t), auction.CodeHistoryChanged,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiar(t)
			seller := enrol(t)
			placed := must(seller.List(within(t), client.Listing{
				Title: "Clock", Currency: "EUR", Minimum: 1000, Closes: must(seller.Now(within(t)))(t).Add(tt.open),
			}))(t)
			id := placed.Prepared.Auction
			must(enrol(t).Bid(within(t), id, 1000))(t)
			item := must(seller.Item(within(t), id))(t).Item
			item.Status, item.Outcome, item.Least = wire.StatusClosed, auction.Unsold, 0
			item.Head = auction.Head{Size: 3, Root: auction.Hash{1}}
			tt.change(&item)
			head := must(tt.signer.SignHead("demo", auction.LogID(id), item.Head))(t)
			advance(t, 30*time.Second)

			watcher := enrolAt(t, l)
			l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
				if e, ok := m.(*wire.EventNotice); ok && e.Log == auction.LogID(id) {
					return []wire.ServerMessage{e, &wire.SnapshotNotice{Log: e.Log, Code: auction.CodeTooOld, Item: &item, Head: head}}
				}
				return pass(m)
			}
			f, err := watcher.Follow(within(t), auction.LogID(id))
			for err == nil {
				_, err = f.Next(within(t))
			}
			wantCode(t, err, tt.want)
			if archived := new(client.Archived); errors.As(err, &archived) != (tt.want == auction.CodeTooOld) {
				t.Errorf("error %v", err)
			}
		})
	}
}
