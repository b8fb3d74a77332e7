package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"

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
	return s.placeIn(ctx, c)
}

// placeIn places a command in an auction that was listed before.
func (s *Store) placeIn(ctx context.Context, c auction.Command) (auction.Answer, error) {
	head, err := s.knownHead(ctx, auction.LogID(c.Auction), c.Head)
	if err != nil {
		return auction.Answer{}, err
	}
	if err := s.noteMine(ctx, c.Participant, c.Auction); err != nil {
		return auction.Answer{}, err
	}
	now, err := s.clock()
	if err != nil {
		return auction.Answer{}, err
	}
	if err := s.repay(ctx, c.Auction, now.Add(-auction.MaxPulse)); err != nil {
		return auction.Answer{}, err
	}
	var answer auction.Answer
	err = s.withState(ctx, c.Auction, func() error {
		var err error
		if c.Kind == auction.KindWithdraw {
			answer, err = s.runWithdraw(ctx, c, head)
		} else {
			answer, err = s.runPlace(ctx, c, head)
		}
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
	tail, extension := c.BidTails()
	var sealed, entry stored
	var moved auction.Time
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
				text(c.Amount), string(c.Currency), c.TermsHash.String(), head, tail, extension,
				sealed.Commitment[:], sealed.Salt, sealed.Private, c.Certificate[:], chain,
			}, nil
		},
		finish: func(reply []string) (*auction.Receipt, error) {
			var err error
			if entry, again, err = parsePlaced(reply, sealed); err != nil {
				return nil, err
			}
			s.metrics.appended(placeScript, entry, again)
			if moved, err = s.extended(reply, sealed); err != nil {
				return nil, err
			}
			receipt = auction.Receipt{Auction: c.Auction, Seq: entry.Seq, Leaf: entry.Leaf()}
			return &receipt, nil
		},
	})
	if err != nil {
		return auction.Answer{}, err
	}
	if moved > 0 {
		s.postpone(ctx, c.Auction, moved)
	}
	// The tail of a bid that was recorded is another: see place.lua.
	if !again && bytes.HasSuffix(entry.Event, tail) {
		s.learn(c.Auction, ownBid{leaf: receipt.Leaf, Bid: auction.Bid{
			Seq: entry.Seq, Pseudonym: c.Pseudonym, Participant: c.Participant, Amount: c.Amount, TS: c.TS, Arrival: arrival,
		}})
	}
	return auction.Answer{Entry: entry.Entry, Receipt: receipt}, nil
}

// extended returns where a bid has moved the end, 0 if it has not, and counts
// the entry that says so.
func (s *Store) extended(reply []string, sealed stored) (auction.Time, error) {
	if len(reply) != 4 || reply[0] != "ok" || reply[3] == "" {
		return 0, nil
	}
	event, err := auction.ParseEvent([]byte(reply[3]))
	if err != nil {
		return 0, errors.New("run script: an extension that does not parse")
	}
	sealed.Event, sealed.chain = []byte(reply[3]), nil
	s.metrics.appended(placeScript, sealed, false)
	return event.Ends, nil
}

// postpone has the list of what is due follow an end that moved, which it only
// ever does to a later time.
func (s *Store) postpone(ctx context.Context, id auction.ID, ends auction.Time) {
	s.moveDue(ctx, id, ends, redis.ZAddArgs{XX: true, GT: true})
}

// moveDue has the list of what is due show an auction that is in it at another
// time. The list is a hint: where this fails, the auction is looked at too early.
func (s *Store) moveDue(ctx context.Context, id auction.ID, at auction.Time, how redis.ZAddArgs) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	how.Members = []redis.Z{{Score: float64(at), Member: string(id)}}
	if err := s.client.ZAddArgs(ctx, s.keys(auction.HouseLog).due, how).Err(); err != nil {
		s.log.WarnContext(ctx, "an auction is due at another time than it is listed for", slog.Any("error", err))
	}
}

func (s *Store) placeListing(ctx context.Context, c auction.Command) (auction.Answer, error) {
	head, err := s.knownHead(ctx, auction.HouseLog, c.Head)
	if err != nil {
		return auction.Answer{}, err
	}
	if err := s.roomForListing(ctx, c.Auction); err != nil {
		return auction.Answer{}, err
	}
	if err := s.noteMine(ctx, c.Participant, c.Auction); err != nil {
		return auction.Answer{}, err
	}
	var listing stored
	err = s.withHouse(ctx, func() error {
		var err error
		listing, err = s.runList(ctx, c, head)
		return err
	})
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
				c.Listing.Policy.String(), head, flag(c.Listing.InSpan(c.TS)), text(c.Listing.Closes), tail,
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

// withHouse runs f, and once more if it found that the house log has no state. A
// house without a log has no auction.
func (s *Store) withHouse(ctx context.Context, f func() error) error {
	err := f()
	if !errors.Is(err, errNoState) {
		return err
	}
	if _, err := s.Rebuild(ctx, auction.HouseLog); err != nil {
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
