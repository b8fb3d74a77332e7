package store

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"

	"github.com/sigilo/sigilo/pkg/auction"
)

// pulse is what this process knows of the heartbeat of its house.
type pulse struct {
	at      auction.Time     // the latest, 0 before the first
	outages []auction.Outage // that had come to light by then
}

// last is the end of the latest outage, 0 without one.
func (p *pulse) last() auction.Time {
	if len(p.outages) == 0 {
		return 0
	}
	return p.outages[len(p.outages)-1].To
}

// Beat implements [auction.Pulse].
func (s *Store) Beat(ctx context.Context) error {
	p, err := s.heartbeat(ctx)
	if err != nil {
		return err
	}
	last := p.last()
	if auction.Time(s.repaid.Load()) >= last {
		return nil
	}
	house, err := s.House(ctx)
	if err != nil {
		return err
	}
	var longest int64
	for _, policy := range house.Policies {
		longest = max(longest, policy.OutageExtension)
	}
	due, err := s.Due(ctx, last+auction.Time(longest))
	if err != nil {
		return err
	}
	var errs []error
	again := false
	for _, id := range due {
		// This may take longer than an outage: the heart beats on meanwhile.
		now, err := s.clock()
		if err != nil {
			return err
		}
		if err := s.repay(ctx, id, now.Add(-auction.MaxPulse/4)); auction.CodeOf(err) != auction.CodeTooOld { // archived, which is not due
			errs = append(errs, err)
			again = again || auction.CodeOf(err).Temporary()
		}
	}
	if !again {
		s.repaid.Store(int64(last))
	}
	return errors.Join(errs...)
}

// heartbeat makes one, and returns what is known then. It counts once it is durable.
func (s *Store) heartbeat(ctx context.Context) (*pulse, error) {
	var found pulse
	var fresh bool
	err := s.submit(ctx, &call{
		script: beatScript, keys: s.pulseKeys(), size: 256,
		args: func(now auction.Time, deadline string) ([]any, error) {
			return []any{deadline, text(now), text(auction.MinOutage.Microseconds()), text(auction.MaxOutages)}, nil
		},
		finish: func(reply []string) (_ *auction.Receipt, err error) {
			found, fresh, err = parsePulse(reply)
			return nil, err
		},
	})
	if err != nil {
		return nil, err
	}
	if fresh {
		o := found.outages[len(found.outages)-1]
		s.metrics.outages.Inc()
		s.log.WarnContext(ctx, "the house could take no command for a while",
			slog.Time("from", o.From.Std()), slog.Time("to", o.To.Std()))
	}
	for {
		known := s.pulse.Load()
		if known.at >= found.at {
			return known, nil
		}
		if s.pulse.CompareAndSwap(known, &found) {
			return &found, nil
		}
	}
}

// parsePulse reads the reply of beat.lua, and whether an outage has just ended.
func parsePulse(reply []string) (p pulse, fresh bool, err error) {
	bad := errors.New("run script: a heartbeat that does not parse")
	number := func(digits string) auction.Time {
		n, parsing := strconv.ParseInt(digits, 10, 64)
		if parsing != nil {
			err = bad
		}
		return auction.Time(n)
	}
	if reply[0] != "ok" || len(reply) < 3 {
		return pulse{}, false, bad
	}
	p.at, fresh = number(reply[1]), reply[2] == "1"
	for _, both := range reply[3:] {
		from, to, _ := strings.Cut(both, " ")
		p.outages = append(p.outages, auction.Outage{From: number(from), To: number(to)})
	}
	if fresh && len(p.outages) == 0 {
		err = bad
	}
	return p, fresh, err
}

// repay extends an auction by the outages that are owed to it. All that there may be
// are known by a heartbeat at the given time or later, which is made if need be.
func (s *Store) repay(ctx context.Context, id auction.ID, least auction.Time) error {
	v := s.views.get(auction.LogID(id))
	if v.chain().Size() == 0 {
		var err error
		if v, err = s.opened(ctx, auction.LogID(id)); err != nil {
			return err
		}
	}
	seen := v.state.Load() // perhaps of before, when it ended earlier
	if seen.Policy.OutageAfter == 0 || seen.Closed != nil {
		return nil
	}
	p := s.pulse.Load()
	if p.at < least {
		var err error
		if p, err = s.heartbeat(ctx); err != nil {
			return notYet(err)
		}
	}
	switch {
	case p.at < least:
		return auction.ErrBehind
	case p.last()+auction.Time(seen.Policy.OutageExtension) <= seen.End():
		return nil
	}
	for {
		state, err := s.Auction(ctx, id)
		if err != nil {
			return err
		}
		if looked, err := s.give(ctx, state, p); err != nil || !looked {
			return err
		}
	}
}

// give extends an auction, judged by its state, by the first outage that is owed to
// it. It reports false if there is none; else there may be another one.
func (s *Store) give(ctx context.Context, state *auction.State, p *pulse) (bool, error) {
	outage, ok := state.Owed(p.outages)
	if !ok {
		return false, nil
	}
	event, err := s.order(ctx, state.ID, moveScript,
		func(now auction.Time) (auction.Event, error) { return state.OutageEvent(outage, now) }, moveArgs(state))
	switch {
	case errors.Is(err, auction.ErrGrew): // perhaps by another replica, for the same
		return true, nil
	case err != nil:
		return false, notYet(err)
	}
	s.postpone(ctx, state.ID, event.Ends)
	return true, nil
}

// notYet is the refusal of what has to wait for something else: that may be done or
// not, and the command itself is not.
func notYet(err error) error {
	if auction.CodeOf(err) == auction.CodeUnknownResult {
		return unavailable()
	}
	return err
}
