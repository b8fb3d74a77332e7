package store

import (
	"bytes"
	"context"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

func FuzzDecodeBlobs(f *testing.F) {
	f.Add([]byte{})
	f.Add(encodeBlobs(auction.Blob("leaf"), auction.Blob{}))
	f.Add([]byte{0, 0, 0, 9, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		blobs, err := decodeBlobs(data, maxChain)
		if err != nil {
			return
		}
		if len(blobs) > maxChain || !bytes.Equal(encodeBlobs(blobs...), data) {
			t.Errorf("%d blobs that are not what was read", len(blobs))
		}
	})
}

func FuzzSplitAnswer(f *testing.F) {
	f.Add(answerOf(string(make([]byte, identitySize)), 1<<53-1))
	f.Add(string(make([]byte, identitySize)) + " bid_too_low 1000")
	f.Add("")
	f.Fuzz(func(t *testing.T, value string) {
		who, seq, err := splitAnswer(value)
		if err == nil && (len(who) != identitySize || seq >= 1<<53) {
			t.Errorf("identity of %d bytes, number %d", len(who), seq)
		}
	})
}

func TestFullQueue(t *testing.T) {
	l := &line{queue: make(chan *call)} // nobody takes from it
	if err := l.submit(t.Context(), new(call)); auction.CodeOf(err) != auction.CodeOverloaded {
		t.Errorf("got %v", err)
	}
}

func TestCallerGivesUp(t *testing.T) {
	l := &line{queue: make(chan *call, 1), stopped: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := new(call)
	if err := l.submit(ctx, c); auction.CodeOf(err) != auction.CodeUnavailable || !c.taken.Load() {
		t.Errorf("a call that no writer took: got %v", err)
	}
	<-l.queue
	c = new(call)
	c.taken.Store(true)
	if err := l.submit(ctx, c); auction.CodeOf(err) != auction.CodeUnknownResult {
		t.Errorf("a call that a writer took: got %v", err)
	}
}
