package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

// readTimeout bounds what is read for one call, and the little that is written
// outside of the writers: a Redis that takes longer is as good as away.
const readTimeout = 2 * time.Second

// Options say where the state is and what the store works with.
type Options struct {
	// URL is one of redis://[user:password@]host:port[/db],
	// redis+sentinel://[user:password@]host:port,.../primary[/db] with the addresses
	// of Sentinels, or redis+cluster://[user:password@]host:port,...; rediss means
	// TLS in each of them.
	URL        string
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
	signer auction.Signer
	random io.Reader
	log    *slog.Logger
	client *topology

	metrics *metrics
	views   views
	mine    mineCache
	feed    feed
	memory  memory

	pulse  atomic.Pointer[pulse]
	repaid atomic.Int64 // the end of the latest outage after which all auctions were looked at

	lines   lines
	ctx     context.Context // ends with Stop
	cancel  context.CancelFunc
	stop    func() error // what Stop does, once
	running sync.WaitGroup
}

var (
	_ auction.Store   = (*Store)(nil)
	_ auction.Reader  = (*Store)(nil)
	_ auction.Feed    = (*Store)(nil)
	_ auction.Mailbox = (*Store)(nil)

	_ auction.Operator = (*Store)(nil)
	_ auction.Pulse    = (*Store)(nil)
	_ auction.Archive  = (*Store)(nil)
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
	client, err := newTopology(o.URL)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := client.checkServers(ctx, o.Log); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), client.Close())
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	running, cancel := context.WithCancel(context.Background())
	s := &Store{
		house: o.House, clock: o.Clock, signer: o.Signer, random: o.Random, log: o.Log, client: client,
		ctx: running, cancel: cancel,
	}
	s.pulse.Store(new(pulse))
	s.metrics = newMetrics(o.Registerer, s.lines.waiting, s.memory.count, s.memory.load)
	s.stop = sync.OnceValue(s.shutDown)
	s.lines.start = s.newLine
	s.feed.store, s.feed.pubsub = s, client.Subscribe(running)
	s.running.Go(func() { s.feed.listen(running) })
	s.running.Go(func() { s.feed.look(running) })
	s.running.Go(func() { s.watchMemory(running) })
	return s, nil
}

// Stop answers what was sent, refuses the rest with CodeUnavailable, and closes
// the connections. Stopping again does nothing.
func (s *Store) Stop() error { return s.stop() }

func (s *Store) shutDown() error {
	s.cancel()
	pubsub := s.feed.pubsub.Close()
	s.lines.close()
	s.running.Wait()
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
	s.client.moved(ctx)
	s.log.WarnContext(ctx, "redis did not answer", slog.String("step", step), slog.Any("error", err))
	return unavailable()
}
