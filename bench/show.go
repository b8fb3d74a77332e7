package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// show is one auction with bids at a steady rate, and its spectators.
type show struct {
	*traffic
	house      *ownHouse
	lot        *lot
	journal    *journal
	crowd      *crowd
	rate       float64
	spectators int
	before     uint64    // bytes of memory that the replica held without spectators
	receipts   latencies // of bids, while the journal counts
}

// play makes bids for a time, whatever becomes of those before, and waits for
// the answers. A bid that another one overtook is no error.
func (s *show) play(ctx context.Context, d time.Duration) error {
	playing, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var running sync.WaitGroup
	var failed atomic.Pointer[error]
	begin := time.Now()
	for n := 0; failed.Load() == nil; n++ {
		due := begin.Add(time.Duration(float64(n) / s.rate * float64(time.Second)))
		if !sleepUntil(playing, due) {
			break
		}
		running.Go(func() {
			err := s.bid(s.members[n%len(s.members)])
			if code := auction.CodeOf(err); err != nil && code != auction.CodeBidTooLow {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	running.Wait()
	if err := failed.Load(); err != nil {
		return fmt.Errorf("bid: %w", *err)
	}
	return ctx.Err()
}

func (s *show) bid(m *member) error {
	ctx, cancel := context.WithTimeout(s.traffic.house.ctx, bidTimeout)
	defer cancel()
	sent := time.Now()
	_, err := s.place(ctx, m, s.lot, s.lot.next())
	if err == nil && s.journal.counting.Load() {
		s.receipts.add(time.Since(sent))
	}
	return err
}

// measure plays and puts what it took into the result, under names that begin
// with the number of spectators. It returns how many cores the replica used.
func (s *show) measure(ctx context.Context, cfg FanoutConfig, profile string, result Result) (float64, error) {
	fmt.Fprintf(cfg.Progress, "%d spectators watch\n", s.spectators)
	if err := s.play(ctx, cfg.Warmup); err != nil {
		return 0, err
	}
	before, err := s.house.usage()
	if err != nil {
		return 0, err
	}
	busy := s.crowd.busy.Load()
	if profile != "" {
		if err := s.house.dms.tell(profileStart + profile); err != nil {
			return 0, err
		}
	}
	begin := time.Now()
	s.journal.counting.Store(true)
	if err := s.play(ctx, cfg.Duration); err != nil {
		return 0, err
	}
	s.journal.counting.Store(false)
	seconds := time.Since(begin).Seconds()
	after, err := s.house.usage()
	if err != nil {
		return 0, err
	}
	busy = s.crowd.busy.Load() - busy
	if profile != "" {
		if err := s.house.dms.tell(profileEnd); err != nil {
			return 0, err
		}
	}
	memory, err := memoryOf(s.house.dms.command.Process.Pid)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(s.settle(ctx), s.crowd.leave()); err != nil {
		return 0, err
	}
	s.journal.settle()
	return s.report(ctx, result, share{before: before, after: after, seconds: seconds, reader: time.Duration(busy), memory: memory})
}

// share is what all parts took of the machine during a measure.
type share struct {
	before, after usage
	seconds       float64
	reader        time.Duration // CPU time of the crowd's thread
	memory        uint64        // of the replica, at its end
}

var errMissing = errors.New("events did not come to all spectators")

// settle waits until every spectator has every event of the log.
func (s *show) settle(ctx context.Context) error {
	if err := s.lot.catchUp(ctx, s.members[0]); err != nil {
		return err
	}
	want := s.lot.head().Size * uint64(s.spectators)
	deadline := time.Now().Add(settleTimeout)
	for s.journal.all.Load() != want {
		if time.Now().After(deadline) || !sleepUntil(ctx, time.Now().Add(startPoll)) {
			return fmt.Errorf("%w: %d of %d did", errMissing, s.journal.all.Load(), want)
		}
		select {
		case err := <-s.crowd.done:
			s.crowd.done <- err // for leave
			return err
		default:
		}
	}
	return nil
}

func (s *show) report(ctx context.Context, result Result, m share) (float64, error) {
	deliveries := float64(s.journal.deliveries.Load())
	if deliveries == 0 {
		return 0, auction.Refuse(auction.CodeUnavailable, "nothing was delivered in time for a measure: take a longer duration")
	}
	size := float64(s.journal.bytes.Load()) / deliveries
	floor, err := writeFloor(ctx, int(size))
	if err != nil {
		return 0, fmt.Errorf("time a bare write: %w", err)
	}
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	prefix := strconv.Itoa(s.spectators) + "_"
	set := func(name string, value float64) { result.set(prefix+name, value) }
	cpu := m.after.dms.CPU - m.before.dms.CPU
	cores := cpu.Seconds() / m.seconds
	result.ratio(prefix+"cpu_per_delivery_to_write", us(cpu)/deliveries, us(floor))
	set("dms_cpu_us_per_delivery", us(cpu)/deliveries)
	set("write_us", us(floor))
	set("dms_cores", cores)
	set("generator_cores", (m.after.generator-m.before.generator).Seconds()/m.seconds)
	set("reader_busy", m.reader.Seconds()/m.seconds)
	set("redis_cores", (m.after.redis-m.before.redis).Seconds()/m.seconds)
	set("deliveries", deliveries)
	set("deliveries_per_second", deliveries/m.seconds)
	set("bytes_per_event", size)
	set("events_per_second", deliveries/m.seconds/float64(s.spectators))
	set("memory_kb_per_spectator", (float64(m.memory)-float64(s.before))/1024/float64(s.spectators))
	set("dms_allocs_per_delivery", float64(m.after.dms.Allocs-m.before.dms.Allocs)/deliveries)
	s.journal.lag.report(result, prefix+"lag_")
	s.receipts.report(result, prefix+"receipt_")
	return cores, nil
}
