package wire

import "github.com/sigilo/sigilo/pkg/auction"

// CloseCode says why the DMS closes a WebSocket (RFC 6455 section 7.4.2, private
// use). Unlike what is in a session it is not authentic: a client takes it as a
// hint of whether and when to try again.
type CloseCode int

// Close codes of the DMS.
const (
	CloseBye             CloseCode = 4000 // after a bye: the next connection should be open
	CloseBadHandshake    CloseCode = 4001 // malformed, wrong mode or transcript, too late: do not repeat it
	CloseBadFrame        CloseCode = 4002 // a frame that does not open, or no message in it: open a new session
	CloseSlow            CloseCode = 4003 // the client does not read fast enough: resume from its positions
	CloseRateLimited     CloseCode = 4004 // a later session took its place, or too much that does not verify: wait, then open a new session
	CloseUnauthenticated CloseCode = 4005 // certificate or token not accepted: get new ones
	CloseTokenEnded      CloseCode = 4006 // the session token ended: get a new one
	CloseUnavailable     CloseCode = 4007 // no trusted time, no store, or not the log that was given out: try again, perhaps elsewhere
	CloseTooMany         CloseCode = 4008 // no room for another connection: try again, perhaps elsewhere
	CloseInternal        CloseCode = 4009 // a defect of the house
)

// CloseCodeOf returns the close code for a connection that ends with a refusal
// of the given code. It is total: a code that ends no connection by itself is
// taken for a bad frame.
func CloseCodeOf(code auction.Code) CloseCode {
	switch code {
	case auction.CodeBadHandshake, auction.CodeBadVersion:
		return CloseBadHandshake
	case auction.CodeBadCertificate, auction.CodeCertificateRevoked, auction.CodeBadToken,
		auction.CodeBadSignature, auction.CodeWrongAudience, auction.CodeNotAllowed:
		return CloseUnauthenticated
	case auction.CodeTokenExpired:
		return CloseTokenEnded
	case auction.CodeRateLimited:
		return CloseRateLimited
	case auction.CodeUnavailable, auction.CodeUnknownResult, auction.CodeHistoryChanged, auction.CodeTooOld:
		return CloseUnavailable
	case auction.CodeOverloaded:
		return CloseTooMany
	case auction.CodeInternal:
		return CloseInternal
	}
	return CloseBadFrame
}
