package bench

import (
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

// placed is a command that the house says it committed.
type placed struct {
	by      *person
	jws     []byte
	tokens  [][]byte
	ts      auction.Time // 0 where nobody has looked into the tokens yet
	receipt *wire.ReceiptAnswer
}

// entry is the public entry that the receipt is of.
func (p placed) entry() (auction.Event, auction.Entry, error) {
	event, err := auction.ParseEvent([]byte(p.receipt.Event))
	if err != nil {
		return auction.Event{}, auction.Entry{}, err
	}
	return event, auction.Entry{
		Seq: event.Seq, Event: []byte(p.receipt.Event), Commitment: p.receipt.Commitment,
	}, nil
}

// check checks a receipt as a person's client does: the event is the command's,
// the commitment opens to its bytes and stamps, and the signature is the
// house's, over that leaf.
func (p placed) check(quorum *tsp.Quorum, key evidence.LogKey) error {
	bad := func(what string) error {
		return auction.Refuse(auction.CodeBadSignature, "the receipt is not of what was sent: %s", what)
	}
	cmd, err := wire.ParseCommand(p.jws)
	if err != nil {
		return err
	}
	event, entry, err := p.entry()
	if err != nil {
		return err
	}
	if event.Pseudonym != cmd.Pseudonym || event.Auction != cmd.Auction ||
		event.Amount != cmd.Amount || event.Terms != string(cmd.Terms) {
		return bad("the event is another")
	}
	ts := p.ts
	if ts == 0 {
		if ts, _, err = quorum.Verify(p.tokens, cmd.Digest); err != nil {
			return err
		}
	}
	private := auction.Private{
		JWS: p.jws, Tokens: p.tokens, Certificate: cmd.Thumbprint, Participant: p.by.participant,
		CRL: p.receipt.CRL, Arrival: p.receipt.Arrival, TS: ts,
	}.Encode()
	if auction.Commit(p.receipt.Salt, private) != p.receipt.Commitment {
		return bad("the commitment is to something else")
	}
	r := p.receipt.Receipt
	if r.Auction != cmd.Auction || r.Seq != event.Seq || r.Leaf != entry.Leaf() {
		return bad("the leaf is another")
	}
	return evidence.VerifyReceipt(r, key)
}
