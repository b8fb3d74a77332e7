package ops

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

const (
	// readHeaderTimeout ends a connection that dribbles its request line.
	readHeaderTimeout = 5 * time.Second
	// readTimeout ends a request whose body dribbles. It does not touch a
	// WebSocket: net/http lifts its deadlines from a connection taken over.
	readTimeout = 30 * time.Second
	// idleTimeout is above that of common load balancers (60 s), so that it is
	// they who close an idle connection and no request meets a closing one.
	idleTimeout = 75 * time.Second
	// maxHeaderBytes holds a token and a certificate thumbprint many times over.
	maxHeaderBytes = 16 << 10
	// stopTimeout holds goodbyes that are spread over 20 s, the 3 s that each
	// connection stays after its own, and what is in flight then. With a drain
	// delay of 5 s it is within the 45 s that the chart gives a pod to end.
	stopTimeout = 35 * time.Second
)

// A Server is one service on its two addresses. Handler, Registry and Log are
// required.
type Server struct {
	Config

	Handler  http.Handler         // serves the public address
	Registry *prometheus.Registry // shown at /metrics on the internal address
	Log      *slog.Logger

	// Ready says whether the service can do its work now; nil means always. It
	// runs at each probe, concurrently, with a deadline of 2 s.
	Ready func(context.Context) error

	// OnListen is called once, when both addresses accept connections.
	OnListen func(public, internal net.Addr)

	// Drain says goodbye on the connections that Handler has taken over
	// (WebSockets), and returns when they have ended; it sees to it that Handler
	// takes over no more. It runs after the drain delay, and shares with the end
	// of the ordinary requests a deadline of 35 s.
	Drain func(context.Context) error

	// Background is the service's work between requests. Its context ends
	// only after the last request, so what a request waits for is there until
	// then. It returns soon after, nil or the context's error; any earlier
	// return stops the server, and its error is Serve's.
	Background func(context.Context) error
}

// Serve runs s until ctx ends, and then stops it in this order: readiness
// fails; for DrainDelay all goes on; Drain runs; no more connections are
// accepted and what is in flight is answered; the background ends; the internal
// address closes last. It returns nil after a clean stop, else the first error.
// When it returns, every goroutine that it started has ended, but for those of
// handlers that ignored the end of their request's context.
func Serve(ctx context.Context, s Server) error {
	if err := s.Validate(); err != nil {
		return err
	}
	public, internal, err := s.listen(ctx)
	if err != nil {
		return err
	}

	// ctx says "begin to stop"; these end one after the other in stop.
	work, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	g, begin := errgroup.WithContext(ctx)

	probes := &probes{ready: s.Ready, stopping: begin.Done(), log: s.Log}
	publicServer := s.server(s.Handler, work)
	internalServer := s.server(s.internalHandler(probes), work)

	g.Go(func() error { return serve("public", publicServer, public) })
	g.Go(func() error { return serve("internal", internalServer, internal) })
	background := make(chan struct{})
	g.Go(func() error {
		defer close(background)
		return s.background(work)
	})
	g.Go(func() error {
		<-begin.Done()
		s.Log.InfoContext(ctx, "stopping")
		err := s.stopPublic(work, publicServer)
		endWork()
		<-background
		return errors.Join(err, internalServer.Close())
	})

	s.Log.InfoContext(ctx, "listening",
		slog.String("public", public.Addr().String()),
		slog.String("internal", internal.Addr().String()),
		slog.String("version", Version()))
	if s.OnListen != nil {
		s.OnListen(public.Addr(), internal.Addr())
	}
	err = g.Wait()
	s.Log.InfoContext(ctx, "stopped")
	return err
}

// listen opens both addresses or none.
func (s Server) listen(ctx context.Context) (public, internal net.Listener, err error) {
	var tlsConfig *tls.Config
	if s.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey)
		if err != nil {
			return nil, nil, fmt.Errorf("load TLS certificate: %w", err)
		}
		tlsConfig = &tls.Config{
			Certificates: []tls.Certificate{cert},
			MinVersion:   tls.VersionTLS13,
			NextProtos:   []string{"http/1.1"}, // a WebSocket begins as HTTP/1.1
		}
	}
	var lc net.ListenConfig
	public, err = lc.Listen(ctx, "tcp", s.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("listen on the public address: %w", err)
	}
	internal, err = lc.Listen(ctx, "tcp", s.Internal)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("listen on the internal address: %w", err), public.Close())
	}
	if tlsConfig != nil {
		public = tls.NewListener(public, tlsConfig)
	}
	return public, internal, nil
}

// server returns an HTTP server whose requests' contexts end with work. It has
// no WriteTimeout: a long transcript may go to a slow reader.
func (s Server) server(h http.Handler, work context.Context) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return work },
		// What net/http logs is about a peer's connection, not about us.
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
}

func serve(name string, server *http.Server, l net.Listener) error {
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the %s address: %w", name, err)
	}
	return nil
}

func (s Server) background(work context.Context) error {
	if s.Background == nil {
		<-work.Done()
		return nil
	}
	err := s.Background(work)
	switch {
	case work.Err() == nil && err == nil:
		return errors.New("background work ended by itself")
	case errors.Is(err, context.Canceled) && work.Err() != nil:
		return nil
	}
	return err
}

// stopPublic lets what is in flight end, and cuts off what has not ended by the
// deadline.
func (s Server) stopPublic(work context.Context, server *http.Server) error {
	sleep(work, s.DrainDelay)
	ctx, cancel := context.WithTimeout(work, stopTimeout)
	defer cancel()
	var drainErr error
	if s.Drain != nil {
		if err := s.Drain(ctx); err != nil {
			drainErr = fmt.Errorf("drain: %w", err)
		}
	}
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(drainErr, fmt.Errorf("shut down: %w", err), server.Close())
	}
	return drainErr
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
