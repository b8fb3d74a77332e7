package client_test

import (
	"slices"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A house that gives one side's disclosure to who has sent none is found out by
// that one, who keeps what proves it: also once it has disclosed itself.
func TestDisclosureBeforeOwn(t *testing.T) {
	s := sale(t)
	must(s.seller.Closed(within(t), s.forSeller))(t)
	must(s.winner.Closed(within(t), s.forWinner))(t)
	check(t, s.winner.Disclose(within(t), s.id, nil))
	sent := must(s.winner.Closing(s.id))(t).Sealed
	early := wire.Message{Auction: s.id, Message: auction.MessageDisclosure, JWS: sent.JWS, Sealed: sent.Sealed}
	holds := func(closing client.Closing) {
		t.Helper()
		if closing.Early == nil || closing.Early.JWS != sent.JWS || !slices.Equal(closing.Early.Sealed, sent.Sealed) || closing.Theirs["username"] != s.winner.name {
			t.Fatalf("kept %+v", closing)
		}
	}
	holds(must(s.seller.Opened(within(t), early))(t))
	check(t, s.seller.Disclose(within(t), s.id, nil))
	must(s.seller.Closed(within(t), s.forSeller))(t) // the house tells of it again
	holds(must(s.seller.Opened(within(t), early))(t))
}
