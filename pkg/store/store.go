package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/sigilo/sigilo/pkg/auction"
)

// readTimeout bounds what is read for one call, and the little that is written
// outside of the writers: a Redis that takes longer is as good as away.
const readTimeout = 2 * time.Second

// Options say where the state is and what the store works with.
type Options struct {
	URL        string // redis://[user:password@]host:port[/db], or rediss: or unix:
	House      string // the house's id, which must pass auction.IsName
	Clock      auction.Clock
	Signer     auction.Signer
	Random     io.Reader // of salts; nil means crypto/rand
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Store keeps the auctions of one house in Redis. All methods are safe for
// concurrent use. Several stores, in several processes, may share the Redis.
type Store struct {
	house  string
	clock  auction.Clock
	random io.Reader
	log    *slog.Logger
	client *redis.Client

	metrics *metrics
	views   views
	mine    mineCache
	feed    feed

	queue   chan *call
	ctx     context.Context // ends with Stop
	cancel  context.CancelFunc
	stop    func() error  // what Stop does, once
	stopped chan struct{} // closed when the writers have ended
	running sync.WaitGroup
}

var (
	_ auction.Store   = (*Store)(nil)
	_ auction.Reader  = (*Store)(nil)
	_ auction.Feed    = (*Store)(nil)
	_ auction.Mailbox = (*Store)(nil)
)

// silence takes go-redis's own log away: it is one for the whole process, is not
// structured, and tells nothing that our errors do not.
var silence = sync.OnceFunc(func() { redis.SetLogger(nobody{}) })

type nobody struct{}

func (nobody) Printf(context.Context, string, ...any) {}

// Open connects to Redis and starts the writers and the feed, which run until
// Stop. It refuses a Redis that cannot be reached, with CodeUnavailable, and one
// that is too old or may evict keys; ctx bounds this check. Errors show no part
// of the URL.
func Open(ctx context.Context, o Options) (*Store, error) {
	if !auction.IsName(o.House) {
		return nil, errors.New("open store: the house has no valid id")
	}
	silence()
	opts, err := redis.ParseURL(o.URL)
	if err != nil {
		return nil, errors.New("open store: the URL of redis does not parse") // it may hold a password
	}
	opts.MaxRetries = -1 // what may have run is not sent again behind the caller's back
	opts.DialerRetries = 1
	opts.DialTimeout = readTimeout
	opts.ContextTimeoutEnabled = true
	opts.Protocol = 2
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	client := redis.NewClient(opts)
	if err := checkServer(ctx, client, o.Log); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), client.Close())
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	running, cancel := context.WithCancel(context.Background())
	queue := make(chan *call, maxQueue)
	s := &Store{
		house: o.House, clock: o.Clock, random: o.Random, log: o.Log, client: client,
		metrics: newMetrics(o.Registerer, queue), queue: queue,
		ctx: running, cancel: cancel, stopped: make(chan struct{}),
	}
	s.stop = sync.OnceValue(s.shutDown)
	for i := range writers {
		w := &writer{
			client: client, queue: s.queue, clock: o.Clock, signer: o.Signer,
			metrics: s.metrics, busy: s.metrics.busy.WithLabelValues(strconv.Itoa(i + 1)), log: o.Log, start: time.Now(),
		}
		s.running.Go(func() { w.run(running) })
	}
	s.feed.store, s.feed.pubsub = s, client.Subscribe(running)
	s.running.Go(func() { s.feed.listen(running) })
	s.running.Go(func() { s.feed.look(running) })
	return s, nil
}

// Stop answers what was sent, refuses the rest with CodeUnavailable, and closes
// the connections. Stopping again does nothing.
func (s *Store) Stop() error { return s.stop() }

func (s *Store) shutDown() error {
	s.cancel()
	pubsub := s.feed.pubsub.Close()
	s.running.Wait()
	close(s.stopped)
	if err := errors.Join(pubsub, s.client.Close()); err != nil {
		return fmt.Errorf("stop store: %w", err)
	}
	return nil
}

// failed turns an error of a direct command into what a caller may see: a
// Refusal with CodeUnavailable where Redis did not answer.
func (s *Store) failed(ctx context.Context, step string, err error) error {
	if isReply(err) && !refusedByRedis(err) {
		return fmt.Errorf("%s: %w", step, err)
	}
	s.log.WarnContext(ctx, "redis did not answer", slog.String("step", step), slog.Any("error", err))
	return unavailable()
}
