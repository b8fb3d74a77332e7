package dms

import (
	"context"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// The loop makes heartbeats by itself, and so brings an outage to light.
func TestBeats(t *testing.T) {
	s := newStage(t, nil)
	s.WithOutages()
	terms := s.Terms()
	terms.Closes = s.Clock.Time().Add(30 * time.Second)
	id := s.Listed("seller", terms)
	if err := s.Beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(40 * time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	woken := make(chan struct{}, 1)
	stop := s.Watch(auction.LogID(id), func() { woken <- struct{}{} })
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.srv.beat(ctx) }()
	select {
	case <-woken:
	case <-ctx.Done():
		t.Error("not extended")
	}
	cancel()
	<-ended
	if end := s.State(id).End(); end != s.Clock.Time().Add(time.Minute) {
		t.Errorf("the end is %v", end.Std())
	}
}
