package dms

import (
	"context"
	"fmt"
	"slices"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// counterpartSeq is the entry that a party of a sale is shown: to the winner
// the listing, to the seller the winning bid.
func counterpartSeq(state *auction.State, side auction.Side) uint64 {
	if side == auction.SideWinner {
		return 1
	}
	return state.Winner().Seq
}

// inbox returns the private messages that p has not acknowledged, as many as fit
// a frame. The others come when p has acknowledged these.
func (s *server) inbox(ctx context.Context, id uint32, p auction.Participant) (*wire.InboxAnswer, error) {
	ids, err := s.store.Mine(ctx, p)
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	answer := &wire.InboxAnswer{ID: id, Messages: []wire.Message{}}
	left := room(frameRoom)
	for _, id := range ids {
		state, err := s.store.Auction(ctx, id)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		messages, _, err := s.messagesOf(ctx, state, p)
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			fits, err := left.take(m)
			if err != nil {
				return nil, err
			}
			if !fits {
				answer.More = true
				return answer, nil
			}
			answer.Messages = append(answer.Messages, m)
		}
	}
	return answer, nil
}

// recipient says as whom p gets the private messages of a closed auction: as a
// party of a sale, or as the seller of what nobody bought. It refuses everybody
// else, as [auction.State.Party] does.
func recipient(state *auction.State, p auction.Participant) (side auction.Side, unsold bool, err error) {
	side, err = state.Party(p)
	if err != nil && state.Closed != nil && state.Closed.Outcome == auction.Unsold && state.Seller == p {
		return auction.SideSeller, true, nil
	}
	return side, false, err
}

// acknowledge notes that p has a message. Only whom there is a message for may
// do so: the note stays in the store.
func (s *server) acknowledge(ctx context.Context, p auction.Participant, r *wire.AcknowledgeRequest) (wire.ServerMessage, error) {
	state, err := s.store.Auction(ctx, r.Auction)
	if err != nil {
		return nil, err
	}
	if _, _, err := recipient(state, p); err != nil {
		return nil, err
	}
	if err := s.store.Acknowledge(ctx, r.Auction, p, r.Message); err != nil {
		return nil, err
	}
	return &wire.OKAnswer{ID: r.ID}, nil
}

// messagesOf returns p's unacknowledged messages of one auction, and whether
// more may come.
func (s *server) messagesOf(ctx context.Context, state *auction.State, p auction.Participant) (messages []wire.Message, more bool, err error) {
	id := state.ID
	if state.Closed == nil {
		return nil, true, nil
	}
	side, unsold, err := recipient(state, p)
	if err != nil {
		return nil, false, nil // neither seller nor winner
	}
	acknowledged, err := s.store.Acknowledged(ctx, id, p)
	if err != nil {
		return nil, false, err
	}
	if !acknowledged[auction.MessageClosed] {
		message, err := s.closedMessage(ctx, state, side, unsold)
		if err != nil {
			return nil, false, err
		}
		messages = append(messages, message)
	}
	if unsold || acknowledged[auction.MessageDisclosure] {
		return messages, false, nil
	}
	// Each side gets the other's presentation once both are there, not before.
	ofSeller, ofWinner, err := s.store.Disclosures(ctx, id)
	if err != nil || ofSeller == nil || ofWinner == nil {
		return messages, true, err
	}
	theirs := ofSeller
	if side == auction.SideSeller {
		theirs = ofWinner
	}
	return append(messages, wire.Message{
		Auction: id, Message: auction.MessageDisclosure, JWS: string(theirs.JWS), Sealed: theirs.Sealed,
	}), false, nil
}

// closedMessage shows a party the counterpart's command with the proof that it
// is in the log that was closed: the party takes the disclosure key from there
// and from nowhere else.
func (s *server) closedMessage(ctx context.Context, state *auction.State, side auction.Side, unsold bool) (wire.Message, error) {
	log := auction.LogID(state.ID)
	record, err := s.entry(ctx, log, state.Closed.Seq)
	if err != nil {
		return wire.Message{}, err
	}
	public := wire.EntryOf(record.Public())
	m := wire.Message{
		Auction: state.ID, Message: auction.MessageClosed, Role: wire.Role(side.String()),
		Outcome: state.Closed.Outcome, Close: &public,
	}
	if unsold {
		return m, nil
	}
	seq := counterpartSeq(state, side)
	entry, err := s.entry(ctx, log, seq)
	if err != nil {
		return wire.Message{}, err
	}
	private, err := auction.ParsePrivate(entry.Private)
	if err != nil {
		return wire.Message{}, err
	}
	chains, err := s.store.Certificates(ctx, state.ID, private.Certificate)
	if err != nil {
		return wire.Message{}, err
	}
	m.Counterpart = &wire.Counterpart{
		Event: string(entry.Event), Commitment: entry.Commitment, Salt: entry.Salt,
		Private: entry.Private, Chain: chains[private.Certificate],
	}
	m.Proof, err = evidence.ProveInclusion(state.Leaves(), seq, state.Closed.Head.Size)
	return m, err
}

func (s *server) entry(ctx context.Context, log auction.LogID, seq uint64) (auction.Entry, error) {
	entries, err := s.store.Entries(ctx, log, seq, 1)
	if err != nil {
		return auction.Entry{}, err
	}
	if len(entries) != 1 {
		return auction.Entry{}, fmt.Errorf("entry %d of a log is missing", seq)
	}
	return entries[0], nil
}
