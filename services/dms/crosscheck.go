package dms

import (
	"bytes"
	"context"
	"log/slog"
	"sync"

	"golang.org/x/time/rate"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

const (
	// maxLooks bounds how many commands a second are looked into: an authority
	// that lies makes all that come after it look late.
	maxLooks = 20
	// maxWaiting bounds those that wait, with about 15 kB each. What does not fit
	// is found in its log, if it got into one.
	maxWaiting = 64
	// maxEnded bounds the closed auctions that wait. They have a queue of their
	// own: an authority that lies fills the other just when they matter.
	maxEnded = 1024
	// maxCrosschecks bounds the logs that are remembered.
	maxCrosschecks = 64
	// crosscheckPage is how many entries are read at once.
	crosscheckPage = 256
)

// crosscheck finds time authorities that contradict themselves, and keeps the
// proof: see [evidence.Crosscheck]. It compares the stamps of each command, also
// of one that the rules then refuse, with the latest that came before, which
// costs a lock and a few comparisons. What looks late is looked into, in the
// background, in the log whose head the command names. Whole logs are looked
// through when they are closed.
//
// Simulated time may be reset, so it contradicts nothing.
type crosscheck struct {
	store   crosscheckStore
	roots   [][]byte
	quorum  func(auction.Hash, auction.Policy) (*tsp.Quorum, error)
	metrics *metrics
	log     *slog.Logger
	waiting chan lookInto   // commands
	ended   chan auction.ID // whole logs

	mu     sync.Mutex
	latest map[string]auction.Time // by authority: when its latest stamp was made, at the earliest

	logs map[auction.LogID]*readLog // owned by run
}

type crosscheckStore interface {
	auction.Reader
	auction.Proofs
}

// lookInto is a command whose stamps look late.
type lookInto struct {
	log    auction.LogID
	policy auction.Policy
	head   auction.Head // that the command names
	later  later
}

// later is something stamped that names a head of a log.
type later struct {
	what   evidence.NextStamp // without the token
	tokens [][]byte
	stamps []tsp.Stamp
}

// readLog is what was read of a log.
type readLog struct {
	id     auction.LogID
	size   uint64 // entries that were read
	stamps evidence.Crosscheck

	chain    *auction.Chain // of now, at least as long
	policies map[auction.Hash]auction.Policy
}

func newCrosscheck(store crosscheckStore, s *server, roots [][]byte) *crosscheck {
	return &crosscheck{
		store: store, roots: roots, quorum: s.checker.QuorumOf, metrics: s.metrics, log: s.log,
		waiting: make(chan lookInto, maxWaiting), ended: make(chan auction.ID, maxEnded),
		latest: make(map[string]auction.Time), logs: make(map[auction.LogID]*readLog),
	}
}

// saw is an [accept.OnStamps].
func (c *crosscheck) saw(cmd wire.Signed, p auction.Policy, tokens [][]byte, stamps []tsp.Stamp) {
	if p.Simulated || !c.late(stamps) {
		return
	}
	l := lookInto{log: auction.LogID(cmd.Auction), policy: p, head: cmd.Head, later: later{
		what: evidence.NextStamp{Command: string(cmd.JWS)}, stamps: stamps,
	}}
	if cmd.Kind == auction.KindList {
		l.log = auction.HouseLog
	}
	for _, token := range tokens {
		l.later.tokens = append(l.later.tokens, bytes.Clone(token))
	}
	select {
	case c.waiting <- l:
	default:
	}
}

// late notes stamps, and reports whether one of them says that it was made before
// one that was seen before. Most that do were under way for longer.
func (c *crosscheck) late(stamps []tsp.Stamp) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	late := false
	for _, s := range stamps {
		latest := c.latest[s.Authority]
		late = late || s.Latest() < latest
		c.latest[s.Authority] = max(latest, s.Earliest())
	}
	return late
}

// closed has the log of an auction looked through.
func (c *crosscheck) closed(id auction.ID) {
	select {
	case c.ended <- id:
	default:
		c.log.Warn("the stamps of a closed auction were not compared: too many wait", slog.String("auction", string(id)))
	}
}

// run looks into what waits until ctx ends.
func (c *crosscheck) run(ctx context.Context) error {
	pace := rate.NewLimiter(maxLooks, 1)
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case id := <-c.ended:
			err = c.lookThrough(ctx, auction.LogID(id))
		case l := <-c.waiting:
			err = c.look(ctx, l)
		}
		if err != nil && ctx.Err() == nil {
			c.log.WarnContext(ctx, "stamps were not compared with those of a log", slog.Any("error", err))
		}
		if err := pace.Wait(ctx); err != nil {
			return ctx.Err()
		}
	}
}

// lookThrough reads a log to its end, and forgets it.
func (c *crosscheck) lookThrough(ctx context.Context, id auction.LogID) error {
	log, err := c.open(ctx, id)
	if err != nil {
		return err
	}
	defer delete(c.logs, id)
	return c.read(ctx, log, log.chain.Size())
}

// look reads the log as far as it has to, and compares.
func (c *crosscheck) look(ctx context.Context, l lookInto) error {
	log, err := c.open(ctx, l.log)
	if err != nil {
		return err
	}
	if !log.chain.Has(l.head) {
		return nil // whoever makes up a head proves nothing by it
	}
	if err := c.read(ctx, log, l.head.Size); err != nil {
		return err
	}
	return c.compare(ctx, log, l.later, l.policy)
}

