package evidence

import (
	"bytes"
	"fmt"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

// Verify replays an encoded bundle with nothing but the bundle and what the
// verifier trusts. It needs no network and reads no clock. Without trust (nil)
// it shows only that the evidence agrees with itself, which whoever made it up
// could achieve too: the verdict then says so.
//
// The error is the first reason why the evidence does not hold, with an
// auction.Refusal in its chain.
func Verify(data []byte, trust *Trust) (Verdict, error) {
	b, err := ParseBundle(data)
	if err != nil {
		return Verdict{}, err
	}
	policy, err := auction.ParsePolicy(b.Policy)
	if err != nil {
		return Verdict{}, fmt.Errorf("policy: %w", err)
	}
	if trust != nil {
		if err := trust.admits(policy); err != nil {
			return Verdict{}, err
		}
	}
	// Hashes first, and one signature: whatever was changed since the house
	// signed shows here. Then what the house may have done wrong itself.
	r := &replay{bundle: b, policy: policy, policyHash: auction.PolicyHash(b.Policy)}
	r.policies = map[auction.Hash]auction.Policy{r.policyHash: policy}
	if err := r.log(); err != nil {
		return Verdict{}, err
	}
	if err := r.authorities(); err != nil {
		return Verdict{}, fmt.Errorf("policy: %w", err)
	}
	seen := make(map[auction.Pseudonym]bool)
	var before auction.State
	for _, e := range b.Entries {
		after := before
		if err := after.Apply(r.policies, e); err != nil {
			return Verdict{}, fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		if err := r.entry(&before, e, seen); err != nil {
			return Verdict{}, fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		before = after
	}
	for _, receipt := range b.Receipts {
		if err := r.receipt(receipt); err != nil {
			return Verdict{}, fmt.Errorf("receipt of entry %d: %w", receipt.Seq, err)
		}
	}
	return r.verdict(trust), nil
}

// replay is one verification on its way through a bundle.
type replay struct {
	bundle     *Bundle
	policy     auction.Policy
	policyHash auction.Hash
	policies   map[auction.Hash]auction.Policy // the one
	roots      [][]byte
	key        LogKey
	state      *auction.State // at the end of the log

	checker *accept.Checker
	quorum  *tsp.Quorum
	shown   int // entries whose private part was checked
	orders  int // entries that the operator caused
	outages int // extensions by outages of the house

	arrived         auction.Time // nothing so far arrived later
	since, atLatest auction.Time // bounds of the arrival at which the latest suspension began

	last  auction.Entry // the one before, with its event
	event auction.Event
	moves auction.Time // where an audit's rules move the end after that bid; 0 if they do not

	crosscheck Crosscheck
	found      []*Contradiction
}

// maxFound bounds the contradictions that are looked for: one is proof enough.
const maxFound = 16

// log checks that the entries are a log that was listed under the policy, and
// that the house signed its head.
func (r *replay) log() error {
	var err error
	if r.roots, err = rootsOf(r.bundle, r.policy); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	if r.key, err = ParseLogKey(r.policy.LogKey); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	if r.state, err = auction.Replay(r.policies, r.bundle.Entries); err != nil {
		return err
	}
	head, err := OpenHead(r.bundle.Head, r.key, r.policy.House, auction.LogID(r.state.ID))
	if err != nil {
		return fmt.Errorf("head: %w", err)
	}
	if head != r.state.Head() {
		return auction.Refuse(auction.CodeHistoryChanged, "the house signed another log than this")
	}
	return nil
}

// authorities makes the verifiers of certificates and time stamps.
func (r *replay) authorities() error {
	var err error
	if r.checker, err = accept.New(r.policy.House, r.roots, nil); err != nil {
		return refused(err, "a root of the policy is not a root certificate")
	}
	if r.quorum, err = accept.Quorum(r.policy, r.roots); err != nil {
		return refused(err, "two of the policy's time authorities are the same")
	}
	return nil
}

// refused makes a refusal of an error that bad input caused and that is none.
func refused(err error, detail string) error {
	if auction.CodeOf(err) == auction.CodeInternal {
		return auction.Refuse(auction.CodeUnknownPolicy, "%s", detail)
	}
	return err
}

// entry checks all that is shown of one entry of the log, given the state before.
func (r *replay) entry(before *auction.State, e auction.Entry, seen map[auction.Pseudonym]bool) error {
	ev, err := auction.ParseEvent(e.Event)
	if err != nil {
		return err
	}
	if err := r.extension(before, e, ev); err != nil {
		return err
	}
	latest, err := r.latest(e, ev)
	if err != nil {
		return err
	}
	r.last, r.event, r.moves, r.arrived = e, ev, 0, max(r.arrived, latest)
	if ev.Signature != nil {
		return r.notice(before, e, ev)
	}
	switch ev.Kind {
	case auction.AuctionClosed:
		if ev.Head != nil {
			return r.closing(before, e, ev)
		}
	case auction.AuctionExtended:
		if shown(e) { // it opens the commitment of the bid, so it is the bid's
			r.shown++
		}
		return nil
	}
	if seen[ev.Pseudonym] {
		return auction.Refuse(auction.CodePseudonymUsed, "its pseudonym stands in the log before")
	}
	seen[ev.Pseudonym] = true
	if shown(e) {
		if err := r.command(before, e, ev); err != nil {
			return err
		}
		r.shown++
	}
	if r.bundle.Kind == Audit {
		return nil
	}
	switch ev.Kind {
	case auction.SomeoneBid:
		return judgePublic(before, ev)
	case auction.AuctionClosed:
		return judgeWithdrawal(before, ev)
	}
	return nil
}

// command checks that a certified participant's stamped command stands behind
// an entry whose private part is shown, and that the rules allow it.
func (r *replay) command(before *auction.State, e auction.Entry, ev auction.Event) error {
	private, err := e.Open()
	if err != nil {
		return err
	}
	chain := r.bundle.Certificates[private.Certificate]
	ders := make([][]byte, len(chain))
	for i, der := range chain {
		ders[i] = der
	}
	cert, err := r.checker.Verifier().Verify(ders, identity.RoleParticipant, private.TS.Std())
	if err != nil {
		return err
	}
	signed, err := wire.ParseCommand(private.JWS)
	if err != nil {
		return err
	}
	by := &accept.Party{Certificate: cert, Chain: chain, Role: identity.RoleParticipant, CRL: private.CRL}
	accepted, err := r.checker.Command(by, signed, private.Tokens, nil, r.policyHash, r.policy)
	if err != nil {
		return err
	}
	c := accepted.Command()
	want := c.Event()
	want.Seq, want.Recorded = ev.Seq, ev.Recorded
	switch {
	case signed.Thumbprint != private.Certificate || !bytes.Equal(c.Private(private.Arrival).Encode(), e.Private):
		return malformed("the signer, the certificate or the time is not that of the command")
	case !bytes.Equal(want.Encode(), e.Event):
		return malformed("the event does not say what the command says")
	}
	r.compare(e.Seq, before, private.Tokens, NextStamp{Command: string(private.JWS)}, c.Head)
	switch {
	case c.Kind == auction.KindList:
		return judgeListing(c, private.Arrival, r.policy)
	case r.bundle.Kind != Audit:
		return judgeShown(before, c, private.Arrival, r.arrived)
	}
	verdict := before.Judge(c, private.Arrival)
	if err := verdict.Refusal(); err != nil {
		return fmt.Errorf("a command that the rules refuse: %w", err)
	}
	if verdict.Recorded != ev.Recorded {
		return malformed("a bid that the rules do not record, or one that they do")
	}
	r.moves = verdict.Ends
	return nil
}

// closing checks the close record: stamped after end and grace over the final
// head, with the winner that the rules give.
//
// That it is not before an accepted bid's arrival follows: a bid is stamped
// before the end and arrives within the freshness, which is at most the grace.
func (r *replay) closing(before *auction.State, e auction.Entry, ev auction.Event) error {
	stamps := make([][]byte, len(ev.Stamps))
	for i, token := range ev.Stamps {
		stamps[i] = token
	}
	median, _, err := r.quorum.Verify(stamps, auction.CloseDigest(before.ID, *ev.Head))
	if err != nil {
		return err
	}
	if _, err := before.CheckClose(*ev.Head, median); err != nil {
		return err
	}
	r.compare(e.Seq, before, stamps, NextStamp{Auction: before.ID, Head: ev.Head}, *ev.Head)
	if shown(e) {
		private, err := e.Open()
		if err != nil {
			return err
		}
		if !bytes.Equal(auction.Private{Arrival: private.Arrival, TS: median}.Encode(), e.Private) {
			return malformed("the private part of a close record has its times and nothing else")
		}
		r.shown++
	}
	judged := *before
	judged.Reserve = ev.Reserve // the replay has held it against the terms
	want := judged.ClosingEvent(ev.Stamps, median)
	want.Seq = ev.Seq
	if r.bundle.Kind != Audit && len(before.Recorded) > 0 {
		// Who wins among recorded bids depends on times that are not shown.
		if err := judgeOutcome(&judged, ev); err != nil {
			return err
		}
		want.Outcome, want.Winner, want.Amount = ev.Outcome, ev.Winner, ev.Amount
	}
	if want.Outcome != ev.Outcome || want.Winner != ev.Winner || want.Amount != ev.Amount {
		return malformed("the winner is not the one that the rules give")
	}
	if !bytes.Equal(want.Encode(), e.Event) {
		return malformed("the close record does not say when its stamps were made")
	}
	return nil
}

// compare looks for stamps that contradict those of the entries that are shown
// before. head is the one that next names; it may be of another log.
func (r *replay) compare(seq uint64, before *auction.State, tokens [][]byte, next NextStamp, head auction.Head) {
	if r.policy.Simulated {
		return
	}
	stamps := r.quorum.Read(tokens)
	defer r.crosscheck.Add(seq, stamps)
	if !before.Has(head) {
		return
	}
	for _, suspect := range r.crosscheck.Find(head.Size, stamps) {
		if len(r.found) == maxFound {
			return
		}
		for i, s := range stamps {
			if s.Authority == suspect.Authority {
				next.Token = tokens[i]
			}
		}
		c, err := NewContradiction(r.policy, r.roots, suspect.Authority, r.bundle.Entries[suspect.Seq-1], r.state.Leaves(), next)
		if err == nil { // always, as all of it was verified
			r.found = append(r.found, c)
		}
	}
}

// receipt checks that the house kept what it promised.
func (r *replay) receipt(receipt auction.Receipt) error {
	if err := VerifyReceipt(receipt, r.key); err != nil {
		return err
	}
	leaves := r.state.Leaves()
	if receipt.Auction != r.state.ID || receipt.Seq < 1 || receipt.Seq > uint64(len(leaves)) ||
		leaves[receipt.Seq-1] != receipt.Leaf {
		return auction.Refuse(auction.CodeHistoryChanged, "the house promised another entry than the log has")
	}
	return nil
}
