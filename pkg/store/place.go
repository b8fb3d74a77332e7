package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Place implements [auction.Store].
func (s *Store) Place(ctx context.Context, cmd auction.Accepted) (auction.Answer, error) {
	c := cmd.Command()
	if err := c.Check(); err != nil {
		return auction.Answer{}, err
	}
	if c.Kind == auction.KindList {
		return s.placeListing(ctx, c)
	}
	return s.placeBid(ctx, c)
}

func (s *Store) placeBid(ctx context.Context, c auction.Command) (auction.Answer, error) {
	head, err := s.knownHead(ctx, auction.LogID(c.Auction), c.Head)
	if err != nil {
		return auction.Answer{}, err
	}
	if err := s.noteMine(ctx, c.Participant, c.Auction); err != nil {
		return auction.Answer{}, err
	}
	var answer auction.Answer
	err = s.withState(ctx, c.Auction, func() error {
		var err error
		answer, err = s.runPlace(ctx, c, head)
		return err
	})
	if err != nil {
		return auction.Answer{}, err
	}
	return answer, nil
}

func (s *Store) runPlace(ctx context.Context, c auction.Command, head string) (auction.Answer, error) {
	k := s.keys(auction.LogID(c.Auction))
	chain := encodeBlobs(c.Chain...)
	tail := c.Event().Tail()
	var sealed, entry stored
	var receipt auction.Receipt
	var arrival auction.Time
	var again bool
	err := s.submit(ctx, &call{
		script: placeScript, keys: []string{k.state, k.log, k.answers, k.certs},
		size: commandSize(c) + len(chain),
		args: func(now auction.Time, deadline string) ([]any, error) {
			var err error
			if sealed.Entry, err = s.seal(c.Private(now)); err != nil {
				return nil, err
			}
			arrival = now
			return []any{
				deadline, string(c.Pseudonym), identity(c.Participant, c.Digest), text(c.TS), text(now),
				text(c.Amount), string(c.Currency), c.TermsHash.String(), head, tail,
				sealed.Commitment[:], sealed.Salt, sealed.Private, c.Certificate[:], chain,
			}, nil
		},
		finish: func(reply []string) (*auction.Receipt, error) {
			var err error
			if entry, again, err = parsePlaced(reply, sealed); err != nil {
				return nil, err
			}
			s.metrics.appended(placeScript, entry, again)
			receipt = auction.Receipt{Auction: c.Auction, Seq: entry.Seq, Leaf: entry.Leaf()}
			return &receipt, nil
		},
	})
	if err != nil {
		return auction.Answer{}, err
	}
	// The tail of a bid that was recorded is another: see place.lua.
	if !again && bytes.HasSuffix(entry.Event, tail) {
		s.learn(c.Auction, ownBid{leaf: receipt.Leaf, Bid: auction.Bid{
			Seq: entry.Seq, Pseudonym: c.Pseudonym, Participant: c.Participant, Amount: c.Amount, TS: c.TS, Arrival: arrival,
		}})
	}
	return auction.Answer{Entry: entry.Entry, Receipt: receipt}, nil
}

func (s *Store) placeListing(ctx context.Context, c auction.Command) (auction.Answer, error) {
	head, err := s.knownHead(ctx, auction.HouseLog, c.Head)
	if err != nil {
		return auction.Answer{}, err
	}
	if err := s.noteMine(ctx, c.Participant, c.Auction); err != nil {
		return auction.Answer{}, err
	}
	listing, err := s.runList(ctx, c, head)
	if err != nil {
		s.dropMine(ctx, c.Participant, c.Auction, err)
		return auction.Answer{}, err
	}
	// From here on the listing is committed, and whoever meets it may open it. The
	// same listing, sent at once and refused as too early, may have been dropped.
	if err := s.noteMine(ctx, c.Participant, c.Auction); err != nil {
		return auction.Answer{}, unknown()
	}
	answer, err := s.open(ctx, listing, identity(c.Participant, c.Digest))
	if auction.CodeOf(err).Temporary() {
		return auction.Answer{}, unknown()
	}
	return answer, err
}

func (s *Store) runList(ctx context.Context, c auction.Command, head string) (stored, error) {
	k := s.keys(auction.HouseLog)
	sealed := stored{chain: encodeBlobs(c.Chain...)}
	span := c.Listing.Closes - c.TS
	inSpan := span >= auction.Time(auction.MinOpen.Microseconds()) && span <= auction.Time(auction.MaxOpen.Microseconds())
	tail := c.Event().Tail()
	var entry stored
	err := s.submit(ctx, &call{
		script: listScript, keys: []string{k.state, k.log, k.answers, k.due},
		size: commandSize(c) + len(sealed.chain),
		args: func(now auction.Time, deadline string) ([]any, error) {
			var err error
			if sealed.Entry, err = s.seal(c.Private(now)); err != nil {
				return nil, err
			}
			return []any{
				deadline, string(c.Pseudonym), identity(c.Participant, c.Digest), text(c.TS), text(now),
				c.Listing.Policy.String(), head, flag(inSpan), text(c.Listing.Closes), tail,
				sealed.Commitment[:], sealed.Salt, sealed.Private, sealed.chain,
			}, nil
		},
		finish: func(reply []string) (*auction.Receipt, error) {
			var again bool
			var err error
			entry, again, err = parsePlaced(reply, sealed)
			if err == nil {
				s.metrics.appended(listScript, entry, again)
			}
			return nil, err
		},
	})
	if err != nil {
		return stored{}, err
	}
	return entry, nil
}

// knownHead returns the size of a head that is a prefix of the log, "0" for one
// that is not.
func (s *Store) knownHead(ctx context.Context, log auction.LogID, head auction.Head) (string, error) {
	chain, err := s.chain(ctx, log, head)
	if err != nil {
		return "", err
	}
	if !chain.Has(head) {
		return "0", nil
	}
	return text(head.Size), nil
}

// withState runs f, and once more if it found that the auction has no state.
func (s *Store) withState(ctx context.Context, id auction.ID, f func() error) error {
	err := f()
	if !errors.Is(err, errNoState) {
		return err
	}
	if err := s.repair(ctx, id); err != nil {
		return err
	}
	return f()
}

// commandSize is about what a command adds to a pipeline.
func commandSize(c auction.Command) int {
	size := 1024 + len(c.JWS) + 2*len(c.Terms)
	for _, token := range c.Tokens {
		size += len(token)
	}
	return size
}

// repair gives an auction without state its state, from the house log or from
// its own.
func (s *Store) repair(ctx context.Context, id auction.ID) error {
	listing, who, err := s.listing(ctx, id)
	if err != nil {
		return err
	}
	if _, err := s.open(ctx, listing, who); err != nil {
		return fmt.Errorf("open auction: %w", err)
	}
	return nil
}
