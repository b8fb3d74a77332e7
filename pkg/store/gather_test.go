package store

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// What waits goes into groups of at most 64 calls and 256 KiB, in its order; a
// call that is bigger goes alone.
func TestGroupsAreBounded(t *testing.T) {
	const most, bytes = 64, 256 << 10
	sizes := []int{bytes / 2, bytes / 2, 1, bytes, bytes + 1, 1}
	want := []int{2, 1, 1, 1}
	for range 2*most - 1 { // the first goes with the last of those
		sizes = append(sizes, 1)
	}
	want = append(want, most, most)
	queue := make(chan *call, len(sizes)+1)
	var all []*call
	for _, size := range sizes {
		c := &call{size: size}
		all = append(all, c)
		queue <- c
	}
	given := &call{size: 1}
	given.taken.Store(true)
	queue <- given // whose caller gave up
	w := &writer{queue: queue}
	for i, n := range want {
		group := w.gather(t.Context())
		if len(group) != n {
			t.Fatalf("group %d has %d calls, want %d", i+1, len(group), n)
		}
		for j, c := range group {
			if c != all[j] || !c.taken.Load() {
				t.Fatalf("call %d of group %d is another, or is not taken", j+1, i+1)
			}
		}
		all = all[n:]
	}
	if len(all) > 0 || w.next != nil {
		t.Errorf("%d calls are left", len(all))
	}
}

// No client sends again behind our back what may have run, whatever its URL says.
func TestClientsSendOnce(t *testing.T) {
	for _, url := range []string{
		"redis://127.0.0.1:1/0", "redis://127.0.0.1:1/0?max_retries=3", "redis+sentinel://127.0.0.1:1,127.0.0.1:2/main",
		"redis+cluster://127.0.0.1:1,127.0.0.1:2",
	} {
		c, err := newTopology(url)
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		defer c.Close()
		var retries int
		switch c := c.UniversalClient.(type) {
		case *redis.Client:
			retries = c.Options().MaxRetries
		case *redis.ClusterClient:
			retries = c.Options().MaxRetries
		}
		if retries > 0 {
			t.Errorf("%s: tries %d times more", url, retries)
		}
	}
}
