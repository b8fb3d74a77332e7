package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A spectator's visit to one replica lasts so long, and is over at once when it
// wants to follow one more log.
const (
	shortestVisit = time.Second
	longestVisit  = 8 * time.Second
)

// A spectator follows logs without a name and without a key, as anybody may. It
// knows of the house what docs/protocol.md says, and nothing of pkg/client: it goes
// from replica to replica, resumes each log at its position, and notes what comes
// as it comes, be it out of order or twice.
type spectator struct {
	*testimony
	urls  []string  // of the replicas
	start time.Time // of the run, for the times of what it sees

	following sync.Mutex
	logs      map[auction.LogID]*position // guarded by following
	leave     context.CancelFunc          // ends the visit; guarded by following
}

// A position is how far a spectator has come in a log.
type position struct {
	seq    uint64
	leaf   auction.Hash
	closed func() // called at the close record
}

func newSpectator(name string, urls []string, start time.Time) *spectator {
	s := &spectator{
		testimony: newTestimony(name), urls: urls, start: start,
		logs: make(map[auction.LogID]*position), leave: func() {},
	}
	s.watch(auction.HouseLog, nil)
	return s
}

// watch makes the spectator follow a log from its beginning. closed is called at
// the close record; it may be nil.
func (s *spectator) watch(log auction.LogID, closed func()) {
	s.follow(log)
	s.following.Lock()
	defer s.following.Unlock()
	s.logs[log] = &position{closed: closed}
	s.leave()
}

// forget drops what was audited, but for the house log.
func (s *spectator) forget() {
	s.following.Lock()
	s.logs = map[auction.LogID]*position{auction.HouseLog: s.logs[auction.HouseLog]}
	s.leave()
	s.following.Unlock()
	s.testimony.forget()
}

// wander visits one replica after the other until ctx ends.
func (s *spectator) wander(ctx context.Context, random *rand.Rand) {
	for i := random.IntN(len(s.urls)); ctx.Err() == nil; i++ {
		visit, leave := context.WithTimeout(ctx, between(random, shortestVisit, longestVisit))
		s.following.Lock()
		s.leave = leave
		s.following.Unlock()
		// Why a visit ended does not matter: what the house says is noted, and the
		// next one resumes.
		_ = s.visit(visit, s.urls[i%len(s.urls)])
		leave()
		pause(ctx, between(random, 0, againAfter))
	}
}

// visit follows at one replica what the spectator follows, until ctx or the
// connection ends, or the replica refuses something.
func (s *spectator) visit(ctx context.Context, url string) error {
	ws, _, err := websocket.Dial(ctx, url+"/ws", &websocket.DialOptions{Subprotocols: []string{session.ModePublic}})
	if err != nil {
		return err
	}
	defer ws.CloseNow()
	ws.SetReadLimit(wire.MaxServerFrame)
	for _, m := range s.requests() {
		if err := ws.Write(ctx, websocket.MessageText, wire.EncodeClient(m)); err != nil {
			return err
		}
	}
	for {
		_, frame, err := ws.Read(ctx)
		if err != nil {
			return err
		}
		lines, err := wire.SplitFrame(frame)
		if err != nil {
			s.odd(fmt.Sprintf("a frame that is none: %v", err))
			return err
		}
		for _, line := range lines {
			if err := s.take(line); err != nil {
				return err
			}
		}
	}
}

// requests ask for all logs from where the spectator is.
func (s *spectator) requests() []wire.ClientMessage {
	s.following.Lock()
	defer s.following.Unlock()
	var out []wire.ClientMessage
	for log, at := range s.logs {
		m := &wire.FollowRequest{ID: uint32(len(out) + 1), Log: log, Seq: at.seq}
		if at.seq > 0 {
			leaf := at.leaf
			m.Leaf = &leaf
		}
		out = append(out, m)
	}
	return out
}

// take notes a message. Its error ends the visit.
func (s *spectator) take(line []byte) error {
	m, err := wire.ParseServer(line)
	if err != nil {
		s.odd(fmt.Sprintf("a message that does not parse: %v", err))
		return err
	}
	switch m := m.(type) {
	case *wire.EventNotice:
		return s.event(m)
	case *wire.SnapshotNotice:
		s.odd(fmt.Sprintf("%s: %s", m.Code, m.Detail))
		return errors.New("the house shows a snapshot")
	case *wire.RefusedAnswer:
		s.judge(m.Refusal())
		return m.Refusal()
	}
	return nil
}

// event notes an event of a log that the spectator follows.
func (s *spectator) event(m *wire.EventNotice) error {
	e, err := auction.ParseEvent([]byte(m.Event))
	if err != nil {
		s.odd(fmt.Sprintf("an event that does not parse: %v", err))
		return err
	}
	s.following.Lock()
	defer s.following.Unlock()
	at := s.logs[m.Log]
	if at == nil {
		return nil // not any more
	}
	entry := auction.Entry{Seq: e.Seq, Event: []byte(m.Event), Commitment: m.Commitment}
	at.seq, at.leaf = e.Seq, entry.Leaf()
	s.saw(m.Log, e, time.Since(s.start))
	if e.Kind == auction.AuctionClosed && at.closed != nil {
		at.closed()
	}
	return nil
}
