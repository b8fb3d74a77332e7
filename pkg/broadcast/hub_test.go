package broadcast_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/broadcast"
)

func TestFollowFromEveryPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 300 // more than two pages
		log := new(tape)
		log.grow(size)
		hub, reg := newHub(log)
		defer hub.Close()
		queues := make([]*broadcast.Queue, size+1)
		for after := range queues {
			queues[after] = broadcast.NewQueue(1000, 1<<20)
			defer follow(t, hub, uint64(after), queues[after])()
		}
		for after, q := range queues {
			expect(t, q, uint64(after)+1, size)
		}
		log.grow(3)
		for _, q := range queues {
			expect(t, q, size+1, size+3)
		}
		expectMetrics(t, reg, size+1, size*(size+1)/2+3*(size+1), 0)
	})
}

func TestEventsAreEncodedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(tape)
		log.grow(10)
		hub, _ := newHub(log)
		defer hub.Close()
		a, b := broadcast.NewQueue(100, 1<<20), broadcast.NewQueue(100, 1<<20)
		defer follow(t, hub, 0, a)()
		synctest.Wait()
		defer follow(t, hub, 4, b)()
		synctest.Wait()
		log.grow(5)
		expect(t, a, 1, 15)
		expect(t, b, 5, 15)
		if log.encodes != 15 {
			t.Errorf("encoded %d times, want 15", log.encodes)
		}
	})
}

func TestLostWakeDelaysByASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(tape)
		hub, reg := newHub(log)
		defer hub.Close()
		q := broadcast.NewQueue(10, 1000)
		defer follow(t, hub, 0, q)()
		time.Sleep(10*time.Second + 500*time.Millisecond) // between two looks
		log.grow(1)
		expect(t, q, 1, 1)
		if n, sum := lag(t, reg); n != 1 || sum != 0 {
			t.Errorf("lag of %d events is %v s, want one without", n, sum)
		}
		log.add(1, bid)
		expect(t, q, 2, 1)
		time.Sleep(time.Second)
		expect(t, q, 2, 2)
		if n, sum := lag(t, reg); n != 2 || sum <= 0 || sum > 1 {
			t.Errorf("lag of %d events is %v s, want at most the second since the last look", n, sum)
		}
	})
}

// A log is not looked at any more once its close record was handed over, and
// still gives its history to whoever comes.
func TestClosedLogIsNotPolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(tape)
		log.grow(2)
		hub, _ := newHub(log)
		defer hub.Close()
		early, late := broadcast.NewQueue(10, 1000), broadcast.NewQueue(10, 1000)
		defer follow(t, hub, 0, early)()
		expect(t, early, 1, 2)
		log.add(1, recorded)
		log.add(1, closing) // whose wake is lost
		time.Sleep(2 * time.Second)
		expect(t, early, 3, 4)
		before := log.readings()
		time.Sleep(time.Minute)
		if n := log.readings() - before; n != 0 {
			t.Errorf("%d readings after the close", n)
		}
		defer follow(t, hub, 1, late)()
		expect(t, late, 2, 4)
	})
}

func TestPositionBeyondTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(tape)
		log.grow(2)
		hub, _ := newHub(log)
		defer hub.Close()
		far, near := broadcast.NewQueue(10, 1000), broadcast.NewQueue(10, 1000)
		defer follow(t, hub, 5, far)()
		synctest.Wait()
		defer follow(t, hub, 0, near)()
		expect(t, near, 1, 2)
		log.grow(4)
		expect(t, near, 3, 6)
		expect(t, far, 6, 6)

		_, err := hub.Follow(itemLog, 1<<53, near)
		if refusal := (*auction.Refusal)(nil); !errors.As(err, &refusal) || refusal.Code != auction.CodeBadRequest {
			t.Errorf("a position of 2^53 gives %v, want bad_request", err)
		}
	})
}

func TestRecordedBidsComeAfterTheClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(tape)
		log.grow(4)
		hub, _ := newHub(log)
		defer hub.Close()
		live, late := broadcast.NewQueue(500, 1<<20), broadcast.NewQueue(500, 1<<20)
		defer follow(t, hub, 0, live)()
		expect(t, live, 1, 4)

		log.add(200, recorded)
		log.Wake(itemLog)
		defer follow(t, hub, 2, late)()
		time.Sleep(3 * time.Second)
		expect(t, live, 5, 4)
		expect(t, late, 3, 4)

		log.add(1, closing)
		log.Wake(itemLog)
		expect(t, live, 5, 205)
		expect(t, late, 5, 205)

		after := broadcast.NewQueue(500, 1<<20)
		defer follow(t, hub, 0, after)()
		expect(t, after, 1, 205)
	})
}

func TestSlowFollowerIsDroppedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(tape)
		hub, reg := newHub(log)
		defer hub.Close()
		slow, brisk := broadcast.NewQueue(4, 1000), broadcast.NewQueue(4, 1000)
		defer follow(t, hub, 0, slow)()
		defer follow(t, hub, 0, brisk)()
		synctest.Wait()
		for seq := range uint64(6) {
			log.grow(1)
			expect(t, brisk, seq+1, seq+1)
		}
		if got, err := drain(slow); !errors.Is(err, broadcast.ErrSlow) || len(got) != 0 {
			t.Errorf("the slow one got %v and %v, want nothing but ErrSlow", got, err)
		}
		expectMetrics(t, reg, 1, 4+6, 1)
	})
}

func TestHistoryComesAsTheQueueHasRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 1500 // more than the hub keeps at hand
		log := new(tape)
		log.grow(size)
		hub, reg := newHub(log)
		defer hub.Close()
		slow, brisk, full := broadcast.NewQueue(20, 2000), broadcast.NewQueue(400, 1<<20), broadcast.NewQueue(4, 1000)
		full.Push([]byte("#1"))
		full.Push([]byte("#2"))
		defer follow(t, hub, 0, slow)()
		defer follow(t, hub, size-3, full)()
		synctest.Wait()
		defer follow(t, hub, 0, brisk)()

		expect(t, brisk, 1, size)
		log.grow(5)
		expect(t, brisk, size+1, size+5)
		expect(t, slow, 1, size+5)
		// What was queued before comes first.
		if got, err := drain(full); err != nil || len(got) != 2+8 {
			t.Errorf("got %v, %v", got, err)
		}
		log.grow(1)
		expect(t, slow, size+6, size+6)
		expectMetrics(t, reg, 3, 2*(size+6)+9, 0)
	})
}

func TestHistoriesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, middle = 2000, 1200
		log := new(tape)
		log.grow(size)
		log.fail(errors.New("no store"))
		hub, _ := newHub(log)
		defer hub.Close()
		a, b := broadcast.NewQueue(2*size, 1<<20), broadcast.NewQueue(2*size, 1<<20)
		defer follow(t, hub, 0, a)()
		defer follow(t, hub, middle, b)()
		time.Sleep(time.Second)
		log.fail(nil)
		time.Sleep(3 * time.Second)
		expect(t, a, 1, size)
		expect(t, b, middle+1, size)
		if turn := slices.Index(log.from, middle+1); turn != 0 && turn != 1 {
			t.Errorf("reads began at %v: the second had to wait for the first", log.from)
		}
	})
}

func TestBacklogComesInPortions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(tape)
		hub, reg := newHub(log)
		defer hub.Close()
		q := broadcast.NewQueue(140, 1<<20)
		defer follow(t, hub, 0, q)()
		synctest.Wait()
		log.grow(1000) // as after an outage
		expect(t, q, 1, 1000)
		expectMetrics(t, reg, 1, 1000, 0)
	})
}

func TestReaderThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(tape)
		log.grow(3)
		log.fail(errors.New("no store"))
		hub, _ := newHub(log)
		defer hub.Close()
		q := broadcast.NewQueue(1000, 1<<20)
		defer follow(t, hub, 0, q)()
		time.Sleep(time.Minute)
		expect(t, q, 1, 0)
		if log.reads > 40 {
			t.Errorf("asked %d times in a minute", log.reads)
		}
		log.fail(nil)
		time.Sleep(3 * time.Second)
		expect(t, q, 1, 3)

		log.fail(errors.New("no store"))
		log.grow(2)
		expect(t, q, 4, 3)
		log.fail(nil)
		time.Sleep(3 * time.Second)
		expect(t, q, 4, 5)
	})
}

func TestReaderThatSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &tape{skip: true}
		log.grow(5)
		hub, _ := newHub(log)
		defer hub.Close()
		q := broadcast.NewQueue(1000, 1<<20)
		defer follow(t, hub, 0, q)()
		time.Sleep(10 * time.Second)
		expect(t, q, 1, 0)
	})
}

func TestUnfollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(tape)
		hub, reg := newHub(log)
		q := broadcast.NewQueue(1000, 1<<20)
		unfollow := follow(t, hub, 0, q)
		log.grow(2)
		expect(t, q, 1, 2)
		unfollow()
		unfollow()
		log.grow(2)
		expect(t, q, 3, 2)
		reads := log.reads
		time.Sleep(10 * time.Second)
		if log.reads != reads {
			t.Error("a log is read that nobody follows")
		}
		defer follow(t, hub, 2, q)()
		expect(t, q, 3, 4)
		expectMetrics(t, reg, 1, 4, 0)

		hub.Close()
		if _, err := hub.Follow(itemLog, 0, q); err == nil {
			t.Error("a closed hub lets in a follower")
		}
	})
}

func TestQueueThatFollowsTwoLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(tape)
		log.grow(30)
		hub, _ := newHub(log)
		defer hub.Close()
		q := broadcast.NewQueue(10, 1000)
		defer follow(t, hub, 10, q)()
		unfollow, err := hub.Follow(auction.HouseLog, 10, q)
		if err != nil {
			t.Fatal(err)
		}
		defer unfollow()
		got, err := drain(q)
		if err != nil || len(got) != 40 {
			t.Errorf("got %v, %v, want 20 events of either log", got, err)
		}
	})
}

func TestClosedQueueLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(tape)
		log.grow(10)
		hub, reg := newHub(log)
		defer hub.Close()
		live, behind := broadcast.NewQueue(50, 1000), broadcast.NewQueue(4, 1000)
		defer follow(t, hub, 0, live)()
		defer follow(t, hub, 0, behind)()
		synctest.Wait()
		expectMetrics(t, reg, 2, 12, 0)
		live.Close(nil)
		behind.Close(nil)
		log.grow(1)
		synctest.Wait()
		expectMetrics(t, reg, 0, 12, 0)
	})
}

func lag(t *testing.T, reg *prometheus.Registry) (count uint64, sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var h *dto.Histogram
	for _, f := range families {
		if f.GetName() == "sigilo_broadcast_lag_seconds" {
			h = f.GetMetric()[0].GetHistogram()
		}
	}
	return h.GetSampleCount(), h.GetSampleSum()
}