// open returns what is known of a log, with its chain and policies of now.
func (c *crosscheck) open(ctx context.Context, id auction.LogID) (*readLog, error) {
	log := c.logs[id]
	if log == nil {
		log = &readLog{id: id}
	}
	if id == auction.HouseLog {
		house, err := c.store.House(ctx)
		if err != nil {
			return nil, err
		}
		log.chain, log.policies = &house.Chain, house.Policies
	} else {
		state, err := c.store.Auction(ctx, auction.ID(id))
		if err != nil {
			return nil, err
		}
		log.chain, log.policies = &state.Chain, map[auction.Hash]auction.Policy{state.Terms.Policy: state.Policy}
	}
	if len(c.logs) >= maxCrosschecks {
		clear(c.logs)
	}
	c.logs[id] = log
	return log, nil
}

// read takes entries up to the given size, each compared with those before it.
func (c *crosscheck) read(ctx context.Context, log *readLog, size uint64) error {
	for log.size < size {
		page, err := c.store.Entries(ctx, log.id, log.size+1, int(min(size-log.size, crosscheckPage)))
		if err != nil || len(page) == 0 {
			return err
		}
		for _, e := range page {
			l, policy, ok := c.stamped(e, log.policies)
			if ok {
				if err := c.compare(ctx, log, l, policy); err != nil {
					return err
				}
				log.stamps.Add(e.Seq, l.stamps)
			}
			log.size = e.Seq
		}
	}
	return nil
}

// stamped returns what an entry of the store has of stamps; false if it has none,
// or of simulated time.
func (c *crosscheck) stamped(e auction.Entry, policies map[auction.Hash]auction.Policy) (later, auction.Policy, bool) {
	event, err := auction.ParseEvent(e.Event)
	if err != nil {
		return later{}, auction.Policy{}, false
	}
	private, err := auction.ParsePrivate(e.Private)
	if err != nil {
		return later{}, auction.Policy{}, false
	}
	l := later{what: evidence.NextStamp{Command: string(private.JWS)}, tokens: private.Tokens}
	if event.Kind == auction.AuctionClosed {
		l = later{what: evidence.NextStamp{Auction: event.Auction, Head: event.Head}, tokens: raw(event.Stamps)}
	}
	hash, policy := stampedUnder(event, policies)
	if len(l.tokens) == 0 || policy.V == 0 || policy.Simulated {
		return later{}, auction.Policy{}, false
	}
	quorum, err := c.quorum(hash, policy)
	if err != nil {
		return later{}, auction.Policy{}, false
	}
	l.stamps = quorum.Read(l.tokens)
	return l, policy, len(l.stamps) == len(l.tokens)
}

// stampedUnder returns the policy that an entry was stamped under: of a listing
// the one that its terms name, else that of the auction, which has but one.
func stampedUnder(event auction.Event, policies map[auction.Hash]auction.Policy) (auction.Hash, auction.Policy) {
	if event.Kind == auction.SomeoneListed {
		terms, err := auction.ParseTerms([]byte(event.Terms))
		if err != nil {
			return auction.Hash{}, auction.Policy{}
		}
		return terms.Policy, policies[terms.Policy]
	}
	for hash, policy := range policies {
		if len(policies) == 1 {
			return hash, policy
		}
	}
	return auction.Hash{}, auction.Policy{}
}

// compare looks whether stamps contradict those of entries before them, and keeps
// the proof.
func (c *crosscheck) compare(ctx context.Context, log *readLog, l later, policy auction.Policy) error {
	if len(log.stamps.Find(log.size, l.stamps)) == 0 {
		return nil // not even if it names the latest head: no need to look at what it names
	}
	head, err := l.what.Names(policy.House)
	if err != nil || !log.chain.Has(head) {
		return nil // a listing at the start of its auction names a head of another log
	}
	for _, suspect := range log.stamps.Find(head.Size, l.stamps) {
		if err := c.prove(ctx, log, l, policy, suspect); err != nil {
			return err
		}
	}
	return nil
}

// prove keeps the proof of a suspicion. One that makes no proof is left, so that
// the rest of the log is still read: an error is the store's.
func (c *crosscheck) prove(ctx context.Context, log *readLog, l later, policy auction.Policy, suspect evidence.Suspect) error {
	first, err := c.store.Entries(ctx, log.id, suspect.Seq, 1)
	if err != nil || len(first) != 1 {
		return err
	}
	next := l.what
	for i, s := range l.stamps {
		if s.Authority == suspect.Authority {
			next.Token = l.tokens[i]
		}
	}
	proof, err := evidence.NewContradiction(policy, c.roots, suspect.Authority, first[0], log.chain.Leaves(), next)
	if err != nil {
		c.log.WarnContext(ctx, "what looks like a contradiction makes no proof", slog.String("authority", suspect.Authority), slog.Any("error", err))
		return nil
	}
	c.metrics.contradictions.WithLabelValues(suspect.Authority).Inc()
	c.log.ErrorContext(ctx, "a time authority contradicted itself", slog.String("authority", suspect.Authority))
	return c.store.KeepProof(ctx, suspect.Authority, proof.Encode())
}
