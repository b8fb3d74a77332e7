package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	writers       = 2         // connections to a primary: while one waits for Redis, the other gathers
	maxGroup      = 64        // scripts in a pipeline
	maxGroupBytes = 256 << 10 // bytes of their arguments
	maxQueue      = 1024      // calls that wait, about a tenth of a second of work

	// maxAge is how old a call may be when Redis runs it, by Redis's own clock:
	// a replica that was stopped in between cannot commit what it judged then.
	maxAge = 2 * time.Second

	// groupTimeout bounds one pipeline. It is longer than maxAge, so what has
	// not run by then is refused by the script if it runs at all.
	groupTimeout = 3 * time.Second

	// callTimeout bounds the wait of a caller: the queue and one pipeline, with
	// a second one for scripts that had to be loaded.
	callTimeout = 8 * time.Second
)

// A call is one run of a script, made by a writer when its turn comes.
type call struct {
	script *script
	keys   []string
	size   int // bytes of the arguments, about

	// args makes the arguments at the given trusted time, right before they are
	// sent. deadline is the first one, where the script takes one.
	args func(now auction.Time, deadline string) ([]any, error)

	// finish reads the reply. A receipt that it returns is signed with the
	// others of the group before the call is done.
	finish func(reply []string) (*auction.Receipt, error)

	taken atomic.Bool // by a writer, or by the caller who gave up
	done  chan error
}

// A writer owns one connection. It loops: take what waits, without a timer, send
// it as one pipeline, sign what was committed as one batch, answer. The time
// that one pipeline takes is the time in which the next gathers.
type writer struct {
	client     *redis.Client         // of one primary
	replicated bool                  // an entry counts once a replica has it
	moved      func(context.Context) // says that the primary may be another
	gone       func()                // says that there is no such server any more
	queue      <-chan *call
	clock      auction.Clock
	signer     auction.Signer
	metrics    *metrics
	busy       prometheus.Counter // seconds
	log        *slog.Logger

	// Owned by run.
	conn  *redis.Conn   // nil: connect first
	next  *call         // taken, but too big for the group before
	lead  time.Duration // Redis's clock, since the Unix epoch, less the time since start
	start time.Time
}

// run serves the queue until ctx ends, or the primary is one no more.
func (w *writer) run(ctx context.Context) {
	defer w.disconnect()
	for {
		group := w.gather(ctx)
		if group == nil {
			return
		}
		w.commit(group)
	}
}

// gather waits for a call and takes what else is there. Nil means the end.
func (w *writer) gather(ctx context.Context) []*call {
	first := w.next
	w.next = nil
	for first == nil {
		select {
		case <-ctx.Done():
			return nil
		case c := <-w.queue:
			if c.taken.CompareAndSwap(false, true) {
				first = c
			}
		}
	}
	group, size := []*call{first}, first.size
	for len(group) < maxGroup {
		select {
		case c := <-w.queue:
			if !c.taken.CompareAndSwap(false, true) {
				continue
			}
			if size += c.size; size > maxGroupBytes {
				w.next = c
				return group
			}
			group = append(group, c)
		default:
			return group
		}
	}
	return group
}

// commit runs a group and answers each call of it.
func (w *writer) commit(group []*call) {
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	w.metrics.group.Observe(float64(len(group)))
	begin := time.Now()
	results := w.send(ctx, group)
	var again []int
	for i, r := range results {
		if r.err != nil && (redis.HasErrorPrefix(r.err, "NOSCRIPT") || redis.HasErrorPrefix(r.err, "READONLY")) {
			again = append(again, i)
		}
	}
	if len(again) > 0 {
		// Redis has lost its scripts, or this server is the primary no more. A new
		// connection loads them, and goes to the one that is.
		w.disconnect()
		second := make([]*call, len(again))
		for i, j := range again {
			second[i] = group[j]
		}
		for i, r := range w.send(ctx, second) {
			results[again[i]] = r
		}
	}
	for i, r := range results {
		if r.err != nil && (redis.HasErrorPrefix(r.err, "NOSCRIPT") || refusedByRedis(r.err)) {
			w.log.ErrorContext(ctx, "redis takes no writes", slog.Any("error", r.err))
			results[i].err = unavailable()
		}
	}
	seconds := time.Since(begin).Seconds()
	for _, c := range group {
		w.metrics.seconds.WithLabelValues(c.script.name).Observe(seconds)
	}
	w.answer(group, results)
	w.busy.Add(time.Since(begin).Seconds())
}

// result is the reply to a call, or why there is none.
type result struct {
	reply []string
	err   error
}

