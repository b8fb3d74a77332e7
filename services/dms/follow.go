package dms

import (
	"context"
	"fmt"
	"slices"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/wire"
)

// position is what follow and entries need of either kind of log.
type position struct {
	*auction.Chain
	head auction.Head   // the latest that may be shown
	item *auction.State // nil for the house log
}

func (s *server) position(ctx context.Context, log auction.LogID) (position, error) {
	if log == auction.HouseLog {
		house, err := s.store.House(ctx)
		if err != nil {
			return position{}, err
		}
		return position{Chain: &house.Chain, head: house.Head()}, nil
	}
	state, err := s.store.Auction(ctx, auction.ID(log))
	if err != nil {
		return position{}, err
	}
	return position{Chain: &state.Chain, head: state.PublicHead(), item: state}, nil
}

// follow answers first and lets the events come after the answer.
func (c *conn) follow(ctx context.Context, r *wire.FollowRequest) (wire.ServerMessage, error) {
	if _, twice := c.follows[r.Log]; twice {
		return nil, auction.Refuse(auction.CodeBadRequest, "this connection follows that log already")
	}
	if len(c.follows) >= c.maxFollows {
		return nil, auction.Refuse(auction.CodeTooLarge, "this connection follows at most %d logs", c.maxFollows)
	}
	pos, err := c.srv.position(ctx, r.Log)
	if auction.CodeOf(err) == auction.CodeTooOld {
		if err := c.showLast(ctx, auction.ID(r.Log)); err != nil {
			return nil, err
		}
	}
	if err == nil && r.Receipt != nil {
		pos, err = c.held(ctx, pos, *r.Receipt)
	}
	if err != nil {
		return nil, err
	}
	head, err := c.srv.heads.sign(r.Log, pos.head)
	if err != nil {
		return nil, err
	}
	if r.Seq > 0 && (r.Seq > pos.Size() || r.Leaf == nil || pos.Leaves()[r.Seq-1] != *r.Leaf) {
		// A claim without proof, which anybody may make at no cost: it suspends
		// nothing. What the store finds is counted there.
		c.srv.metrics.unproven.Inc()
		c.srv.log.InfoContext(ctx, "a client claims a position that is not in the log", "log", string(r.Log))
		snapshot := &wire.SnapshotNotice{
			Log: r.Log, Code: auction.CodeHistoryChanged, Head: head,
			Detail: "the log is not the one that you followed: keep your receipts and this head, they prove it",
		}
		if pos.item != nil {
			item := c.srv.item(pos.item)
			snapshot.Item = &item
		}
		if err := c.answer(snapshot); err != nil {
			return nil, err
		}
		return nil, auction.Refuse(auction.CodeHistoryChanged, "the log is not the one that you followed")
	}
	if err := c.answer(&wire.FollowingAnswer{ID: r.ID, Log: r.Log, Head: head}); err != nil {
		return nil, err
	}
	stop, err := c.srv.hub.Follow(r.Log, r.Seq, c.queue)
	if err != nil {
		return nil, err
	}
	c.follows[r.Log] = stop
	return nil, nil
}

// held holds a log against a receipt. If the log lacks an entry for which the
// house gave its word, the auction is suspended, and the position is the one after
// that. An entry that was found lost before says nothing new.
func (c *conn) held(ctx context.Context, pos position, receipt auction.Receipt) (position, error) {
	lost := auction.Lost{Seq: receipt.Seq, Leaf: receipt.Leaf}
	if pos.item == nil || pos.item.Closed != nil || !pos.Lacks(lost) || slices.Contains(pos.item.Lost, lost) {
		return pos, nil
	}
	if c.party == nil {
		return position{}, errSpectator
	}
	key, err := evidence.ParseLogKey(pos.item.Policy.LogKey)
	if err != nil {
		return position{}, err
	}
	if err := evidence.VerifyReceipt(receipt, key); err != nil {
		return position{}, err
	}
	switch err := c.srv.store.Suspend(ctx, receipt.Auction, lost); auction.CodeOf(err) {
	case "":
		c.srv.log.ErrorContext(ctx, "a receipt proves that an entry is lost: its auction is suspended",
			"auction", string(receipt.Auction))
	case auction.CodeAuctionEnded, auction.CodeBadRequest: // or the entry is there, and we were behind
	default:
		return position{}, err
	}
	return c.srv.position(ctx, auction.LogID(receipt.Auction))
}

// showLast sends how an archived auction ended, which its tombstone keeps.
func (c *conn) showLast(ctx context.Context, id auction.ID) error {
	last, err := c.srv.store.Removed(ctx, id)
	if err != nil {
		return err
	}
	m, err := wire.ParseServer(last)
	if err != nil {
		return fmt.Errorf("read tombstone: %v", err) // our own words, not the client's input
	}
	return c.answer(m)
}

