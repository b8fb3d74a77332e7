package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	maxPage = 1000 // entries that one call returns
	maxDue  = 1000 // auctions that one call returns; more come once these are closed
)

// House implements [auction.Reader].
func (s *Store) House(ctx context.Context) (*auction.House, error) {
	v, err := s.current(ctx, auction.HouseLog)
	if err != nil {
		return nil, err
	}
	house := *v.house.Load()
	return &house, nil
}

// Auction implements [auction.Reader].
func (s *Store) Auction(ctx context.Context, id auction.ID) (*auction.State, error) {
	v, err := s.opened(ctx, auction.LogID(id))
	if err != nil {
		return nil, err
	}
	state := *v.state.Load()
	return &state, nil
}

// PolicyOf implements [auction.Reader]. Redis is asked only about an auction that
// this process has not met.
func (s *Store) PolicyOf(ctx context.Context, id auction.ID) (auction.Hash, auction.Policy, error) {
	v := s.views.get(auction.LogID(id))
	if v.chain().Size() == 0 {
		var err error
		if v, err = s.opened(ctx, auction.LogID(id)); err != nil {
			return auction.Hash{}, auction.Policy{}, err
		}
	}
	state := v.state.Load()
	return state.Terms.Policy, state.Policy, nil
}

// opened returns the current view of an auction. One that was listed and not
// opened, since a replica died in between, is opened now.
func (s *Store) opened(ctx context.Context, log auction.LogID) (*view, error) {
	if s.views.isBuried(log) {
		return nil, errArchived
	}
	v, err := s.current(ctx, log)
	if err != nil || v.chain().Size() > 0 {
		return v, err
	}
	if err := s.repair(ctx, auction.ID(log)); err != nil {
		return nil, err
	}
	return s.current(ctx, log)
}

// chain returns a chain of the log that tells whether it has the head: what is
// known already, if that has it. That a head is none the log as it is now must say:
// what is known may be of a history that is lost.
func (s *Store) chain(ctx context.Context, log auction.LogID, head auction.Head) (*auction.Chain, error) {
	v := s.views.get(log)
	if known := v.chain(); known.Has(head) {
		return known, nil
	}
	var err error
	if log == auction.HouseLog {
		v, err = s.current(ctx, log)
	} else {
		v, err = s.opened(ctx, log)
	}
	if err != nil {
		return nil, err
	}
	return v.chain(), nil
}

// Entries implements [auction.Reader]. It returns at most 1000.
func (s *Store) Entries(ctx context.Context, log auction.LogID, from uint64, limit int) ([]auction.Entry, error) {
	if from < 1 || limit < 1 {
		return nil, nil
	}
	page, err := s.page(ctx, log, from, min(limit, maxPage))
	if err != nil {
		return nil, err
	}
	if len(page) == 0 && from > 1 {
		if err := s.lookForTombstone(ctx, log); err != nil {
			return nil, err
		}
	}
	if len(page) == 0 && from == 1 && log != auction.HouseLog {
		// Unknown, listed and not opened, or archived.
		switch err := s.repair(ctx, auction.ID(log)); {
		case auction.CodeOf(err) == auction.CodeUnknownAuction:
			return nil, nil
		case err != nil:
			return nil, err
		}
		if page, err = s.page(ctx, log, from, min(limit, maxPage)); err != nil {
			return nil, err
		}
	}
	entries := make([]auction.Entry, len(page))
	for i, e := range page {
		entries[i] = e.Entry
	}
	return entries, nil
}

// page reads at most limit entries of a stream from the given number on. They
// are durable.
func (s *Store) page(ctx context.Context, log auction.LogID, from uint64, limit int) ([]stored, error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	key := s.keys(log).log
	var page []stored
	var parsing error
	err := s.client.read(bounded, key, func(c redis.Cmdable) (news bool, err error) {
		messages, err := c.XRangeN(bounded, key, entryID(from), "+", int64(limit)).Result()
		if err != nil {
			return false, err
		}
		page, parsing = parsePage(messages)
		return !s.views.get(log).has(from, limit, page), nil
	})
	if err != nil {
		return nil, s.failed(ctx, "read log", err)
	}
	if parsing != nil {
		return nil, fmt.Errorf("read log: %w", parsing)
	}
	return page, nil
}

// Certificates implements [auction.Reader].
func (s *Store) Certificates(ctx context.Context, id auction.ID, of ...auction.Hash) (map[auction.Hash][]auction.Blob, error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	k := s.keys(auction.LogID(id))
	certs, err := s.certificateEntries(bounded, k.certs, of)
	if err != nil {
		return nil, s.failed(ctx, "read certificates", err)
	}
	entries := make(map[string]*redis.XMessageSliceCmd, len(certs))
	_, err = s.client.Pipelined(bounded, func(pipe redis.Pipeliner) error {
		for thumb, seq := range certs {
			entries[thumb] = pipe.XRange(bounded, k.log, seq+"-0", seq+"-0")
		}
		return nil
	})
	if err != nil {
		return nil, s.failed(ctx, "read certificates", err)
	}
	chains := make(map[auction.Hash][]auction.Blob, len(certs))
	for thumb, entry := range entries {
		if len(thumb) != len(auction.Hash{}) || len(entry.Val()) != 1 {
			return nil, errors.New("read certificates: an entry is missing")
		}
		chain, _ := entry.Val()[0].Values["x"].(string)
		blobs, err := decodeBlobs([]byte(chain), maxChain)
		if err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
		chains[auction.Hash([]byte(thumb))] = blobs
	}
	return chains, nil
}

