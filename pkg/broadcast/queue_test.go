package broadcast_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/sigilo/sigilo/pkg/broadcast"
)

func TestQueueGivesAllAtOnceInOrder(t *testing.T) {
	q := broadcast.NewQueue(10, 1000)
	for _, m := range []string{"a", "b", "c"} {
		if !q.Push([]byte(m)) {
			t.Fatal("refused")
		}
	}
	batch, err := q.Next(t.Context())
	if got := fmt.Sprintf("%s", batch); err != nil || got != "[a b c]" {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := q.Next(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("an empty queue gives %v", err)
	}
}

func TestQueueBounds(t *testing.T) {
	for name, c := range map[string]struct {
		sizes []int
		last  bool
	}{
		"as many messages as may be": {[]int{1, 1, 1}, true},
		"one message too many":       {[]int{1, 1, 1, 1}, false},
		"as many bytes as may be":    {[]int{60, 40}, true},
		"one byte too many":          {[]int{60, 41}, false},
		"one message too long":       {[]int{101}, false},
	} {
		t.Run(name, func(t *testing.T) {
			q := broadcast.NewQueue(3, 100)
			ok := true
			for _, size := range c.sizes {
				ok = q.Push(make([]byte, size))
			}
			if ok != c.last {
				t.Errorf("the last push gives %v", ok)
			}
			batch, err := q.Next(t.Context())
			switch {
			case c.last && (err != nil || len(batch) != len(c.sizes)):
				t.Errorf("got %d messages, %v", len(batch), err)
			case !c.last && (!errors.Is(err, broadcast.ErrSlow) || len(batch) != 0):
				t.Errorf("got %d messages, %v, want ErrSlow alone", len(batch), err)
			}
			if !c.last && q.Push(nil) {
				t.Error("a closed queue takes a message")
			}
		})
	}
}

func TestQueueClose(t *testing.T) {
	bye := errors.New("bye")
	q := broadcast.NewQueue(3, 100)
	q.Push([]byte("last"))
	q.Close(bye)
	q.Close(nil)
	if q.Push(nil) {
		t.Error("a closed queue takes a message")
	}
	if batch, err := q.Next(ended); err != nil || len(batch) != 1 {
		t.Errorf("got %d messages, %v, want what was queued before", len(batch), err)
	}
	for range 2 {
		if _, err := q.Next(t.Context()); !errors.Is(err, bye) {
			t.Errorf("got %v, want the first reason", err)
		}
	}
	q = broadcast.NewQueue(3, 100)
	q.Close(nil)
	if _, err := q.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want EOF", err)
	}
}

func TestQueueOfManyWriters(t *testing.T) {
	const writers, each = 8, 500
	q := broadcast.NewQueue(writers*each, 1<<20)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				q.Push([]byte{byte(w), byte(i), byte(i >> 8)})
			}
		})
	}
	next := make([]int, writers)
	for got := 0; got < writers*each; {
		batch, err := q.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range batch {
			if w, i := m[0], int(m[1])|int(m[2])<<8; i != next[w] {
				t.Fatalf("message %d of writer %d where %d belongs", i, w, next[w])
			}
			next[m[0]]++
		}
		got += len(batch)
	}
	all.Wait()
}

func TestQueueWithoutAllocations(t *testing.T) {
	q := broadcast.NewQueue(10, 1000)
	msg := []byte("the same bytes for all")
	n := testing.AllocsPerRun(100, func() {
		q.Push(msg)
		q.Push(msg)
		if _, err := q.Next(ended); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
