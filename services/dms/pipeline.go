package dms

import (
	"context"
	"time"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// The way of a command through the DMS, top to bottom:
//
//	frame -> session.Open -> wire.Parse -> limits -> accept -> store.Place (duplicate? rules, append, publish; in groups) -> durable -> receipt -> session.Seal
//	                                                           '-> feed -> broadcast -> everyone who follows the auction
//
// conn.read and conn.write, in conn.go, do the first and the last step.

// handle takes one frame's plaintext and queues what answers it. Its error ends
// the connection; a refusal of the request does not.
func (c *conn) handle(ctx context.Context, plaintext []byte) error {
	if c.srv.cfg.OnFrame != nil && c.session != nil {
		c.srv.cfg.OnFrame(plaintext)
	}
	request, err := wire.ParseClient(plaintext)
	if err != nil {
		return err // a client that does not speak the protocol gets no second try
	}
	if !c.limiter.Allow() {
		return c.answer(refused(request.RequestID(), errTooFast))
	}
	reply, err := c.dispatch(ctx, request)
	if err != nil {
		if auction.CodeOf(err) == auction.CodeInternal {
			c.srv.log.ErrorContext(ctx, "request failed", "error", err)
		}
		reply = refused(request.RequestID(), err)
	}
	if reply == nil {
		return nil // answered already, before events that had to come after it
	}
	return c.answer(reply)
}

func refused(id uint32, err error) wire.ServerMessage {
	r := auction.AsRefusal(err)
	return &wire.RefusedAnswer{ID: id, Code: r.Code, Detail: r.Detail, Least: r.Least}
}

var (
	errCommitted = auction.Refuse(auction.CodeUnknownResult, "it may be committed: send the same again")
	errTooFast   = auction.Refuse(auction.CodeRateLimited, "too many requests on this connection: slow down")
	errSpectator = auction.Refuse(auction.CodeNotAllowed, "a spectator follows logs and reads public entries, nothing else")
)

func (c *conn) dispatch(ctx context.Context, request wire.ClientMessage) (wire.ServerMessage, error) {
	if c.party != nil {
		if err := c.srv.stillGood(c.party); err != nil {
			return nil, err
		}
	}
	switch r := request.(type) {
	case *wire.FollowRequest:
		return c.follow(ctx, r)
	case *wire.UnfollowRequest:
		return c.unfollow(r)
	case *wire.EntriesRequest:
		return c.entries(ctx, r)
	}
	if c.party == nil {
		return nil, errSpectator
	}
	switch r := request.(type) {
	case *wire.CommandRequest:
		return c.command(ctx, r)
	case *wire.AcknowledgeRequest:
		return c.srv.acknowledge(ctx, c.party.Certificate.Participant, r)
	}
	return nil, auction.Refuse(auction.CodeBadRequest, "an unknown request")
}

// command checks a signed command, cheap checks first, and carries it out.
func (c *conn) command(ctx context.Context, r *wire.CommandRequest) (wire.ServerMessage, error) {
	stage := c.srv.metrics.stages()
	cmd, err := wire.ParseCommand([]byte(r.JWS))
	if err != nil {
		c.srv.metrics.count("", err)
		return nil, err
	}
	stage.done(cmd.Kind, "parse")
	reply, err := c.carryOut(ctx, r, cmd, stage)
	stage.end(cmd.Kind)
	c.srv.metrics.count(cmd.Kind, err)
	return reply, err
}

func (c *conn) carryOut(ctx context.Context, r *wire.CommandRequest, cmd wire.Signed, stage *stages) (wire.ServerMessage, error) {
	hash, policy, err := c.srv.policyOf(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if err := c.srv.authorities.admit(policy); err != nil && cmd.Kind.Stamped() {
		return nil, err
	}
	stage.done(cmd.Kind, "lookup")
	accepted, err := c.check(ctx, r, cmd, hash, policy)
	if err != nil {
		return nil, err
	}
	stage.done(cmd.Kind, "accept")
	defer stage.done(cmd.Kind, "commit")
	switch cmd.Kind {
	case auction.KindList, auction.KindBid, auction.KindWithdraw:
		return c.place(ctx, r.ID, accepted, policy)
	case auction.KindDisclose:
		if err := c.srv.store.Disclose(ctx, accepted); err != nil {
			return nil, err
		}
		return &wire.OKAnswer{ID: r.ID}, nil
	}
	return c.srv.query(ctx, r.ID, accepted.Command(), cmd.After)
}

// check does what is dear, signature and stamps, when its turn has come. Whoever
// sends what does not verify again and again is cut off.
func (c *conn) check(ctx context.Context, r *wire.CommandRequest, cmd wire.Signed, hash auction.Hash, policy auction.Policy) (accepted auction.Accepted, err error) {
	err = c.srv.checks.pass(ctx, func() error {
		accepted, err = c.srv.checker.Command(c.party, cmd, raw(r.Stamps), r.Sealed, hash, policy)
		return err
	})
	if err != nil && c.record != nil {
		if barred := c.srv.conduct.judge(c.record, err); barred != nil {
			c.end(barred)
		}
	}
	return accepted, err
}

// place commits a list or bid command. The store judges it again whatever
// happens in between, and answers only once the entry is durable.
func (c *conn) place(ctx context.Context, id uint32, accepted auction.Accepted, policy auction.Policy) (wire.ServerMessage, error) {
	cmd := accepted.Command()
	c.srv.followTime(ctx, policy)
	answer, err := c.srv.store.Place(ctx, accepted)
	if err != nil {
		return nil, err
	}
	c.srv.mail.expect(cmd.Auction, c)
	private, err := auction.ParsePrivate(answer.Entry.Private)
	if err != nil {
		c.srv.log.ErrorContext(ctx, "an entry just committed does not parse", "error", err)
		return nil, errCommitted
	}
	return &wire.ReceiptAnswer{
		ID: id, Event: string(answer.Entry.Event), Commitment: answer.Entry.Commitment,
		Salt: answer.Entry.Salt, Arrival: private.Arrival, CRL: private.CRL, Receipt: answer.Receipt,
	}, nil
}

// policyOf returns the policy that judges a command: of the auction it names,
// else the one in force. An unknown auction is refused here, before anything
// dear.
func (s *server) policyOf(ctx context.Context, cmd wire.Signed) (auction.Hash, auction.Policy, error) {
	if cmd.Kind != auction.KindList && cmd.Auction != "" {
		return s.store.PolicyOf(ctx, cmd.Auction)
	}
	house, err := s.store.House(ctx)
	if err != nil {
		return auction.Hash{}, auction.Policy{}, err
	}
	return house.InForce, house.Policies[house.InForce], nil
}

// stillGood checks a party's certificate and token again, and notes the list
// that does not revoke it: a session outlives neither, nor a revocation.
func (s *server) stillGood(p *accept.Party) error {
	now, err := s.clock.Now()
	if err != nil {
		return err
	}
	if now >= p.Expires {
		return auction.Refuse(auction.CodeTokenExpired, "the session's token has ended: get a new one and connect again")
	}
	list := s.trust.list.Load()
	if err := list.Check(p.Certificate, now.Std()); err != nil {
		return err
	}
	p.CRL = uint64(list.Number)
	return nil
}

// followTime reads simulated time again before a command is judged by it: an
// operator may have moved it a moment ago, and what is refused or accepted by
// the rules is so for good.
func (s *server) followTime(ctx context.Context, policy auction.Policy) {
	if policy.Simulated {
		s.readTime(ctx)
	}
}

// readTime sets the clock by the time authorities now.
func (s *server) readTime(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := s.clock.Refresh(ctx); err != nil {
		s.log.WarnContext(ctx, "simulated time was not read again", "error", err)
	}
}

func raw(blobs []auction.Blob) [][]byte {
	out := make([][]byte, len(blobs))
	for i, b := range blobs {
		out[i] = b
	}
	return out
}
