package ops

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout is above Ready's usual round trip to Redis and below the period
// at which Kubernetes asks.
const readyTimeout = 2 * time.Second

// errStopping is the answer of /readyz from the moment that the stop begins.
var errStopping = errors.New("stopping")

// probes answers the questions of whoever watches over the service.
type probes struct {
	ready    func(context.Context) error
	stopping <-chan struct{}
	log      *slog.Logger
	failing  atomic.Bool // the last answer of /readyz, to log changes only
}

func (s Server) internalHandler(p *probes) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK) // being answered is the proof of life
	})
	mux.HandleFunc("GET /readyz", p.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelError),
	}))
	return mux
}

// readyz answers 503 with the reason while the service is not ready. The reason
// is for the operator: the internal address is not for the public.
func (p *probes) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	err := p.check(ctx)
	if failing := err != nil; p.failing.Swap(failing) != failing {
		if failing {
			p.log.WarnContext(ctx, "not ready", slog.Any("error", err))
		} else {
			p.log.InfoContext(ctx, "ready again")
		}
	}
	if err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (p *probes) check(ctx context.Context) error {
	select {
	case <-p.stopping:
		return errStopping
	default:
	}
	if p.ready == nil {
		return nil
	}
	return p.ready(ctx)
}
