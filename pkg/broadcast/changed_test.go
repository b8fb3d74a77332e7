package broadcast_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/broadcast"
)

// A log that loses entries, or has others in their place, is not gone on with:
// its followers are cut off within a second, also while nothing new comes, and
// may follow what is there now.
func TestHistoryThatChanges(t *testing.T) {
	other := auction.Event{Kind: auction.SomeoneBid, Pseudonym: bidder, Amount: 999}
	tests := map[string]struct {
		after  uint64 // position of the follower
		change func(*tape)
	}{
		"the last entry is gone":                {0, func(log *tape) { log.cut(2) }},
		"all is gone":                           {0, func(log *tape) { log.cut(0) }},
		"the last entry is another":             {0, func(log *tape) { log.cut(2); log.add(1, other) }},
		"it has grown again, past the position": {0, func(log *tape) { log.cut(1); log.add(9, other) }},
		"a follower who has all of it":          {3, func(log *tape) { log.cut(2) }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := new(tape)
				log.grow(3)
				hub, reg := newHub(log)
				defer hub.Close()
				q := broadcast.NewQueue(100, 10_000)
				defer follow(t, hub, tt.after, q)()
				expect(t, q, tt.after+1, 3)
				tt.change(log)
				time.Sleep(time.Second)
				if batch, err := q.Next(t.Context()); auction.CodeOf(err) != auction.CodeHistoryChanged {
					t.Errorf("got %d messages, %v", len(batch), err)
				}
				synctest.Wait() // for the hub, which tells first and counts then
				expectMetrics(t, reg, 0, 3-int(tt.after), 0)
				again := broadcast.NewQueue(100, 10_000)
				defer follow(t, hub, 0, again)()
				expect(t, again, 1, uint64(len(log.entries)))
			})
		})
	}
}

// Followers of an auction that is archived are cut off, and told so when they come
// back.
func TestLogIsArchived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(tape)
		log.grow(2)
		log.add(1, closing)
		hub, _ := newHub(log)
		defer hub.Close()
		q := broadcast.NewQueue(10, 1000)
		defer follow(t, hub, 0, q)()
		expect(t, q, 1, 3)
		log.mu.Lock()
		log.broken = auction.Verdict{Code: auction.CodeTooOld}.Refusal()
		log.mu.Unlock()
		log.Wake(itemLog)
		if batch, err := q.Next(t.Context()); auction.CodeOf(err) != auction.CodeTooOld {
			t.Errorf("got %d messages, %v", len(batch), err)
		}
	})
}
