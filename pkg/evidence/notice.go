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
// that neither may do. The replay has held its form, and that what is said to be
// lost is.
func (r *replay) notice(before *auction.State, e auction.Entry, ev auction.Event) error {
	if err := VerifyNotice(ev, r.key); err != nil {
		return err
	}
	if ev.Kind != auction.AuctionSuspended {
		r.orders++
	}
	arrival := timeOf(ev.Time)
	if shown(e) {
		private, err := e.Open()
		if err != nil {
			return err
		}
		if !bytes.Equal(auction.Private{Arrival: private.Arrival, TS: private.Arrival}.Encode(), e.Private) {
			return malformed("the private part of what an operator did has its time and nothing else")
		}
		arrival = private.Arrival
		r.shown++
	}
	arrival = max(arrival, before.Arrival())
	switch {
	case ev.Kind == auction.AuctionExtended && arrival >= before.End():
		return auction.Refuse(auction.CodeAuctionEnded, "an end that had passed was moved")
	case ev.Kind == auction.AuctionResumed:
		return r.resumption(before, ev, arrival)
	}
	return nil
}

// resumption holds that a resumption opens nothing that had ended; in an audit,
// which shows exact times, also that it gives back the time that was lost.
func (r *replay) resumption(before *auction.State, ev auction.Event, now auction.Time) error {
	switch least := before.ResumedEnd(now); {
	case least == 0 && ev.Ends != 0:
		return auction.Refuse(auction.CodeAuctionEnded, "an auction that had ended was resumed for more bids")
	case r.bundle.Kind == Audit && ev.Ends < least:
		return auction.Refuse(auction.CodeBadTerms, "a resumption that does not give back the time that was lost")
	}
	return nil
}
