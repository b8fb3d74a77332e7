package dms

import (
	"context"
	"slices"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// query answers a command that changes nothing.
func (s *server) query(ctx context.Context, id uint32, cmd auction.Command, after auction.ID) (wire.ServerMessage, error) {
	switch cmd.Kind {
	case auction.KindItem:
		state, err := s.store.Auction(ctx, cmd.Auction)
		if err != nil {
			return nil, err
		}
		head, err := s.heads.sign(auction.LogID(cmd.Auction), state.PublicHead())
		if err != nil {
			return nil, err
		}
		listing, err := s.entry(ctx, auction.LogID(cmd.Auction), 1)
		if err != nil {
			return nil, err
		}
		event, err := auction.ParseEvent(listing.Event)
		if err != nil {
			return nil, err
		}
		return &wire.ItemAnswer{ID: id, Item: s.item(state), Terms: event.Terms, Head: head}, nil
	case auction.KindInbox:
		return s.inbox(ctx, id, cmd.Participant)
	}
	return s.items(ctx, id, cmd, after)
}

// items answers allitems, myitems and mybids, a page at a time.
func (s *server) items(ctx context.Context, id uint32, cmd auction.Command, after auction.ID) (wire.ServerMessage, error) {
	ids, err := s.auctionsOf(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if after != "" {
		i := slices.Index(ids, after)
		if i < 0 {
			return nil, auction.Refuse(auction.CodeUnknownAuction, "the page before does not end with that auction")
		}
		ids = ids[i+1:]
	}
	answer := &wire.ItemsAnswer{ID: id, Items: []wire.Item{}}
	left := room(frameRoom)
	for _, id := range ids {
		if len(answer.Items) == pageItems {
			answer.More = true
			break
		}
		state, err := s.store.Auction(ctx, id)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		item := s.item(state)
		switch cmd.Kind {
		case auction.KindMyItems:
			if state.Seller != cmd.Participant {
				continue
			}
		case auction.KindMyBids:
			if item.Mine = bidsOf(state, cmd.Participant); len(item.Mine) == 0 {
				continue
			}
		}
		fits, err := left.take(item)
		if err != nil {
			return nil, err
		}
		if !fits {
			answer.More = true
			break
		}
		answer.Items = append(answer.Items, item)
	}
	return answer, nil
}

func (s *server) auctionsOf(ctx context.Context, cmd auction.Command) ([]auction.ID, error) {
	if cmd.Kind == auction.KindAllItems {
		house, err := s.store.House(ctx)
		if err != nil {
			return nil, err
		}
		return house.Listings, nil
	}
	ids, err := s.store.Mine(ctx, cmd.Participant)
	slices.Sort(ids)
	return ids, err
}

// absent reports whether an auction of a list is not there: the set of somebody's
// auctions is a superset, and one that the house lists may be archived.
func absent(err error) bool {
	code := auction.CodeOf(err)
	return code == auction.CodeUnknownAuction || code == auction.CodeTooOld
}

// item is what everybody may know of an auction now.
func (s *server) item(state *auction.State) wire.Item {
	item := itemOf(state)
	now, err := s.clock.Now()
	switch {
	case item.Status != wire.StatusOpen:
	case err == nil && now >= state.End():
		item.Status = wire.StatusEnded
	default:
		item.Least = state.Least()
	}
	return item
}

// itemOf is item but for what depends on the time, which in a closed auction is
// nothing.
func itemOf(state *auction.State) wire.Item {
	item := wire.Item{
		Auction: state.ID, Title: state.Terms.Title, Currency: state.Terms.Currency,
		Minimum: state.Terms.Minimum, Increment: state.Terms.Increment,
		Closes: state.End(), TieWindow: state.Terms.TieWindow, TermsHash: state.TermsHash,
		Status: wire.StatusOpen, Bids: uint64(len(state.Bids)), Head: state.PublicHead(),
	}
	if state.Leader != nil {
		item.Highest, item.Leader = state.Leader.Amount, state.Leader.Pseudonym
	}
	switch {
	case state.Closed != nil: // a bid recorded after the end may have won
		item.Status, item.Outcome, item.Winner = wire.StatusClosed, state.Closed.Outcome, state.Closed.Winner
		if item.Winner != "" {
			item.Highest, item.Leader = state.Closed.Amount, state.Closed.Winner
		}
	case state.Suspended():
		item.Status = wire.StatusSuspended
	}
	return item
}

// bidsOf lists the latest of a participant's own bids with where they stand.
func bidsOf(state *auction.State, p auction.Participant) []wire.MyBid {
	var out []wire.MyBid
	add := func(b auction.Bid, standing wire.BidStatus) {
		if b.Participant != p {
			return
		}
		if state.Closed != nil {
			standing = wire.BidLost
			if state.Closed.Winner == b.Pseudonym {
				standing = wire.BidWon
			}
		}
		mine := wire.MyBid{Pseudonym: b.Pseudonym, Seq: b.Seq, Amount: b.Amount, Status: standing}
		if standing == wire.BidRecorded {
			mine.Seq = 0
		}
		out = append(out, mine)
	}
	for _, b := range state.Bids {
		standing := wire.BidOutbid
		if b.Seq == state.Leader.Seq {
			standing = wire.BidLeading
		}
		add(b, standing)
	}
	for _, b := range state.Recorded {
		add(b, wire.BidRecorded)
	}
	return out[max(0, len(out)-maxMyBids):]
}

// readyMessage is the DMS's first words to an authenticated client.
func (s *server) readyMessage(ctx context.Context, p *accept.Party) ([]byte, error) {
	house, err := s.store.House(ctx)
	if err != nil {
		return nil, err
	}
	now, err := s.clock.Now()
	if err != nil {
		return nil, err
	}
	return wire.Ready{
		Time: now, Policy: house.InForce, House: s.cfg.House,
		Ends: min(p.Expires, now.Add(s.cfg.SessionLife)),
		Limits: wire.ReadyLimits{
			Frame: session.ClientFrame, LargeFrame: session.LargeClientFrame, Follows: maxFollows,
		},
	}.Encode(), nil
}
