package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Rebuild makes the projections of a log anew from its stream: answers of what
// was accepted, certificates, the lists of mine and of what is due, and at last
// the state, by which the others are found complete. It may run at any time, by
// several at once, and changes nothing where nothing is missing. What no log says it
// keeps, and cannot bring back: the refusals among the answers, and how many of them
// there are of each participant. A pseudonym whose refusal is lost is judged anew:
// see docs/decisions/0032. It returns the number of entries, and refuses a log
// without any with CodeUnknownAuction, of an auction that was archived with
// CodeTooOld.
func (s *Store) Rebuild(ctx context.Context, log auction.LogID) (uint64, error) {
	r := rebuilding{store: s, log: log, keys: s.keys(log), certs: make(map[auction.Hash]bool)}
	for {
		if err := r.read(ctx); err != nil {
			return 0, err
		}
		fields, size := r.fields()
		if size == 0 {
			if err := s.lookForTombstone(ctx, log); err != nil {
				return 0, err
			}
			return 0, auction.Verdict{Code: auction.CodeUnknownAuction}.Refusal()
		}
		args := append([]any{text(size)}, fields...)
		err := s.submit(ctx, &call{
			script: rebuildScript, keys: []string{r.keys.state, r.keys.log}, size: 64 * len(args),
			args:   func(auction.Time, string) ([]any, error) { return args, nil },
			finish: func(reply []string) (*auction.Receipt, error) { return nil, word(reply) },
		})
		if errors.Is(err, auction.ErrGrew) {
			continue
		}
		if err == nil && log == auction.HouseLog {
			err = s.markDue(ctx)
		}
		return size, err
	}
}

// dueMark is a member of the list of what is due that is never due. A list
// without it was lost, or was never rebuilt.
const (
	dueMark      = "complete"
	dueMarkScore = 1 << 53 // later than any time
)

// markDue says that the list of what is due lacks nothing that the house log has.
func (s *Store) markDue(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	due := s.keys(auction.HouseLog).due
	err := s.client.durably(ctx, due, func(pipe redis.Pipeliner) {
		pipe.ZAdd(ctx, due, redis.Z{Score: dueMarkScore, Member: dueMark})
	})
	if err != nil {
		return s.failed(ctx, "mark what is due as complete", err)
	}
	return nil
}

// rebuilding is a replay of a log that writes its projections on the way.
type rebuilding struct {
	store *Store
	log   auction.LogID
	keys  logKeys
	state auction.State
	house auction.House
	certs map[auction.Hash]bool
}

// read takes all entries that came since it was called last.
func (r *rebuilding) read(ctx context.Context) error {
	for {
		_, size := r.fields()
		page, err := r.store.page(ctx, r.log, size+1, pageSize)
		if err != nil {
			return err
		}
		if err := r.take(ctx, page); err != nil {
			return err
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// take replays a page and writes what does not depend on later entries.
func (r *rebuilding) take(ctx context.Context, page []stored) error {
	if len(page) == 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var reading error
	_, err := r.store.client.Pipelined(bounded, func(pipe redis.Pipeliner) error {
		for _, e := range page {
			if reading = r.entry(bounded, pipe, e); reading != nil {
				return reading
			}
		}
		return nil
	})
	if reading != nil {
		return fmt.Errorf("rebuild: %v", reading) // our own log, not the caller's input
	} else if err != nil {
		return r.store.failed(ctx, "rebuild", err)
	}
	return nil
}

func (r *rebuilding) entry(ctx context.Context, pipe redis.Pipeliner, e stored) error {
	event, err := auction.ParseEvent(e.Event)
	if err != nil {
		return err
	}
	private, err := e.Open()
	if err != nil {
		return err
	}
	if r.log == auction.HouseLog {
		if err := r.house.Apply(e.Entry); err != nil {
			return err
		}
	} else if err := r.store.apply(ctx, &r.state, e.Entry); err != nil {
		return err
	}
	switch {
	case event.Pseudonym != "": // somebody's command
		who := identity(private.Participant, sha256.Sum256(private.JWS))
		pipe.HSet(ctx, r.keys.answers, string(event.Pseudonym), answerOf(who, e.Seq))
		pipe.ZAddNX(ctx, mineKey(private.Participant), redis.Z{Score: float64(private.Arrival), Member: string(event.Auction)})
	case event.Auditor != nil:
		mark := auditMark(event.Kind, auction.Audit{Auction: event.Auction, Auditor: *event.Auditor})
		pipe.HSet(ctx, r.keys.answers, mark, text(e.Seq))
	}
	if r.log != auction.HouseLog {
		if len(e.chain) > 0 && !r.certs[private.Certificate] {
			r.certs[private.Certificate] = true
			pipe.HSet(ctx, r.keys.certs, string(private.Certificate[:]), text(e.Seq))
		}
	} else if event.Kind == auction.SomeoneListed {
		terms, err := auction.ParseTerms([]byte(event.Terms))
		if err != nil {
			return err
		}
		// Closed ones among them leave the list when they are closed once more.
		pipe.ZAddNX(ctx, r.keys.due, redis.Z{Score: float64(terms.Closes), Member: string(event.Auction)})
	}
	return nil
}

// fields are the fields and values of the state that the log replays to, and
// the number of its entries.
func (r *rebuilding) fields() ([]any, uint64) {
	if r.log != auction.HouseLog {
		if r.state.Size() == 0 {
			return nil, 0
		}
		return stateFields(&r.state), r.state.Size()
	}
	if r.house.Size() == 0 {
		return nil, 0
	}
	fields := []any{"m", text(r.house.Arrival())}
	if p, ok := r.house.Policies[r.house.InForce]; ok {
		fields = append(fields, "in_force", r.house.InForce.String(), "skew", text(p.Skew), "freshness", text(p.Freshness))
	}
	return fields, r.house.Size()
}
