package auction

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Extend implements [Operator].
func (m *Memory) Extend(_ context.Context, id ID, ends Time) error {
	return m.order(id, func(s *State, now Time) (Event, error) { return s.ExtendEvent(ends, now) })
}

// Cancel implements [Operator].
func (m *Memory) Cancel(_ context.Context, id ID) error {
	return m.order(id, (*State).CancelEvent)
}

// Suspend implements [Operator].
func (m *Memory) Suspend(_ context.Context, id ID, lost Lost) error {
	err := m.order(id, func(s *State, now Time) (Event, error) {
		if s.Closed == nil && slices.Contains(s.Lost, lost) {
			return Event{}, errNoted
		}
		if err := m.repay(s, now, now); err != nil {
			return Event{}, err
		}
		return s.SuspendEvent(lost, now)
	})
	if errors.Is(err, errNoted) {
		return nil
	}
	return err
}

var errNoted = errors.New("the log says so already")

// Resume implements [Operator].
func (m *Memory) Resume(_ context.Context, id ID, ends Time) error {
	return m.order(id, func(s *State, now Time) (Event, error) { return s.ResumeEvent(ends, now) })
}

func (m *Memory) order(id ID, judge func(*State, Time) (Event, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.states[id] == nil {
		return m.missing(id)
	}
	now, err := m.clock()
	if err != nil {
		return err
	}
	event, err := judge(m.states[id], now)
	if err != nil {
		return err
	}
	return m.say(event, now)
}

// say appends an event that the house signs.
func (m *Memory) say(event Event, now Time) error {
	var err error
	if event.Signature, err = m.signer.SignNotice(event.Notice()); err != nil {
		return fmt.Errorf("sign notice: %w", err)
	}
	entry, err := m.seal(event, Private{Arrival: now, TS: now})
	if err != nil {
		return err
	}
	_, err = m.append(LogID(event.Auction), entry)
	return err
}
