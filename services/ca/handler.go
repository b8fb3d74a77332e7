package ca

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/wire"
)

// maxBody bounds a request's body: a chain in base64url, or a person with all attributes.
const maxBody = 16 << 10

// handler serves the public address.
func (s *server) handler() http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = ops.ClientAddress(s.cfg.TrustedProxies)
	e.HTTPErrorHandler = s.fail

	s.route(e.POST, "/api/sign-csr", s.limited(s.signCSR))
	s.route(e.POST, "/api/issue", s.limited(s.issueToken))
	s.route(e.GET, "/api/nonce", s.limited(s.nonce))
	s.route(e.GET, "/.well-known/ca-public", s.keySet)
	s.route(e.GET, "/.well-known/sigilo", s.describe)
	s.route(e.GET, "/ca.pem", s.intermediate)
	s.route(e.GET, "/crl.der", s.revocationList)
	s.route(e.POST, "/api/invites", s.operator(s.invite))
	s.route(e.POST, "/api/revoke", s.operator(s.revoke))
	s.route(e.POST, "/api/erase", s.operator(s.erase))
	s.route(e.GET, "/api/people", s.operator(s.listPeople))
	s.route(e.GET, "/api/audit", s.operator(s.audit))
	return e
}

// route adds a handler, and counts what becomes of its requests under its path.
func (s *server) route(add func(string, echo.HandlerFunc, ...echo.MiddlewareFunc) *echo.Route, path string, h echo.HandlerFunc) {
	add(path, func(c echo.Context) error {
		start := time.Now()
		err := h(c)
		s.metrics.request(path, start, err)
		return err
	})
}

// limited refuses what an address asks for too often, before anything else is
// done about it.
func (s *server) limited(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := s.limiter.Allow(c.RealIP(), time.Now()); err != nil {
			return err
		}
		return h(c)
	}
}

var errOperator = auction.Refuse(auction.CodeNotAllowed, "this needs the operator's token")

// operator lets through who has the operator's token. Hashes are compared, so that
// neither its content nor its length shows in the time that it takes. A wrong token
// counts against the address.
func (s *server) operator(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		token, ok := strings.CutPrefix(c.Request().Header.Get(echo.HeaderAuthorization), "Bearer ")
		sum := sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(sum[:], s.keys.operator[:]) != 1 || !ok {
			if err := s.limiter.Allow(c.RealIP(), time.Now()); err != nil {
				return err
			}
			return errOperator
		}
		return h(c)
	}
}

// fail answers every error in the one form that errors have.
func (s *server) fail(err error, c echo.Context) {
	if !c.Response().Committed {
		ops.WriteError(c.Response(), c.Request(), s.log, refusal(err))
	}
}

// refusal translates the router's own errors; their texts stay behind.
func refusal(err error) error {
	var router *echo.HTTPError
	if !errors.As(err, &router) {
		return err
	}
	return auction.Refuse(auction.CodeBadRequest, "there is nothing at this path, or not for this method")
}

// read decodes a JSON body strictly.
func read(c echo.Context, v any) error {
	if kind, _, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType)); err != nil || kind != "application/json" {
		return auction.Refuse(auction.CodeBadRequest, "the body is application/json")
	}
	body, err := io.ReadAll(io.LimitReader(c.Request().Body, maxBody+1))
	if err != nil {
		return auction.Refuse(auction.CodeBadRequest, "the body could not be read")
	}
	if len(body) > maxBody {
		return auction.Refuse(auction.CodeTooLarge, "a body has at most %d bytes", maxBody)
	}
	return wire.Unmarshal(body, v)
}

// answer sends v as JSON. What the CA answers is for the caller alone.
func answer(c echo.Context, v any) error {
	body, err := wire.Marshal(v)
	if err != nil {
		return err
	}
	c.Response().Header().Set(echo.HeaderCacheControl, "no-store")
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, body)
}

// decode64 reads unpadded base64url in its one form.
func decode64(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, auction.Refuse(auction.CodeBadRequest, "binary values are in base64url without padding")
	}
	return b, nil
}

func decodeChain(texts []string) ([][]byte, error) {
	chain := make([][]byte, len(texts))
	for i, text := range texts {
		var err error
		if chain[i], err = decode64(text); err != nil {
			return nil, err
		}
	}
	return chain, nil
}

func encodeChain(chain [][]byte) []string {
	texts := make([]string, len(chain))
	for i, der := range chain {
		texts[i] = base64.RawURLEncoding.EncodeToString(der)
	}
	return texts
}
