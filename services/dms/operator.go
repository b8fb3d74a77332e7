package dms

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// maxOrder bounds the body of an operator's request, in bytes.
const maxOrder = 1 << 10

// extend moves the end of an auction, by an entry of its log that all may see.
func (s *server) extend(c echo.Context) error {
	var request struct {
		Auction string       `json:"auction"`
		Ends    auction.Time `json:"ends"` // microseconds
	}
	return s.order(c, "extend", &request, &request.Auction, func(ctx context.Context, id auction.ID) error {
		return s.store.Extend(ctx, id, request.Ends)
	})
}

// cancelAuction ends an auction without a sale, by an entry that all may see.
func (s *server) cancelAuction(c echo.Context) error {
	var request struct {
		Auction string `json:"auction"`
	}
	return s.order(c, "cancel", &request, &request.Auction, s.store.Cancel)
}

// resume ends the suspension of an auction, by an entry that all may see.
func (s *server) resume(c echo.Context) error {
	var request struct {
		Auction string       `json:"auction"`
		Ends    auction.Time `json:"ends,omitzero"` // microseconds
	}
	return s.order(c, "resume", &request, &request.Auction, func(ctx context.Context, id auction.ID) error {
		return s.store.Resume(ctx, id, request.Ends)
	})
}

// order reads what an operator wants of an auction into request, whose member name
// says which auction it is, and has it done.
func (s *server) order(c echo.Context, verb string, request any, name *string, do func(context.Context, auction.ID) error) error {
	if err := readOrder(c, request); err != nil {
		return err
	}
	id, err := auction.ParseID(*name)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if err := do(ctx, id); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "an order of the operator is carried out", "order", verb, "auction", string(id))
	return c.JSON(http.StatusOK, struct{}{})
}

// readOrder reads the body of an operator's request.
func readOrder(c echo.Context, request any) error {
	if kind, _, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType)); err != nil || kind != echo.MIMEApplicationJSON {
		return auction.Refuse(auction.CodeBadRequest, "the body is application/json")
	}
	body, err := io.ReadAll(io.LimitReader(c.Request().Body, maxOrder+1))
	if err != nil {
		return auction.Refuse(auction.CodeBadRequest, "the body did not arrive")
	}
	if len(body) > maxOrder {
		return auction.Refuse(auction.CodeTooLarge, "the body has at most %d bytes", maxOrder)
	}
	return wire.Unmarshal(body, request)
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
