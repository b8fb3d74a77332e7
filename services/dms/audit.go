package dms

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/sigilo/sigilo/pkg/auction"
)

// approveAudit lets an auditor see the private parts of an auction. The approval
// is an entry of the house log, for everybody to see.
func (s *server) approveAudit(c echo.Context) error {
	var request struct {
		Auction string       `json:"auction"`
		Auditor auction.Hash `json:"auditor"` // thumbprint of the auditor's certificate
	}
	if err := readOrder(c, &request); err != nil {
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
// sigilo verify checks on each line. They show permanent identifiers, and of a
// listing its hidden reserve price, so they are for the operator, who may show
// them to others after the close.
func (s *server) listContradictions(c echo.Context) error {
	proofs, err := s.store.Proofs(c.Request().Context())
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.Blob(http.StatusOK, "application/jsonl", bytes.Join(proofs, nil))
}

// httpRefusal turns the router's own errors into refusals.
func httpRefusal(err error) error {
	var he *echo.HTTPError
	if errors.As(err, &he) && he.Code < http.StatusInternalServerError {
		return auction.Refuse(auction.CodeBadRequest, "no such path or method here")
	}
	return err
}
