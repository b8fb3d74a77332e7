package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	sellers = 2
	bidders = 4
	lots    = 3 // a round

	spectators = 3

	lotLife = 12 * time.Second // little more than the least that an auction may be open
	// roundTimeout bounds a round: a house that does not come back, or lets
	// somebody wait for ever, fails the run.
	roundTimeout = 3 * time.Minute

	thinking  = 300 * time.Millisecond // longest pause of a bidder between two bids
	impatient = 15 * time.Millisecond  // longest wait of one who is hasty: about as long as an answer takes
)

// A round is a few auctions from listing to disclosure, in a storm, and what
// everybody saw of them.
type round struct {
	number    int
	lots      []*lot
	people    []*person // of the whole run, and one who came for this round
	faults    int
	each      string // of the faults
	failovers int    // of the Redis
	took      time.Duration
}

// A lot is one auction of a round.
type lot struct {
	id     auction.ID
	seller *person
	muted  bool           // the winner does not disclose
	closed sync.WaitGroup // everybody who follows has seen the close
}

// A run is a house with its crowd, for as many rounds as there are to be.
type run struct {
	house *house
	dir   string
	start time.Time
	crowd []*person
	over  []*record // rounds that were audited
	say   func(format string, args ...any)

	spectators []*spectator
	following  context.Context // of the house log, and all of the spectators
	stop       context.CancelFunc
	follows    sync.WaitGroup
}