func (c *conn) unfollow(r *wire.UnfollowRequest) (wire.ServerMessage, error) {
	if stop, ok := c.follows[r.Log]; ok {
		stop()
		delete(c.follows, r.Log)
	}
	return &wire.OKAnswer{ID: r.ID}, nil
}

// entries gives a page of a log, with the private parts that the view and the
// asker are entitled to.
func (c *conn) entries(ctx context.Context, r *wire.EntriesRequest) (wire.ServerMessage, error) {
	pos, err := c.srv.position(ctx, r.Log)
	if err != nil {
		return nil, err
	}
	may, err := c.mayOpen(ctx, r.View, pos.item)
	if err != nil {
		return nil, err
	}
	head, err := c.srv.heads.sign(r.Log, pos.head)
	if err != nil {
		return nil, err
	}
	answer := &wire.EntriesAnswer{ID: r.ID, Log: r.Log, Head: head, Entries: []wire.Entry{}}
	entries, err := c.srv.store.Entries(ctx, r.Log, r.From, pageEntries)
	if err != nil {
		return nil, err
	}
	chains, err := c.srv.chains(ctx, r.Log, entries, may)
	if err != nil {
		return nil, err
	}
	if err := fill(answer, entries, pos.head.Size, may, chains); err != nil {
		return nil, err
	}
	answer.More = r.From+uint64(len(answer.Entries)) <= pos.head.Size
	return answer, nil
}

// chains reads the chains of those who signed the entries that may be shown.
func (s *server) chains(
	ctx context.Context, log auction.LogID, entries []auction.Entry, may func(uint64, auction.Private) bool,
) (map[auction.Hash][]auction.Blob, error) {
	var signers []auction.Hash
	for _, e := range entries {
		_, signer, err := open(e, may)
		if err != nil {
			return nil, err
		}
		if signer != (auction.Hash{}) && !slices.Contains(signers, signer) {
			signers = append(signers, signer)
		}
	}
	if len(signers) == 0 {
		return nil, nil
	}
	return s.store.Certificates(ctx, auction.ID(log), signers...)
}

// fill puts entries up to a sequence number into a page, each with its signer's
// chain where its private part is shown, until the page is full.
func fill(
	page *wire.EntriesAnswer, entries []auction.Entry, last uint64,
	may func(uint64, auction.Private) bool, chains map[auction.Hash][]auction.Blob,
) error {
	left := room(frameRoom)
	signers := make(map[auction.Hash]bool)
	for _, e := range entries {
		if e.Seq > last {
			return nil
		}
		shown, signer, err := open(e, may)
		if err != nil {
			return err
		}
		entry := wire.EntryOf(shown)
		chain, signed := chains[signer]
		signed = signed && !signers[signer]
		elements := []any{entry}
		if signed {
			elements = append(elements, chain)
		}
		if fits, err := left.take(elements...); err != nil || !fits {
			return err
		}
		page.Entries = append(page.Entries, entry)
		if signed {
			signers[signer] = true
			page.Certificates = append(page.Certificates, chain)
		}
	}
	return nil
}

// open returns an entry as the asker may see it, and who signed its private
// part if that is in it.
func open(e auction.Entry, may func(uint64, auction.Private) bool) (auction.Entry, auction.Hash, error) {
	if may == nil {
		return e.Public(), auction.Hash{}, nil
	}
	private, err := auction.ParsePrivate(e.Private)
	if err != nil {
		return auction.Entry{}, auction.Hash{}, err
	}
	if !may(e.Seq, private) {
		return e.Public(), auction.Hash{}, nil
	}
	return e, private.Certificate, nil
}

// mayOpen says which private parts a view shows: nil for none.
func (c *conn) mayOpen(ctx context.Context, view wire.View, state *auction.State) (func(uint64, auction.Private) bool, error) {
	if view == wire.ViewPublic {
		return nil, nil
	}
	if c.party == nil {
		return nil, errSpectator
	}
	if state == nil {
		return nil, auction.Refuse(auction.CodeBadRequest, "the house log has a public view only")
	}
	me := c.party.Certificate
	if view == wire.ViewAudit {
		if c.party.Role != identity.RoleAuditor {
			return nil, auction.Refuse(auction.CodeNotAllowed, "only an auditor sees all private parts")
		}
		if state.Closed == nil {
			return nil, auction.Refuse(auction.CodeAuctionOpen, "an audit comes after the close")
		}
		audit := auction.Audit{Auction: state.ID, Auditor: me.Thumbprint}
		if err := c.srv.store.Audit(ctx, auction.AuditDisclosed, audit); err != nil {
			return nil, err
		}
		return func(uint64, auction.Private) bool { return true }, nil
	}
	// The own ones; to either party of a sale also the other's one.
	var counterpart uint64
	if side, err := state.Party(me.Participant); err == nil {
		counterpart = counterpartSeq(state, side)
	}
	return func(seq uint64, p auction.Private) bool {
		return p.Participant == me.Participant || seq == counterpart
	}, nil
}
