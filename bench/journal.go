package bench

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// journal knows when each event of one log was committed, and so how late each
// spectator got it. The time is that at which Redis told so, which it does to
// this process as to the replica: once the entry is durable.
type journal struct {
	counting atomic.Bool // whether what arrives is part of the measure

	all        atomic.Uint64 // deliveries
	deliveries atomic.Uint64 // of them, while counting
	bytes      atomic.Uint64 // of their messages
	lag        latencies     // of them

	mu      sync.Mutex
	commits map[uint64]time.Time

	// The crowd's thread owns these, until it has ended.
	known []time.Time // the commits, by sequence number, as far as they were asked for
	early []arrival   // of which Redis has told the replica, and not yet us
}

// arrival is an event at a spectator.
type arrival struct {
	seq uint64
	at  time.Time
}

// keepJournal notes the commits of a log until ctx ends.
func keepJournal(ctx context.Context, redisURL string, log auction.LogID) (*journal, error) {
	at, err := url.Parse(redisURL)
	if err != nil {
		return nil, fmt.Errorf("read the URL of Redis: %w", err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, fmt.Errorf("reach Redis: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "PSUBSCRIBE *%s*\r\n", log); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	j := &journal{commits: make(map[uint64]time.Time)}
	lines := bufio.NewScanner(conn)
	for n := range subscribedLines {
		if !lines.Scan() {
			return nil, fmt.Errorf("subscribe: %w", cmp.Or(lines.Err(), io.ErrUnexpectedEOF))
		}
		if n == 0 && !strings.HasPrefix(lines.Text(), "*") {
			return nil, errors.New("subscribe: Redis refuses it")
		}
	}
	go j.listen(lines)
	return j, nil
}

// An answer to PSUBSCRIBE has so many lines in RESP2, and a message so many, the
// last of which is the payload: the sequence number.
const (
	subscribedLines = 6
	messageLines    = 9
)

func (j *journal) listen(lines *bufio.Scanner) {
	for n := 1; lines.Scan(); n++ {
		if n%messageLines != 0 {
			continue
		}
		now := time.Now()
		seq, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil {
			continue // a message about something else than an entry
		}
		j.mu.Lock()
		if _, twice := j.commits[seq]; !twice {
			j.commits[seq] = now
		}
		j.mu.Unlock()
	}
}

// arrived notes that one spectator got an event. It is for one goroutine.
func (j *journal) arrived(seq uint64, size int, now time.Time) {
	if j.counting.Load() {
		j.deliveries.Add(1)
		j.bytes.Add(uint64(size))
		if commit := j.commit(seq); commit.IsZero() {
			j.early = append(j.early, arrival{seq, now})
		} else {
			j.lag.add(now.Sub(commit))
		}
	}
	j.all.Add(1)
}

func (j *journal) commit(seq uint64) time.Time {
	for uint64(len(j.known)) <= seq {
		j.known = append(j.known, time.Time{})
	}
	if j.known[seq].IsZero() {
		j.mu.Lock()
		j.known[seq] = j.commits[seq]
		j.mu.Unlock()
	}
	return j.known[seq]
}

// settle counts the lag of what came early. The crowd must have left.
func (j *journal) settle() {
	for _, a := range j.early {
		if commit := j.commit(a.seq); !commit.IsZero() {
			j.lag.add(a.at.Sub(commit))
		}
	}
	j.early = nil
}