// newRun enrols a crowd.
func newRun(ctx context.Context, h *house, dir string, seed uint64, say func(string, ...any)) (*run, error) {
	r := &run{house: h, dir: dir, start: time.Now(), say: say}
	r.following, r.stop = context.WithCancel(context.Background())
	for i := range sellers + bidders {
		name := fmt.Sprintf("bidder%d", i-sellers+1)
		if i < sellers {
			name = fmt.Sprintf("seller%d", i+1)
		}
		p, err := enrol(ctx, h.at, dir, name, i, r.start)
		if err != nil {
			return r, err
		}
		r.crowd = append(r.crowd, p)
		r.follows.Go(func() { _ = p.watch(r.following, auction.HouseLog, nil) }) // a failure is noted there
	}
	for i := range spectators {
		s := newSpectator(fmt.Sprintf("spectator%d", i+1), h.at.DMS, r.start)
		r.spectators = append(r.spectators, s)
		r.follows.Go(func() { s.wander(r.following, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	return r, nil
}

// testimonies are those of all who saw a round.
func (r *run) testimonies(of *round) []*testimony {
	var out []*testimony
	for _, p := range of.people {
		out = append(out, p.testimony)
	}
	for _, s := range r.spectators {
		out = append(out, s.testimony)
	}
	return out
}

// forget lets everybody forget a round.
func (r *run) forget(of *round) {
	for _, p := range of.people {
		p.forget()
	}
	for _, s := range r.spectators {
		s.forget()
	}
}

// end lets everybody go home, and ends the house.
func (r *run) end() {
	r.stop()
	for _, p := range r.crowd {
		p.client.Close()
	}
	r.follows.Wait()
	r.house.stop()
}

// round holds a round in a storm. Its error says that the house did not come
// back, or kept somebody waiting for ever.
func (r *run) round(ctx context.Context, number int, seed uint64) (*round, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	out := &round{number: number, people: r.crowd}
	storm := &storm{house: r.house, say: r.say, count: make(map[string]int)}
	calm, blow := context.WithCancel(ctx)
	weather := make(chan error, 1)
	go func() { weather <- storm.blow(calm, ctx, seed) }()
	err := r.trade(ctx, out, rand.New(rand.NewPCG(seed, 3)))
	r.say("round %d: what was sold is disclosed", number)
	blow()
	err = errors.Join(err, <-weather)
	out.faults, out.each = storm.counts()
	out.failovers = storm.failovers
	if err == nil {
		err = r.settle(ctx, out)
	}
	out.took = time.Since(began)
	return out, err
}

// trade holds the auctions.
func (r *run) trade(ctx context.Context, out *round, random *rand.Rand) error {
	passing, err := enrol(ctx, r.house.at, r.dir, fmt.Sprintf("guest%d", out.number), random.IntN(len(r.house.at.DMS)), r.start)
	if err != nil {
		return fmt.Errorf("a guest enrols: %w", err)
	}
	defer passing.client.Close()
	out.people = append(out.people[:len(out.people):len(out.people)], passing)
	following, stop := context.WithCancel(ctx)
	defer stop()
	var follows, trading errgroup.Group
	for i := range lots {
		l := &lot{seller: r.crowd[i%sellers], muted: random.IntN(4) == 0}
		out.lots = append(out.lots, l)
		trading.Go(func() error {
			var err error
			l.id, err = l.seller.list(ctx, fmt.Sprintf("Round %d, lot %d", out.number, i+1), lotLife)
			return err
		})
	}
	if err := trading.Wait(); err != nil {
		return fmt.Errorf("a seller lists: %w", err)
	}
	r.say("round %d: listed", out.number)
	for _, l := range out.lots {
		for _, p := range r.crowd {
			l.closed.Add(1)
			seen := sync.OnceFunc(l.closed.Done)
			follows.Go(func() error {
				err := p.watch(following, auction.LogID(l.id), seen)
				seen()
				return err
			})
		}
		for _, s := range r.spectators {
			l.closed.Add(1)
			seen := sync.OnceFunc(l.closed.Done)
			context.AfterFunc(following, seen)
			s.watch(auction.LogID(l.id), seen)
		}
	}
	bidding, end := context.WithTimeout(ctx, lotLife+lateness)
	defer end()
	for i, p := range append(out.people[sellers:], passing) { // the guest bids with both hands
		mine := rand.New(rand.NewPCG(random.Uint64(), uint64(i)))
		trading.Go(func() error {
			p.bids(bidding, out.lots, mine, p == passing)
			return nil
		})
	}
	_ = trading.Wait() // none of these fails
	r.say("round %d: bidding is over", out.number)
	for _, l := range out.lots {
		l.closed.Wait()
	}
	r.say("round %d: everybody has seen the closes", out.number)
	err = r.disclose(ctx, out)
	stop()
	_ = follows.Wait() // what failed before is noted
	return err
}

// bids bids until ctx ends. One bid in four is given up at about the time at which
// its answer comes, and asked about at once: it may have been carried out or not.
// Who passes by never asks.
func (p *person) bids(ctx context.Context, lots []*lot, random *rand.Rand, passing bool) {
	for pause(ctx, between(random, 0, thinking)) {
		patience := roundTimeout
		if random.IntN(4) == 0 {
			patience = between(random, time.Millisecond, impatient)
		}
		p.bid(ctx, lots[random.IntN(len(lots))].id, random, patience, !passing)
	}
}

// disclose lets everybody find out what became of what they sent, and the
// parties of each sale learn each other's name.
func (r *run) disclose(ctx context.Context, out *round) error {
	var resuming, disclosing errgroup.Group
	for _, p := range r.crowd {
		resuming.Go(func() error { return p.resume(ctx) })
	}
	if err := resuming.Wait(); err != nil {
		return fmt.Errorf("somebody asks what became of a command: %w", err)
	}
	r.say("round %d: every command has its answer", out.number)
	for _, l := range out.lots {
		winner := r.winnerOf(l)
		if winner == nil {
			continue // unsold, or the guest's, who is gone
		}
		disclosing.Go(func() error { return l.seller.exchange(ctx, l.id, true, !l.muted) })
		disclosing.Go(func() error { return winner.exchange(ctx, l.id, !l.muted, !l.muted) })
	}
	if err := disclosing.Wait(); err != nil {
		return fmt.Errorf("a party discloses: %w", err)
	}
	return nil
}

// winnerOf returns who of the crowd won a lot, nil if nobody did.
func (r *run) winnerOf(l *lot) *person {
	l.seller.mu.Lock()
	events := l.seller.events[auction.LogID(l.id)]
	l.seller.mu.Unlock()
	if len(events) == 0 || events[len(events)-1].Winner == "" {
		return nil
	}
	winner := events[len(events)-1].Winner
	for _, p := range r.crowd {
		p.mu.Lock()
		placed := p.placed
		p.mu.Unlock()
		for _, done := range placed {
			if done.Prepared.Pseudonym == winner {
				return p
			}
		}
	}
	return nil
}

// settle has everybody look at the lots once all is calm.
func (r *run) settle(ctx context.Context, out *round) error {
	var looking errgroup.Group
	for _, l := range out.lots {
		for _, p := range r.crowd {
			looking.Go(func() error { return p.look(ctx, l.id) })
		}
	}
	return looking.Wait()
}
