package auction

import (
	"context"
	"maps"
	"slices"
)

// Remove implements [Archive].
func (m *Memory) Remove(_ context.Context, id ID, size uint64, last []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.states[id]
	switch _, gone := m.removed[id]; {
	case gone:
		return nil
	case s == nil:
		return m.missing(id)
	case s.Closed == nil:
		return Refuse(CodeAuctionOpen, "only a closed auction is archived")
	case s.Size() != size:
		return ErrGrew
	case len(last) > MaxLast:
		return Refuse(CodeTooLarge, "a tombstone keeps at most %d bytes", MaxLast)
	}
	m.removed[id] = slices.Clone(last)
	delete(m.states, id)
	delete(m.logs, LogID(id))
	delete(m.answers, LogID(id))
	delete(m.chains, id)
	delete(m.mailbox, id)
	maps.DeleteFunc(m.received, func(r memoryReceipt, _ bool) bool { return r.id == id })
	for p, ids := range m.mine {
		m.mine[p] = slices.DeleteFunc(ids, func(other ID) bool { return other == id })
	}
	return nil
}

// Removed implements [Archive].
func (m *Memory) Removed(_ context.Context, id ID) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, gone := m.removed[id]
	if !gone {
		return nil, Verdict{Code: CodeUnknownAuction}.Refusal()
	}
	return slices.Clone(last), nil
}

// missing refuses an auction that has no state.
func (m *Memory) missing(id ID) error {
	if _, gone := m.removed[id]; gone {
		return Verdict{Code: CodeTooOld}.Refusal()
	}
	return Verdict{Code: CodeUnknownAuction}.Refusal()
}
