package bench

import (
	"bytes"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// journal knows when each bid of one auction was sent, and so how late each
// spectator got its event. Its time counts from before the bid was checked and
// committed: a bid has no other time that this process could know.
type journal struct {
	counting atomic.Bool // whether what arrives is part of the measure

	deliveries atomic.Uint64 // while counting
	bytes      atomic.Uint64 // of their messages
	lag        latencies     // of the deliveries of bids
	last       atomic.Uint64 // the highest sequence number of any arrival
	all        atomic.Uint64 // deliveries, counted or not

	mu   sync.Mutex
	sent map[auction.Amount]time.Time

	// The crowd's thread owns this: when the event of a sequence number was
	// sent, and zero for what is no bid. The first event is the listing.
	times []time.Time
}

func newJournal() *journal { return &journal{sent: make(map[auction.Amount]time.Time)} }

// send notes a bid that is about to be sent.
func (j *journal) send(amount auction.Amount) {
	j.mu.Lock()
	j.sent[amount] = time.Now()
	j.mu.Unlock()
}

// arrived notes that one spectator got an event. It is for one goroutine.
func (j *journal) arrived(seq uint64, message []byte, now time.Time) {
	for uint64(len(j.times)) < seq { // nobody gets an event before those before it
		j.times = append(j.times, j.timeOf(message))
		j.last.Store(seq)
	}
	j.all.Add(1)
	if !j.counting.Load() {
		return
	}
	j.deliveries.Add(1)
	j.bytes.Add(uint64(len(message)) + 1)
	if sent := j.times[seq-1]; !sent.IsZero() {
		j.lag.add(now.Sub(sent))
	}
}

var amountStart = []byte(`\"amount\":`)

func (j *journal) timeOf(message []byte) time.Time {
	_, rest, ok := bytes.Cut(message, amountStart)
	end := slices.IndexFunc(rest, func(b byte) bool { return b < '0' || b > '9' })
	if !ok || end < 0 {
		return time.Time{}
	}
	amount, err := strconv.ParseInt(string(rest[:end]), 10, 64)
	if err != nil {
		return time.Time{}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.sent[auction.Amount(amount)]
}
