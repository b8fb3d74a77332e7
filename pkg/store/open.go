package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

// listing finds an auction's entry of the house log, and to whom its answer
// belongs. It refuses an unknown auction.
func (s *Store) listing(ctx context.Context, id auction.ID) (stored, string, error) {
	var value string
	err := s.withHouse(ctx, func() (err error) {
		value, err = s.listingAnswer(ctx, id)
		return err
	})
	if err != nil {
		return stored{}, "", err
	}
	who, seq, err := splitAnswer(value)
	if err != nil {
		return stored{}, "", err
	}
	if seq == 0 { // a listing that was refused
		return stored{}, "", auction.Verdict{Code: auction.CodeUnknownAuction}.Refusal()
	}
	page, err := s.page(ctx, auction.HouseLog, seq, 1)
	if err != nil {
		return stored{}, "", err
	}
	if len(page) == 0 || page[0].Seq != seq {
		return stored{}, "", s.historyChanged(ctx, auction.HouseLog, "a listing is missing")
	}
	return page[0], who, nil
}

// listingAnswer reads the house's answer to the listing of an auction. It returns
// errNoState if the house's projections are lost.
func (s *Store) listingAnswer(ctx context.Context, id auction.ID) (string, error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	k := s.keys(auction.HouseLog)
	pipe := s.client.Pipeline()
	answer := pipe.HGet(bounded, k.answers, string(id))
	state := pipe.Exists(bounded, k.state)
	switch _, err := pipe.Exec(bounded); {
	case err != nil && !errors.Is(err, redis.Nil):
		return "", s.failed(ctx, "find listing", err)
	case answer.Err() == nil:
		return answer.Val(), nil
	case state.Val() == 0:
		return "", errNoState
	}
	return "", auction.Verdict{Code: auction.CodeUnknownAuction}.Refusal()
}

// open makes the listing, an entry of the house log, entry 1 of its auction's
// log, unless it is that already. who is the identity of the listing's answer.
func (s *Store) open(ctx context.Context, listing stored, who string) (auction.Answer, error) {
	event, err := auction.ParseEvent(listing.Event)
	if err != nil {
		return auction.Answer{}, fmt.Errorf("read listing: %v", err) // our own entry, not the caller's input
	}
	private, err := auction.ParsePrivate(listing.Private)
	if err != nil {
		return auction.Answer{}, fmt.Errorf("read listing: %v", err)
	}
	first := listing
	first.Seq = 1
	first.Event = auction.JoinEvent(1, event.Tail())
	state := new(auction.State)
	if err := s.apply(ctx, state, first.Entry); err != nil {
		return auction.Answer{}, err
	}
	k := s.keys(auction.LogID(event.Auction))
	receipt := auction.Receipt{Auction: event.Auction, Seq: 1, Leaf: first.Leaf()}
	args := append([]any{
		string(event.Pseudonym), who, text(private.Arrival), first.Event,
		first.Commitment[:], first.Salt, first.Private, private.Certificate[:], first.chain,
	}, stateFields(state)...)
	rebuild := false
	err = s.submit(ctx, &call{
		script: openScript, keys: []string{k.state, k.log, k.answers, k.certs},
		size: len(first.Event) + len(first.Private) + len(first.chain) + 1024,
		args: func(auction.Time, string) ([]any, error) { return args, nil },
		finish: func(reply []string) (*auction.Receipt, error) {
			if rebuild = reply[0] == "rebuild"; rebuild {
				return &receipt, nil
			}
			return &receipt, word(reply)
		},
	})
	if errors.Is(err, errArchived) {
		s.views.bury(auction.LogID(event.Auction))
	}
	if err == nil && rebuild {
		_, err = s.Rebuild(ctx, auction.LogID(event.Auction))
	}
	if err != nil {
		return auction.Answer{}, err
	}
	return auction.Answer{Entry: first.Entry, Receipt: receipt}, nil
}

// stateFields are the fields and values of an auction's state hash: what
// place.lua and close.lua judge by.
func stateFields(s *auction.State) []any {
	fields := []any{
		"terms", s.TermsHash.String(), "currency", string(s.Terms.Currency), "seller", s.Seller[:],
		"listed", text(s.Listed), "ends", text(s.End()), "m", text(s.Arrival()),
		"skew", text(s.Policy.Skew), "freshness", text(s.Policy.Freshness), "max_recorded", text(s.Policy.MaxRecorded),
		"minimum", text(s.Terms.Minimum), "increment", text(s.Terms.Increment), "tie_window", text(s.Terms.TieWindow),
	}
	if soft := s.Terms.Soft; soft != nil {
		fields = append(fields, "soft_window", text(soft.Window), "soft_extension", text(soft.Extension),
			"soft_latest", text(soft.Latest))
	}
	if s.Leader != nil {
		fields = append(fields,
			"lead", text(s.Leader.Amount), "lead_ts", text(s.Leader.TS), "tie_ends", text(s.TieEnds()))
	}
	recorded := make(map[auction.Participant]int)
	for _, b := range s.Recorded {
		recorded[b.Participant]++
	}
	for p, n := range recorded {
		fields = append(fields, "recorded:"+string(p[:]), text(n))
	}
	for _, l := range s.Lost {
		fields = append(fields, "lost:"+lostField(l), "1")
	}
	if since := s.SuspendedSince(); since != 0 {
		fields = append(fields, "suspended", text(since))
	}
	if s.Closed != nil {
		fields = append(fields, "closed", "1")
	}
	return fields
}
