package ops

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/sigilo/sigilo/pkg/auction"
)

// HTTPStatus maps the code of a refusal to the status of an HTTP answer. It is
// total over [auction.Codes]; a code outside the set is a defect of ours, 500.
func HTTPStatus(code auction.Code) int {
	switch code {
	case auction.CodeBadRequest, auction.CodeBadVersion,
		auction.CodeBadHandshake, auction.CodeBadFrame:
		return http.StatusBadRequest
	case auction.CodeTooLarge:
		return http.StatusRequestEntityTooLarge

	case auction.CodeBadSignature, auction.CodeBadCertificate, auction.CodeBadToken,
		auction.CodeTokenExpired, auction.CodeWrongAudience, auction.CodeBadEnrolment:
		return http.StatusUnauthorized
	case auction.CodeCertificateRevoked, auction.CodeNotYourCommand,
		auction.CodeNotAllowed, auction.CodeOwnAuction, auction.CodeNotYourAuction:
		return http.StatusForbidden

	case auction.CodeUnknownAuction, auction.CodeNoDisclosure:
		return http.StatusNotFound
	case auction.CodeTooOld:
		return http.StatusGone

	// The request is sound, and the state of the auction or of its log is
	// against it.
	case auction.CodeStaleHead, auction.CodeHistoryChanged,
		auction.CodeAuctionEnded, auction.CodeAuctionOpen, auction.CodeBidTooLow,
		auction.CodePseudonymUsed, auction.CodeSuspended, auction.CodeTooManyRecorded, auction.CodeHasBids:
		return http.StatusConflict

	// The form is right, and what it says is not.
	case auction.CodeBadStamp, auction.CodeWrongStamps, auction.CodeStampTooOld,
		auction.CodeStampInFuture, auction.CodeBeforeListing, auction.CodeBadHead,
		auction.CodeHeadInFuture, auction.CodeBadTerms, auction.CodeBadAmount,
		auction.CodeWrongCurrency, auction.CodeWrongTerms, auction.CodeUnknownPolicy:
		return http.StatusUnprocessableEntity

	case auction.CodeRateLimited:
		return http.StatusTooManyRequests
	case auction.CodeUnavailable, auction.CodeOverloaded:
		return http.StatusServiceUnavailable
	case auction.CodeUnknownResult:
		return http.StatusGatewayTimeout

	case auction.CodeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusInternalServerError
}

// errorBody is the body of every HTTP answer that is not a success.
type errorBody struct {
	Code   auction.Code `json:"code"`
	Detail string       `json:"detail"`
	Least  int64        `json:"least,omitempty"`
}

// WriteError answers r with the refusal in err, which is not nil. The text of an
// error that is no refusal goes to the log alone: the caller reads that the
// service failed. Nothing may have been written to w before.
func WriteError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	refusal := auction.AsRefusal(err)
	if refusal.Code == auction.CodeInternal {
		log.ErrorContext(r.Context(), "request failed", slog.Any("error", err))
	}
	body, err := json.Marshal(errorBody{refusal.Code, refusal.Detail, int64(refusal.Least)})
	if err != nil {
		log.ErrorContext(r.Context(), "error body not encoded", slog.Any("error", err))
		http.Error(w, "", http.StatusInternalServerError)
		return
	}

	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	status := HTTPStatus(refusal.Code)
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="sigilo"`) // RFC 9110 section 15.5.2 demands one
	}
	if refusal.Code.Temporary() {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		log.DebugContext(r.Context(), "error answer not sent", slog.Any("error", err))
	}
}
