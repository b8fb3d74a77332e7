package dms

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// maxAudit bounds the body of an approval, in bytes.
const maxAudit = 1 << 10

// approveAudit lets an auditor see the private parts of an auction. The approval
// is an entry of the house log, for everybody to see.
func (s *server) approveAudit(c echo.Context) error {
	if kind, _, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType)); err != nil || kind != echo.MIMEApplicationJSON {
		return auction.Refuse(auction.CodeBadRequest, "the body is application/json")
	}
	body, err := io.ReadAll(io.LimitReader(c.Request().Body, maxAudit+1))
	if err != nil {
		return auction.Refuse(auction.CodeBadRequest, "the body did not arrive")
	}
	if len(body) > maxAudit {
		return auction.Refuse(auction.CodeTooLarge, "the body has at most %d bytes", maxAudit)
	}
	var request struct {
		Auction string       `json:"auction"`
		Auditor auction.Hash `json:"auditor"` // thumbprint of the auditor's certificate
	}
	if err := wire.Unmarshal(body, &request); err != nil {
		return err
	}
	id, err := auction.ParseID(request.Auction)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if _, err := s.store.Auction(ctx, id); err != nil {
		return err
	}
	if err := s.store.Audit(ctx, auction.AuditApproved, auction.Audit{Auction: id, Auditor: request.Auditor}); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "audit approved", "auction", string(id))
	return c.NoContent(http.StatusNoContent)
}

// listContradictions shows what was proven against time authorities: a file that
// sigilo verify checks on each line. They show permanent identifiers, so they are
// for the operator, who may show them to others.
func (s *server) listContradictions(c echo.Context) error {
	proofs, err := s.store.Proofs(c.Request().Context())
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.Blob(http.StatusOK, "application/jsonl", bytes.Join(proofs, nil))
}

// requireToken lets in who bears the operator's token (RFC 6750).
func requireToken(token []byte) echo.MiddlewareFunc {
	want := sha256.Sum256(token)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			bearer, ok := strings.CutPrefix(c.Request().Header.Get("Authorization"), "Bearer ")
			got := sha256.Sum256([]byte(bearer))
			if !ok || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				return auction.Refuse(auction.CodeNotAllowed, "this needs the operator's token")
			}
			return next(c)
		}
	}
}

// httpRefusal turns the router's own errors into refusals.
func httpRefusal(err error) error {
	var he *echo.HTTPError
	if errors.As(err, &he) && he.Code < http.StatusInternalServerError {
		return auction.Refuse(auction.CodeBadRequest, "no such path or method here")
	}
	return err
}
