package auction

import (
	"context"
	"maps"
	"slices"
)

// What follows reads the model, and keeps its mail.

// House implements [Reader].
func (m *Memory) House(context.Context) (*House, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.house
	return &h, nil
}

// Auction implements [Reader].
func (m *Memory) Auction(_ context.Context, id ID) (*State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.states[id] == nil {
		return nil, m.missing(id)
	}
	s := *m.states[id]
	return &s, nil
}

// PolicyOf implements [Reader].
func (m *Memory) PolicyOf(ctx context.Context, id ID) (Hash, Policy, error) {
	s, err := m.Auction(ctx, id)
	if err != nil {
		return Hash{}, Policy{}, err
	}
	return s.Terms.Policy, s.Policy, nil
}

// Entries implements [Reader].
func (m *Memory) Entries(_ context.Context, log LogID, from uint64, limit int) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, gone := m.removed[ID(log)]; gone {
		return nil, m.missing(ID(log))
	}
	all := m.logs[log]
	if from < 1 || from > uint64(len(all)) || limit < 1 {
		return nil, nil
	}
	all = all[from-1:]
	return slices.Clone(all[:min(limit, len(all))]), nil
}

// Certificates implements [Reader].
func (m *Memory) Certificates(_ context.Context, id ID, of ...Hash) (map[Hash][]Blob, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	chains := maps.Clone(m.chains[id])
	maps.DeleteFunc(chains, func(h Hash, _ []Blob) bool { return len(of) > 0 && !slices.Contains(of, h) })
	return chains, nil
}

// Mine implements [Reader].
func (m *Memory) Mine(_ context.Context, p Participant) ([]ID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := slices.Clone(m.mine[p])
	slices.Reverse(ids)
	return ids, nil
}

// Due implements [Reader].
func (m *Memory) Due(_ context.Context, before Time) ([]ID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []ID
	for id, s := range m.states {
		if s.Closed == nil && s.End() < before {
			due = append(due, id)
		}
	}
	slices.Sort(due)
	return due, nil
}

// Disclosures implements [Mailbox].
func (m *Memory) Disclosures(_ context.Context, id ID) (seller, winner *Disclosure, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if box := m.mailbox[id]; box != nil {
		return box[SideSeller], box[SideWinner], nil
	}
	return nil, nil, nil
}

// Acknowledge implements [Mailbox].
func (m *Memory) Acknowledge(_ context.Context, id ID, p Participant, message MessageKind) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.received[memoryReceipt{id, p, message}] = true
	return nil
}

// Acknowledged implements [Mailbox].
func (m *Memory) Acknowledged(_ context.Context, id ID, p Participant) (map[MessageKind]bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	got := make(map[MessageKind]bool)
	for _, message := range []MessageKind{MessageClosed, MessageDisclosure} {
		if m.received[memoryReceipt{id, p, message}] {
			got[message] = true
		}
	}
	return got, nil
}
