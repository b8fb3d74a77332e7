package client_test

import (
	"crypto/sha256"
	"encoding/pem"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

// stampOf has a digest stamped as the policy in force says.
func stampOf(t *testing.T, p person, digest [32]byte) ([][]byte, auction.Time) {
	t.Helper()
	policy, _, err := p.Policy(within(t))
	check(t, err)
	house := p.Profile().House()
	root, _ := pem.Decode([]byte(house.Root))
	authorities := must(accept.Authorities(policy, [][]byte{root.Bytes}))(t)
	config := tsp.ClientConfig{Quorum: policy.Quorum}
	for i, a := range authorities {
		config.Endpoints = append(config.Endpoints, tsp.Endpoint{Authority: a, URL: house.TSA[i] + "/api/timestamp"})
	}
	tokens, ts, err := must(tsp.NewClient(config))(t).Stamp(within(t), digest)
	check(t, err)
	return tokens, ts
}

func blobsOf(in [][]byte) []auction.Blob {
	out := make([]auction.Blob, len(in))
	for i, b := range in {
		out[i] = b
	}
	return out
}

// wins makes a log in which an accomplice of the house has won an auction with a
// bid that the rules do not allow: everything but the bid is right. It returns
// what the house would tell the seller, and has the liar show that log.
func wins(t *testing.T, l *liar, seller, accomplice person, cheat func(*wire.Command)) wire.Message {
	t.Helper()
	listing := must(seller.List(within(t), client.Listing{
		Title: "A clock", Currency: "EUR", Minimum: 1000, Increment: 100,
		Closes: must(seller.Now(within(t)))(t).Add(time.Minute), TieWindow: time.Second,
	}))(t)
	id := listing.Prepared.Auction
	cmd := must(wire.ParseCommand([]byte(must(accomplice.PrepareBidAs(within(t), auction.Pseudonym(uuid.NewString()), id, 1000))(t).JWS)))(t)
	cheat(&cmd.Command)
	key := must(identity.LoadKey(filepath.Join(accomplice.dir, "key.pem")))(t)
	jws := must(wire.Sign(key, cmd.Thumbprint, cmd.Command, nil))(t)
	tokens, ts := stampOf(t, accomplice, sha256.Sum256(jws))
	private := auction.Private{
		JWS: jws, Tokens: tokens, Certificate: cmd.Thumbprint,
		Participant: accomplice.Profile().Participant(), CRL: 1, Arrival: ts, TS: ts,
	}.Encode()
	salt := make([]byte, auction.SaltSize)
	bid := auction.Entry{Seq: 2, Commitment: auction.Commit(salt, private), Salt: salt, Private: private, Event: auction.Event{
		Seq: 2, Kind: auction.SomeoneBid, Auction: id, Pseudonym: cmd.Pseudonym, Time: int64(ts) / 1_000_000, Amount: 1000,
	}.Encode()}
	entries := []auction.Entry{{Seq: 1, Event: []byte(listing.Event), Commitment: listing.Commitment}, bid.Public()}

	advance(t, 2*time.Minute)
	policy, hash, err := seller.Policy(within(t))
	check(t, err)
	state := must(auction.Replay(map[auction.Hash]auction.Policy{hash: policy}, entries))(t)
	stamps, median := stampOf(t, accomplice, auction.CloseDigest(id, state.Head()))
	event := state.ClosingEvent(blobsOf(stamps), median)
	event.Seq = 3
	record := auction.Entry{Seq: 3, Event: event.Encode(), Commitment: auction.Hash{1}}
	entries = append(entries, record)
	check(t, state.Apply(nil, record))

	head := must(houseSigner(t).SignHead("demo", auction.LogID(id), state.Head()))(t)
	l.toClient = func(m wire.ServerMessage) []wire.ServerMessage {
		if page, ok := m.(*wire.EntriesAnswer); ok && page.Log == auction.LogID(id) {
			page.Entries, page.More, page.Head = nil, false, head
			for _, e := range entries {
				page.Entries = append(page.Entries, wire.EntryOf(e))
			}
		}
		return pass(m)
	}
	closing := wire.EntryOf(record)
	counterpart := counterpartOf(t, accomplice, client.Placed{
		Event: string(bid.Event), Commitment: bid.Commitment, Salt: salt, Private: private,
	})
	return wire.Message{
		Auction: id, Message: auction.MessageClosed, Role: wire.RoleSeller, Outcome: auction.Sold,
		Close: &closing, Counterpart: counterpart, Proof: must(evidence.ProveInclusion(state.Leaves(), 2, 2))(t),
	}
}

// A seller is not told by a house that somebody won who bid on other terms, or
// in another currency.
func TestWinnerOfOtherTerms(t *testing.T) {
	tests := []struct {
		name  string
		cheat func(*wire.Command)
		want  auction.Code
	}{
		{"a true bid", func(*wire.Command) {}, ""},
		{"another currency", func(c *wire.Command) { c.Currency = "JPY" }, auction.CodeBadSignature},
		{"other terms", func(c *wire.Command) { c.TermsHash[0] ^= 1 }, auction.CodeBadSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLiar(t)
			seller, accomplice := enrolAt(t, l), enrol(t)
			m := wins(t, l, seller, accomplice, tt.cheat)
			_, err := seller.Closed(within(t), m)
			var closing *client.Closing
			for _, c := range must(seller.Profile().Closings())(t) {
				closing = &c
			}
			if tt.want == "" && closing == nil || tt.want != "" && (closing != nil || auction.CodeOf(err) != tt.want) {
				t.Fatalf("closing %+v, error %v", closing, err)
			}
		})
	}
}
