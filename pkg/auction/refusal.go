package auction

import (
	"errors"
	"fmt"
)

// Code names the reason of a refusal. The set is closed: everything that Sigilo
// refuses, on any wire, is refused with one of these. docs/protocol.md lists
// them with what a client should do.
type Code string

const (
	// Form: what was sent is not what the protocol allows.
	CodeBadRequest   Code = "bad_request"   // malformed, unknown or doubled field, trailing bytes
	CodeBadVersion   Code = "bad_version"   // a protocol version that this side does not speak
	CodeTooLarge     Code = "too_large"     // over a size or count limit
	CodeBadHandshake Code = "bad_handshake" // wrong transcript, mode, or order of handshake messages
	CodeBadFrame     Code = "bad_frame"     // a frame that does not open: wrong key, replayed, reordered

	// Identity: who is asking.
	CodeBadSignature       Code = "bad_signature"       // the signature does not verify
	CodeBadCertificate     Code = "bad_certificate"     // another root, role, house, key type, or time
	CodeCertificateRevoked Code = "certificate_revoked" // on the house's CRL
	CodeBadToken           Code = "bad_token"           // session token forged, foreign, or not this key's
	CodeTokenExpired       Code = "token_expired"       // session token past its end: get a new one
	CodeWrongAudience      Code = "wrong_audience"      // made for another house
	CodeNotYourCommand     Code = "not_your_command"    // signed by a key other than the session's
	CodeNotAllowed         Code = "not_allowed"         // authenticated, and not entitled to this
	CodeBadEnrolment       Code = "bad_enrolment"       // invite unknown, used or ended; proof of possession wrong

	// Time: when it was asked.
	CodeBadStamp       Code = "bad_stamp"       // a time stamp that does not verify over this command
	CodeWrongStamps    Code = "wrong_stamps"    // too few, too many, twice one authority, or out of order
	CodeStampTooOld    Code = "stamp_too_old"   // arrived later after its stamp than the policy allows
	CodeStampInFuture  Code = "stamp_in_future" // stamped ahead of the house's trusted time
	CodeBeforeListing  Code = "before_listing"  // stamped no later than the listing
	CodeBadHead        Code = "bad_head"        // names a head that is not a prefix of the log
	CodeStaleHead      Code = "stale_head"      // names a head that a fresher one had replaced too long before
	CodeHeadInFuture   Code = "head_in_future"  // names a head that is younger than the stamp
	CodeUnavailable    Code = "unavailable"     // no trusted time or no store just now: send again
	CodeUnknownResult  Code = "unknown_result"  // it may or may not be committed: send the same again
	CodeRateLimited    Code = "rate_limited"    // slow down
	CodeOverloaded     Code = "overloaded"      // the replica sheds load: send again, perhaps elsewhere
	CodeHistoryChanged Code = "history_changed" // the log is not the one that the client holds proof of
	CodeTooOld         Code = "too_old"         // of an auction that was archived: it is kept elsewhere

	// The auction: what was asked.
	CodeBadTerms        Code = "bad_terms"         // a listing whose terms are out of range
	CodeBadAmount       Code = "bad_amount"        // negative, zero, fractional, or too big
	CodeWrongCurrency   Code = "wrong_currency"    // not the auction's
	CodeWrongTerms      Code = "wrong_terms"       // the terms hash is not the auction's
	CodeUnknownPolicy   Code = "unknown_policy"    // a listing under a policy that the house does not have in force
	CodeUnknownAuction  Code = "unknown_auction"   // no such auction
	CodeAuctionEnded    Code = "auction_ended"     // stamped or arrived after its end
	CodeAuctionOpen     Code = "auction_open"      // asked for what exists only after the close
	CodeOwnAuction      Code = "own_auction"       // the seller may not bid
	CodeNotYourAuction  Code = "not_your_auction"  // only the seller may withdraw it
	CodeHasBids         Code = "has_bids"          // withdrawn after the first bid
	CodeBidTooLow       Code = "bid_too_low"       // under the least acceptable amount, which the refusal names
	CodePseudonymUsed   Code = "pseudonym_used"    // this pseudonym has signed other bytes
	CodeSuspended       Code = "suspended"         // entries are lost: nothing is taken until the operator decides
	CodeTooManyRecorded Code = "too_many_recorded" // a participant's bids between end and close are limited
	CodeNoDisclosure    Code = "no_disclosure"     // nothing to disclose: no sale, or not a party to it

	CodeInternal Code = "internal" // a defect of ours; the log has the details
)

// Codes lists the closed set, for tables and tests.
func Codes() []Code {
	return []Code{
		CodeBadRequest, CodeBadVersion, CodeTooLarge, CodeBadHandshake, CodeBadFrame,
		CodeBadSignature, CodeBadCertificate, CodeCertificateRevoked, CodeBadToken, CodeTokenExpired,
		CodeWrongAudience, CodeNotYourCommand, CodeNotAllowed, CodeBadEnrolment,
		CodeBadStamp, CodeWrongStamps, CodeStampTooOld, CodeStampInFuture, CodeBeforeListing,
		CodeBadHead, CodeStaleHead, CodeHeadInFuture, CodeUnavailable, CodeUnknownResult,
		CodeRateLimited, CodeOverloaded, CodeHistoryChanged, CodeTooOld,
		CodeBadTerms, CodeBadAmount, CodeWrongCurrency, CodeWrongTerms, CodeUnknownPolicy,
		CodeUnknownAuction, CodeAuctionEnded, CodeAuctionOpen, CodeOwnAuction,
		CodeNotYourAuction, CodeHasBids, CodeBidTooLow,
		CodePseudonymUsed, CodeSuspended, CodeTooManyRecorded, CodeNoDisclosure,
		CodeInternal,
	}
}

// A Refusal is an error that a person may see. Detail is a plain sentence that
// says what to do; it never quotes the input.
type Refusal struct {
	Code   Code
	Detail string
	Least  Amount // with CodeBidTooLow: the least acceptable amount; else 0
}

func (r *Refusal) Error() string {
	if r.Detail == "" {
		return string(r.Code)
	}
	return string(r.Code) + ": " + r.Detail
}

// Refuse makes a Refusal.
func Refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// AsRefusal returns the Refusal in err's chain. An error that is none becomes
// CodeInternal without its text, so that no internals reach a client.
// AsRefusal(nil) is nil.
func AsRefusal(err error) *Refusal {
	if err == nil {
		return nil
	}
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return &Refusal{Code: CodeInternal, Detail: "the service failed; its operator can see why"}
}

// CodeOf returns the code of err, CodeInternal for a foreign error, "" for nil.
func CodeOf(err error) Code {
	if r := AsRefusal(err); r != nil {
		return r.Code
	}
	return ""
}

// Temporary reports whether sending the same bytes again may succeed.
func (c Code) Temporary() bool {
	switch c {
	case CodeUnavailable, CodeUnknownResult, CodeRateLimited, CodeOverloaded:
		return true
	}
	return false
}
