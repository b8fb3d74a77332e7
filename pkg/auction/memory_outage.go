package auction

import "context"

// Beat implements [Pulse].
func (m *Memory) Beat(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, err := m.clock()
	if err != nil {
		return err
	}
	m.heartbeat(now)
	n := len(m.outages)
	if n == 0 || m.outages[n-1].To == m.repaid {
		return nil
	}
	for _, s := range m.states {
		if err := m.repay(s, 0, now); err != nil {
			return err
		}
	}
	m.repaid = m.outages[n-1].To
	return nil
}

func (m *Memory) heartbeat(now Time) {
	if m.beat != 0 && now.Sub(m.beat) >= MinOutage {
		m.outages = append(m.outages, Outage{m.beat, now})
		m.outages = m.outages[max(0, len(m.outages)-MaxOutages):]
	}
	m.beat = max(m.beat, now)
}

// repay extends an auction by the outages that are owed to it, all of which are
// known once there was a heartbeat at the given time or later.
func (m *Memory) repay(s *State, least, now Time) error {
	if s.Policy.OutageAfter == 0 {
		return nil
	}
	if m.beat < least {
		m.heartbeat(now)
	}
	if m.beat < least {
		return ErrBehind
	}
	for {
		o, ok := s.Owed(m.outages)
		if !ok {
			return nil
		}
		event, err := s.OutageEvent(o, now)
		if err != nil {
			return err
		}
		if err := m.say(event, now); err != nil {
			return err
		}
	}
}
