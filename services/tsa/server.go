package tsa

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/ops"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

// maxBody bounds the body of a request, in bytes. A time-stamp request has less
// than 200.
const maxBody = 4 << 10

type server struct {
	log       *slog.Logger
	metrics   *metrics
	times     *times
	chainPEM  []byte
	simulated bool
	health    *health // nil without NTP servers
	limiter   *ops.Limiter
	proxies   []netip.Prefix
	operator  [sha256.Size]byte // hash of the operator's token
}

func newServer(cfg Config, log *slog.Logger, registry prometheus.Registerer) (*server, error) {
	secrets, err := loadSecrets(cfg)
	if err != nil {
		return nil, err
	}
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	s := &server{
		log:       log,
		metrics:   newMetrics(registry, secrets.leaf.NotAfter, cfg.SimulatedTime),
		chainPEM:  identity.EncodeChain(secrets.chain),
		simulated: cfg.SimulatedTime,
		limiter:   ops.NewLimiter(cfg.Rate),
		proxies:   cfg.TrustedProxies,
		operator:  sha256.Sum256(secrets.operator),
	}
	var trusted func() error
	if len(cfg.NTP) > 0 {
		s.health = newHealth(cfg, now, log, newNTPMetrics(registry))
		trusted = s.health.trusted
	}
	s.times, err = newTimes(now, issuerMaker(cfg, secrets, trusted, s.metrics.stamped), auction.TimeOf(secrets.leaf.NotAfter))
	return s, err
}

// handler serves the public address.
func (s *server) handler() http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = ops.ClientAddress(s.proxies)
	e.HTTPErrorHandler = s.writeError
	e.POST("/api/timestamp", s.timestamp)
	e.GET("/api/certificates", s.certificates)
	if s.simulated {
		e.POST("/api/settime", s.setTime, s.operatorOnly)
		e.POST("/api/resettime", s.resetTime, s.operatorOnly)
	}
	return e
}

// timestamp is RFC 3161 section 3.4. A request that gets no token is answered
// with the reason in the protocol's own form, and so with 200.
func (s *server) timestamp(c echo.Context) error {
	if err := s.limiter.Allow(c.RealIP(), time.Now()); err != nil {
		return err
	}
	kind, _, err := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if err != nil || kind != tsp.QueryType {
		return echo.NewHTTPError(http.StatusUnsupportedMediaType, "the content type is "+tsp.QueryType)
	}
	request, err := readBody(c)
	if err != nil {
		return err
	}
	start := time.Now()
	response := s.times.issuer().Respond(request)
	s.metrics.crypto.Observe(time.Since(start).Seconds())
	return c.Blob(http.StatusOK, tsp.ReplyType, response)
}

// certificates gives out the authority's chain; whoever verifies pins a root,
// and needs this only for convenience.
func (s *server) certificates(c echo.Context) error {
	return c.Blob(http.StatusOK, "application/pem-certificate-chain", s.chainPEM)
}

// timeBody is the body of a request to set the time and of the answers.
type timeBody struct {
	Time auction.Time `json:"time"` // microseconds since the epoch
}

func (s *server) setTime(c echo.Context) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	var to timeBody
	if err := wire.Unmarshal(body, &to); err != nil {
		return err
	}
	if err := s.times.forward(to.Time); err != nil {
		return err
	}
	return s.showTime(c, "simulated time set")
}

func (s *server) resetTime(c echo.Context) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	if len(body) != 0 {
		return auction.Refuse(auction.CodeBadRequest, "this request has no body")
	}
	if err := s.times.reset(); err != nil {
		return err
	}
	return s.showTime(c, "simulated time reset")
}

// showTime logs a change of simulated time and answers with the time.
func (s *server) showTime(c echo.Context, change string) error {
	now := s.times.read()
	s.log.WarnContext(c.Request().Context(), change, slog.Time("simulated", now.Std()))
	body, err := wire.Marshal(timeBody{now})
	if err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, body)
}

// operatorOnly lets pass who has the operator's token.
func (s *server) operatorOnly(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		token, ok := strings.CutPrefix(c.Request().Header.Get(echo.HeaderAuthorization), "Bearer ")
		got := sha256.Sum256([]byte(token))
		if !ok || subtle.ConstantTimeCompare(got[:], s.operator[:]) != 1 {
			return auction.Refuse(auction.CodeNotAllowed, "this needs the operator's token")
		}
		return next(c)
	}
}

func readBody(c echo.Context) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(c.Request().Body, maxBody+1))
	if err != nil {
		return nil, auction.Refuse(auction.CodeBadRequest, "the body breaks off")
	}
	if len(body) > maxBody {
		return nil, auction.Refuse(auction.CodeTooLarge, "a body has at most %d bytes", maxBody)
	}
	return body, nil
}

// writeError answers with a refusal, or with the router's own status: it knows
// of unknown paths, other methods and media types, which no code stands for.
func (s *server) writeError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	var routed *echo.HTTPError
	if !errors.As(err, &routed) {
		ops.WriteError(c.Response(), c.Request(), s.log, err)
		return
	}
	body := struct {
		Code   auction.Code `json:"code"`
		Detail string       `json:"detail"`
	}{auction.CodeBadRequest, fmt.Sprint(routed.Message)}
	if err := c.JSON(routed.Code, body); err != nil {
		s.log.DebugContext(c.Request().Context(), "error answer not sent", slog.Any("error", err))
	}
}
