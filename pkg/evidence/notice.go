package evidence

import (
	"bytes"
	"fmt"

	"github.com/sigilo/sigilo/pkg/auction"
)

const noticeLabel = "sigilo/notice/v1\x00"

// SignNotice implements [auction.Signer].
func (s *LogSigner) SignNotice(notice []byte) (auction.Blob, error) {
	signature, err := s.signer.Sign(append([]byte(noticeLabel), notice...))
	if err != nil {
		return nil, fmt.Errorf("sign notice: %w", err)
	}
	return signature, nil
}

// VerifyNotice checks that the house signed an event that no participant commands
// and no rule demands. It refuses with [auction.CodeBadSignature].
func VerifyNotice(ev auction.Event, key LogKey) error {
	if !key.verifier.Verify(append([]byte(noticeLabel), ev.Notice()...), ev.Signature) {
		return auction.Refuse(auction.CodeBadSignature, "the house did not sign what it or its operator is said to have done")
	}
	return nil
}

// notice checks an entry that the house or its operator caused: signed, and nothing
// that neither may do. The replay has held its form, that what is said to be lost is,
// and that an outage counts.
func (r *replay) notice(before *auction.State, e auction.Entry, ev auction.Event) error {
	if err := VerifyNotice(ev, r.key); err != nil {
		return err
	}
	switch {
	case ev.Cause == auction.CauseOutage:
		r.outages++
	case ev.Kind != auction.AuctionSuspended:
		r.orders++
	}
	now := timeOf(ev.Time) // or later
	if shown(e) {
		private, err := e.Open()
		if err != nil {
			return err
		}
		if !bytes.Equal(auction.Private{Arrival: private.Arrival, TS: private.Arrival}.Encode(), e.Private) {
			return malformed("the private part of what the house or its operator did has its time and nothing else")
		}
		now = private.Arrival
		r.shown++
	}
	now = max(now, before.Arrival())
	switch {
	case ev.Cause == auction.CauseOutage:
		return r.outage(e, ev)
	case ev.Kind == auction.AuctionExtended && now >= before.End():
		return auction.Refuse(auction.CodeAuctionEnded, "an end that had passed was moved")
	case ev.Kind == auction.AuctionSuspended && !before.Suspended():
		r.since, r.atLatest = now, r.arrived
	case ev.Kind == auction.AuctionResumed:
		return r.resumption(before, ev, now)
	}
	return nil
}

// outage holds that an extension by an outage came after it.
func (r *replay) outage(e auction.Entry, ev auction.Event) error {
	latest, err := r.latest(e, ev)
	if err != nil {
		return err
	}
	if latest < ev.Outage.To {
		return auction.Refuse(auction.CodeBadTerms, "an extension by an outage that was not over")
	}
	return nil
}

// resumption holds that a resumption, which arrived now or later, opens nothing
// that had ended, and gives back the time that was lost: all of it in an audit, and
// elsewhere as much as was lost whatever the times are that are not shown.
func (r *replay) resumption(before *auction.State, ev auction.Event, now auction.Time) error {
	end := before.End()
	if ev.Ends == 0 {
		if r.atLatest < end {
			return auction.Refuse(auction.CodeBadTerms, "a resumption that gives back no time, of an auction that had not ended")
		}
		return nil
	}
	if r.since >= end {
		return auction.Refuse(auction.CodeAuctionEnded, "an auction that had ended was resumed for more bids")
	}
	// It was suspended before its end, or nothing could be given back.
	if ev.Ends < end+now-min(r.atLatest, end-1) {
		return auction.Refuse(auction.CodeBadTerms, "a resumption that does not give back the time that was lost")
	}
	return nil
}

// latest is the latest time at which an entry can have arrived (14.3, now): that of
// its private part, or what its public second allows. A command arrives within the
// freshness of its stamp, of which that is the second.
func (r *replay) latest(e auction.Entry, ev auction.Event) (auction.Time, error) {
	switch {
	case shown(e):
		private, err := e.Open()
		return private.Arrival, err
	case ev.Signature != nil:
		return timeOf(ev.Time+1) - 1, nil
	}
	return timeOf(ev.Time+1) - 1 + auction.Time(r.policy.Freshness), nil
}
