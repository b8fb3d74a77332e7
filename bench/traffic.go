package bench

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/sigilo/sigilo/pkg/accept"
	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

const (
	// bidTimeout bounds the wait for one answer. It is longer than what the
	// house gives itself.
	bidTimeout = 10 * time.Second
	// maxInFlight bounds the bids that an open loop has under way: beyond it the
	// house is not keeping up, and the bids that are not sent are counted.
	maxInFlight = 4096
	// lostPause keeps a closed loop from storming a house that is away.
	lostPause = 100 * time.Millisecond
)

// traffic makes bids and notes what becomes of them. The rounds of one run may
// follow each other, each with a tally of its own.
type traffic struct {
	house   *house
	members []*member
	lots    []*lot
	quorum  *tsp.Quorum
	metrics *metrics
	every   uint64 // of so many receipts one is checked fully; 0: none

	placed atomic.Uint64 // receipts so far, to choose the ones that are checked
	first  atomic.Pointer[error]
}

func newTraffic(h *house, members []*member, lots []*lot, m *metrics, checkEvery uint64) (*traffic, error) {
	quorum, err := accept.Quorum(h.policy, [][]byte{h.root})
	if err != nil {
		return nil, err
	}
	return &traffic{house: h, members: members, lots: lots, quorum: quorum, metrics: m, every: checkEvery}, nil
}

// tally is what became of the bids of a round.
type tally struct {
	latency latencies // of what was accepted
	checked atomic.Uint64

	mu      sync.Mutex
	results map[string]uint64
	begin   time.Time
	seconds float64 // of the round, once it is over
}

func newTally() *tally { return &tally{results: make(map[string]uint64), begin: time.Now()} }

func (t *tally) count(result string) {
	t.mu.Lock()
	t.results[result]++
	t.mu.Unlock()
}

func (t *tally) of(result string) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.results[result]
}

// closed lets every member bid again as soon as its last bid is answered, until
// ctx ends.
func (t *traffic) closed(ctx context.Context, sum *tally) {
	var running sync.WaitGroup
	for _, m := range t.members {
		running.Go(func() {
			for ctx.Err() == nil {
				if r := t.bid(m, time.Now(), sum); r == resultLost || r == resultFailed {
					sleepUntil(ctx, time.Now().Add(lostPause))
				}
			}
		})
	}
	<-ctx.Done()
	sum.seconds = time.Since(sum.begin).Seconds()
	running.Wait()
}

// open makes bids at a rate (a second) whatever becomes of them, until ctx ends,
// and waits for the answers. Each one's latency counts from when it was due.
func (t *traffic) open(ctx context.Context, rate float64, sum *tally) {
	var running sync.WaitGroup
	slots := make(chan struct{}, maxInFlight)
	for n := 0; ; n++ {
		due := sum.begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		if !sleepUntil(ctx, due) {
			break
		}
		m := t.members[n%len(t.members)]
		select {
		case slots <- struct{}{}:
			running.Go(func() {
				defer func() { <-slots }()
				t.bid(m, due, sum)
			})
		default:
			t.note(sum, resultOverrun)
		}
	}
	sum.seconds = time.Since(sum.begin).Seconds()
	running.Wait()
}

// sleepUntil reports whether ctx is still on at that time.
func sleepUntil(ctx context.Context, at time.Time) bool {
	pause := time.Until(at)
	if pause <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// bid makes one bid, and notes and returns its result.
func (t *traffic) bid(m *member, due time.Time, sum *tally) string {
	// It outlives the round that it began in: what was sent is answered.
	ctx, cancel := context.WithTimeout(t.house.ctx, bidTimeout)
	defer cancel()
	t.metrics.inFlight.Inc()
	defer t.metrics.inFlight.Dec()
	l := t.lots[m.turn()%len(t.lots)]
	done, err := t.place(ctx, m, l, l.next())
	if err != nil {
		t.refused(ctx, m, l, err)
		return t.note(sum, resultOf(err))
	}
	if n := t.placed.Add(1); t.every > 0 && n%t.every == 0 {
		if err := done.check(t.quorum, t.house.logKey); err != nil {
			t.remember(err)
			return t.note(sum, resultBad)
		}
		sum.checked.Add(1)
	}
	took := time.Since(due)
	sum.latency.add(took)
	t.metrics.receipt.WithLabelValues().Observe(took.Seconds())
	return t.note(sum, resultAccepted)
}

func (t *traffic) note(sum *tally, result string) string {
	sum.count(result)
	t.metrics.bids.WithLabelValues(result).Inc()
	return result
}

// place bids an amount in a lot.
func (t *traffic) place(ctx context.Context, m *member, l *lot, amount auction.Amount) (placed, error) {
	jws, err := m.sign(wire.Command{
		Kind: auction.KindBid, Auction: l.id, Pseudonym: auction.Pseudonym(uuid.NewString()),
		Head: l.head(), Amount: amount, Currency: currency, TermsHash: l.terms,
	})
	if err != nil {
		return placed{}, err
	}
	done, err := m.place(ctx, jws)
	if err != nil {
		return placed{}, err
	}
	_, entry, err := done.entry()
	if err != nil {
		return placed{}, err
	}
	return done, l.learn(entry)
}

// refused reads the lot's log anew where a bid was refused, or not answered, for
// what the generator has not seen of it.
func (t *traffic) refused(ctx context.Context, m *member, l *lot, err error) {
	code := auction.CodeOf(err)
	if code == auction.CodeInternal { // no refusal of the house
		t.remember(err)
	}
	if code == auction.CodeStaleHead || code == auction.CodeBadHead || errors.Is(err, errLost) {
		if err := l.catchUp(ctx, m); err != nil {
			t.remember(err)
		}
	}
}

// remember keeps the first error that is no refusal, for whoever has to find
// out why a run went wrong.
func (t *traffic) remember(err error) { t.first.CompareAndSwap(nil, &err) }

func (t *traffic) firstError() error {
	if err := t.first.Load(); err != nil {
		return *err
	}
	return nil
}
