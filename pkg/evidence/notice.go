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

// VerifyNotice checks that the house signed an event that its operator caused.
// It refuses with [auction.CodeBadSignature].
func VerifyNotice(ev auction.Event, key LogKey) error {
	if !key.verifier.Verify(append([]byte(noticeLabel), ev.Notice()...), ev.Signature) {
		return auction.Refuse(auction.CodeBadSignature, "the house did not sign what its operator is said to have done")
	}
	return nil
}

// notice checks an entry that the operator of the house caused: signed, and
// nothing that no operator may do.
func (r *replay) notice(before *auction.State, e auction.Entry, ev auction.Event) error {
	if err := VerifyNotice(ev, r.key); err != nil {
		return err
	}
	r.orders++
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
	if ev.Kind == auction.AuctionExtended && max(arrival, before.Arrival()) >= before.End() {
		return auction.Refuse(auction.CodeAuctionEnded, "an end that had passed was moved")
	}
	return nil
}
