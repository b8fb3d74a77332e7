package broadcast

import "slices"

// pick returns the follower that is behind, has room, and was not served for
// longest, and puts it last in the line. It returns nil if there is none; then
// room in any of their queues wakes the topic.
func (t *topic) pick() *follower {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := 0; i < len(t.behind); {
		f := t.behind[i]
		switch roomy, closed := f.queue.room(t.wake); {
		case closed:
			t.behind = slices.Delete(t.behind, i, i+1)
			t.hub.metrics.followers.Dec()
		case roomy:
			copy(t.behind[i:], t.behind[i+1:])
			t.behind[len(t.behind)-1] = f
			return f
		default:
			i++
		}
	}
	return nil
}

// give hands a page to all who want something of it: to live followers in any
// case, to those behind as far as their queues have room. Who then has all that
// there is becomes live.
func (t *topic) give(p page) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.tailed { // a backlog, which would overflow queues if it came at once
		t.behind = append(t.behind, t.live...)
		clear(t.live)
		t.live = t.live[:0]
	}
	given := t.giveLive(p)
	for _, f := range t.behind {
		n := f.queue.offer(p.from(f.next))
		f.next += uint64(n)
		given += n
	}
	t.hub.metrics.events.Add(float64(given))
	if t.tailed {
		caughtUp := func(f *follower) bool { return f.next > t.end }
		for _, f := range t.behind {
			if caughtUp(f) {
				t.live = append(t.live, f)
			}
		}
		t.behind = slices.DeleteFunc(t.behind, caughtUp)
	}
}

// giveLive returns how many events it put into queues. It is called with mu
// held, and removes the followers whose queues are closed.
func (t *topic) giveLive(p page) (given int) {
	open := t.live[:0]
	for _, f := range t.live {
		messages := p.from(f.next)
		switch f.queue.put(messages...) {
		case kept:
			f.next += uint64(len(messages))
			given += len(messages)
			open = append(open, f)
			continue
		case overflowed:
			t.hub.metrics.dropped.Inc()
		}
		t.hub.metrics.followers.Dec()
	}
	clear(t.live[len(open):])
	t.live = open
	return given
}