// send runs the calls as one pipeline on a connection of this writer. Where a
// replica must have the result, the pipeline waits for that at its end.
func (w *writer) send(ctx context.Context, group []*call) []result {
	results := make([]result, len(group))
	fail := func(err error) []result {
		for i := range results {
			results[i].err = err
		}
		return results
	}
	if err := w.connect(ctx); err != nil {
		w.log.WarnContext(ctx, "redis is not to be reached", slog.Any("error", err))
		w.moved(ctx)
		if errors.Is(err, redis.ErrClosed) {
			w.gone()
		}
		return fail(unavailable())
	}
	now, err := w.clock()
	if err != nil {
		return fail(err)
	}
	sent := time.Since(w.start)
	deadline := text((w.lead + sent + maxAge).Microseconds())
	pipe := w.conn.Pipeline()
	clock := pipe.Time(ctx)
	cmds := make([]*redis.Cmd, len(group))
	for i, c := range group {
		args, err := c.args(now, deadline)
		if err != nil {
			results[i].err = err
			continue
		}
		cmds[i] = pipe.EvalSha(ctx, c.script.sha, c.keys, args...)
	}
	var wait *redis.Cmd
	if w.replicated {
		wait = pipe.Do(ctx, waitArgs...)
	}
	_, err = pipe.Exec(ctx)
	sound := err == nil || isReply(err)
	if t, err := clock.Result(); err == nil {
		w.measure(t, sent)
	}
	durable := wait == nil
	if !durable {
		err := acknowledged(wait)
		if durable = err == nil; !durable && sound {
			w.log.WarnContext(ctx, "no replica has a group of commands in time", slog.Any("error", err))
		}
		sound = sound && durable // the next connection may be to another primary
	}
	for i, cmd := range cmds {
		if cmd != nil {
			results[i] = w.read(ctx, cmd, durable)
			sound = sound && auction.CodeOf(results[i].err) != auction.CodeUnknownResult && !lacking(results[i].err)
		}
	}
	if !sound {
		w.disconnect()
		w.moved(ctx)
	}
	return results
}

// quick is a round trip in which Redis's clock is measured well.
const quick = 100 * time.Millisecond

// measure takes Redis's clock out of the reply to what was sent at the given
// time. The reply may have waited for a replica, so that the clock went on for
// longer than we know: then it is only a bound.
func (w *writer) measure(clock time.Time, sent time.Duration) {
	received := time.Since(w.start)
	least := time.Duration(clock.UnixMicro())*time.Microsecond - received
	if least > w.lead || received-sent < quick {
		w.lead = least
	}
}

// read tells what became of one script. No reply means that it may have run, and
// so does one that is not durable. An error of Redis means that it did not.
func (w *writer) read(ctx context.Context, cmd *redis.Cmd, durable bool) result {
	reply, err := cmd.StringSlice()
	switch {
	case err == nil && len(reply) == 0:
		return result{err: fmt.Errorf("run script: an empty reply")}
	case err == nil && reply[0] == "stale":
		return result{err: unavailable()}
	case err == nil && !durable:
		return result{err: unknown()}
	case err == nil:
		return result{reply: reply}
	case isReply(err):
		return result{err: fmt.Errorf("run script: %w", err)}
	}
	w.log.WarnContext(ctx, "redis did not answer", slog.Any("error", err))
	return result{err: unknown()}
}

// answer finishes the calls, signs the receipts of the group, and lets the
// callers go.
func (w *writer) answer(group []*call, results []result) {
	var signed []int
	var receipts []auction.Receipt
	targets := make([]*auction.Receipt, 0, len(group))
	for i, c := range group {
		r := &results[i]
		if r.err != nil {
			continue
		}
		receipt, err := c.finish(r.reply)
		r.err = err
		if receipt != nil && err == nil {
			signed = append(signed, i)
			receipts = append(receipts, *receipt)
			targets = append(targets, receipt)
		}
	}
	if len(receipts) > 0 {
		if err := w.signer.SignReceipts(receipts); err != nil {
			for _, i := range signed {
				results[i].err = fmt.Errorf("sign receipts: %w", err)
			}
		}
		for i, t := range targets {
			*t = receipts[i]
		}
	}
	for i, c := range group {
		c.done <- results[i].err
	}
}

// connect takes a connection, checks whom it is to, loads the scripts, and asks
// for Redis's clock.
func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn := w.client.Conn()
	if err := w.prepare(ctx, conn); err != nil {
		_ = conn.Close() // the first error tells more
		return err
	}
	w.conn = conn
	return nil
}

func (w *writer) prepare(ctx context.Context, conn *redis.Conn) error {
	found, err := ask(ctx, conn)
	if err != nil {
		return err
	}
	if err := found.check(w.replicated); err != nil {
		return err // it was promoted, or its settings were changed
	}
	pipe := conn.Pipeline()
	for _, s := range scripts {
		pipe.ScriptLoad(ctx, s.source)
	}
	clock := pipe.Time(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("load scripts: %w", err)
	}
	w.lead = time.Duration(clock.Val().UnixMicro())*time.Microsecond - time.Since(w.start)
	return nil
}

func (w *writer) disconnect() {
	if w.conn != nil {
		_ = w.conn.Close() // a broken connection has nothing more to say
		w.conn = nil
	}
}

func unavailable() error {
	return auction.Refuse(auction.CodeUnavailable, "the store cannot be reached just now: send the same again")
}

func unknown() error {
	return auction.Refuse(auction.CodeUnknownResult, "it may be committed or not: send the same again")
}

// isReply reports whether err is an error that Redis answered, so that the
// connection is sound.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// refusedByRedis reports whether Redis refused to run a command, for now or here.
func refusedByRedis(err error) bool {
	for _, code := range []string{"OOM", "LOADING", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY"} {
		if redis.HasErrorPrefix(err, code) {
			return true
		}
	}
	return lacking(err)
}