// certificateEntries returns the numbers of the entries that have the chains of
// the given certificates, or of all, by thumbprint.
func (s *Store) certificateEntries(ctx context.Context, key string, of []auction.Hash) (map[string]string, error) {
	if len(of) == 0 {
		return s.client.HGetAll(ctx, key).Result()
	}
	thumbs := make([]string, len(of))
	for i, thumb := range of {
		thumbs[i] = string(thumb[:])
	}
	values, err := s.client.HMGet(ctx, key, thumbs...).Result()
	if err != nil {
		return nil, err
	}
	certs := make(map[string]string, len(of))
	for i, value := range values {
		if seq, ok := value.(string); ok {
			certs[thumbs[i]] = seq
		}
	}
	return certs, nil
}

// Mine implements [auction.Reader]. Of the auctions that p first took part in
// before the latest 10,000 it may know nothing.
func (s *Store) Mine(ctx context.Context, p auction.Participant) ([]auction.ID, error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	members, err := s.client.ZRangeArgs(bounded, redis.ZRangeArgs{Key: mineKey(p), Start: 0, Stop: -1, Rev: true}).Result()
	if err != nil {
		return nil, s.failed(ctx, "read a participant's auctions", err)
	}
	return ids(members), nil
}

// Due implements [auction.Reader]. It returns at most 1000, the earliest ends
// first. A list that was lost is rebuilt.
func (s *Store) Due(ctx context.Context, before auction.Time) ([]auction.ID, error) {
	due, complete, err := s.due(ctx, before)
	if err != nil || complete {
		return due, err
	}
	if _, err := s.Rebuild(ctx, auction.HouseLog); auction.CodeOf(err) == auction.CodeUnknownAuction {
		return nil, nil // nothing was ever listed
	} else if err != nil {
		return nil, err
	}
	due, _, err = s.due(ctx, before)
	return due, err
}

// due reads the list, and whether it lacks nothing.
func (s *Store) due(ctx context.Context, before auction.Time) (due []auction.ID, complete bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	key := s.keys(auction.HouseLog).due
	pipe := s.client.Pipeline()
	mark := pipe.ZScore(bounded, key, dueMark)
	members := pipe.ZRangeArgs(bounded, redis.ZRangeArgs{
		Key: key, ByScore: true, Start: "-inf", Stop: "(" + text(before), Count: maxDue,
	})
	if _, err := pipe.Exec(bounded); err != nil && !errors.Is(err, redis.Nil) {
		return nil, false, s.failed(ctx, "read what is due", err)
	}
	return ids(members.Val()), mark.Err() == nil, nil
}

func ids(members []string) []auction.ID {
	ids := make([]auction.ID, len(members))
	for i, m := range members {
		ids[i] = auction.ID(m)
	}
	return ids
}

// Disclosures implements [auction.Mailbox].
func (s *Store) Disclosures(ctx context.Context, id auction.ID) (seller, winner *auction.Disclosure, err error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var values []any
	mail := s.keys(auction.LogID(id)).mail
	err = s.client.read(bounded, mail, func(c redis.Cmdable) (news bool, err error) {
		values, err = c.HMGet(bounded, mail, auction.SideSeller.String(), auction.SideWinner.String()).Result()
		return true, err
	})
	if err != nil {
		return nil, nil, s.failed(ctx, "read disclosures", err)
	}
	var sides [2]*auction.Disclosure
	for i, value := range values {
		encoded, ok := value.(string)
		if !ok {
			continue
		}
		parts, err := decodeBlobs([]byte(encoded), 2)
		if err != nil || len(parts) != 2 {
			return nil, nil, errors.New("read disclosures: one that does not parse")
		}
		sides[i] = &auction.Disclosure{JWS: parts[0], Sealed: parts[1]}
	}
	return sides[0], sides[1], nil
}

// Acknowledge implements [auction.Mailbox].
func (s *Store) Acknowledge(ctx context.Context, id auction.ID, p auction.Participant, m auction.MessageKind) error {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	mail := s.keys(auction.LogID(id)).mail
	err := s.client.durably(bounded, mail, func(pipe redis.Pipeliner) { pipe.HSet(bounded, mail, receivedField(p, m), "1") })
	if err != nil {
		return s.failed(ctx, "acknowledge message", err)
	}
	return nil
}

// Acknowledged implements [auction.Mailbox].
func (s *Store) Acknowledged(ctx context.Context, id auction.ID, p auction.Participant) (map[auction.MessageKind]bool, error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	kinds := []auction.MessageKind{auction.MessageClosed, auction.MessageDisclosure}
	values, err := s.client.HMGet(bounded, s.keys(auction.LogID(id)).mail,
		receivedField(p, kinds[0]), receivedField(p, kinds[1])).Result()
	if err != nil {
		return nil, s.failed(ctx, "read acknowledgements", err)
	}
	got := make(map[auction.MessageKind]bool)
	for i, value := range values {
		if value != nil {
			got[kinds[i]] = true
		}
	}
	return got, nil
}

// receivedField is the field of an auction's mail that says that p has a message.
func receivedField(p auction.Participant, m auction.MessageKind) string {
	return "received:" + string(m) + ":" + string(p[:])
}
