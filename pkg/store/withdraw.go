package store

import (
	"context"

	"github.com/sigilo/sigilo/pkg/auction"
)

// runWithdraw ends an auction by its seller's command. The list of what is due
// keeps it until it is looked at.
func (s *Store) runWithdraw(ctx context.Context, c auction.Command, head string) (auction.Answer, error) {
	k := s.keys(auction.LogID(c.Auction))
	sealed := stored{chain: encodeBlobs(c.Chain...)}
	tail := c.Event().Tail()
	var entry stored
	var receipt auction.Receipt
	err := s.submit(ctx, &call{
		script: withdrawScript, keys: []string{k.state, k.log, k.answers, k.certs},
		size: commandSize(c) + len(sealed.chain),
		args: func(now auction.Time, deadline string) ([]any, error) {
			var err error
			if sealed.Entry, err = s.seal(c.Private(now)); err != nil {
				return nil, err
			}
			return []any{
				deadline, string(c.Pseudonym), identity(c.Participant, c.Digest), text(c.TS), text(now), head, tail,
				sealed.Commitment[:], sealed.Salt, sealed.Private, c.Certificate[:], sealed.chain,
			}, nil
		},
		finish: func(reply []string) (*auction.Receipt, error) {
			var again bool
			var err error
			if entry, again, err = parsePlaced(reply, sealed); err != nil {
				return nil, err
			}
			s.metrics.appended(withdrawScript, entry, again)
			if !again {
				s.metrics.closes.WithLabelValues(auction.Withdrawn).Inc()
			}
			receipt = auction.Receipt{Auction: c.Auction, Seq: entry.Seq, Leaf: entry.Leaf()}
			return &receipt, nil
		},
	})
	if err != nil {
		return auction.Answer{}, err
	}
	return auction.Answer{Entry: entry.Entry, Receipt: receipt}, nil
}
