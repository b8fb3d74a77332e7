package auctiontest

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func testAdopt(t *testing.T, s *Scene) {
	ctx := context.Background()
	other := s.Policy
	other.MaxRecorded++
	doc, err := other.Encode()
	s.ok(err)
	for _, d := range [][]byte{s.Doc, doc, doc, s.Doc} {
		s.ok(s.Adopt(ctx, d))
	}
	log := s.Log(auction.HouseLog)
	s.equal(len(log), 3)
	for i, want := range [][]byte{s.Doc, doc, s.Doc} {
		ev, err := auction.ParseEvent(log[i].Event)
		s.ok(err)
		s.equal(ev.Policy, string(want))
	}
	house, err := s.House(ctx)
	s.ok(err)
	s.equal(house.InForce, auction.PolicyHash(s.Doc))
	s.equal(len(house.Policies), 2)
	s.refused(s.Adopt(ctx, append(doc, ' ')), auction.CodeBadRequest)
}

func testListing(t *testing.T, s *Scene) {
	c := s.List("seller", s.Terms())
	a := s.Accept(c)
	s.checkAnswer(a, c)
	s.equal(a.Entry.Seq, uint64(1))
	house := s.Log(auction.HouseLog)
	s.equal(len(house), 2)
	s.equal(house[1].Commitment, a.Entry.Commitment)
	state := s.State(c.Auction)
	s.equal(state.Listed, c.TS)
	s.equal(state.Seller, c.Participant)
	s.equal(state.Terms, c.Listing)

	_, err := s.Auction(context.Background(), auction.ID(s.Pseudonym()))
	s.refused(err, auction.CodeUnknownAuction)
	_, err = s.Send(s.Disclosure(c.Auction, "seller", ""))
	s.refused(err, auction.CodeBadRequest)
}

func testListingRefused(t *testing.T, s *Scene) {
	policy := func(c *auction.Command) { c.Listing.Policy[0]++ }
	head := func(c *auction.Command) { c.Head.Root[0]++ }
	empty := func(c *auction.Command) { c.Head = auction.Head{} }
	soon := func(c *auction.Command) { c.Listing.Closes = c.TS.Add(auction.MinOpen) - 1 }
	late := func(c *auction.Command) { c.Listing.Closes = c.TS.Add(auction.MaxOpen) + 1 }
	shift := func(d time.Duration) func(*auction.Command) {
		return func(c *auction.Command) { *c = Restamped(*c, c.TS.Add(d)) }
	}
	s.Clock.Advance(time.Hour) // since the policy
	for _, test := range []struct {
		want  auction.Code
		spoil []func(*auction.Command)
	}{
		{auction.CodeUnknownPolicy, []func(*auction.Command){policy, head, soon}},
		{auction.CodeBadHead, []func(*auction.Command){head, shift(-time.Minute), soon}},
		{auction.CodeBadHead, []func(*auction.Command){empty}},
		{auction.CodeHeadInFuture, []func(*auction.Command){shift(-2 * time.Hour), soon}},
		{auction.CodeStampTooOld, []func(*auction.Command){shift(-5*time.Second - time.Microsecond), soon}},
		{auction.CodeStampInFuture, []func(*auction.Command){shift(500*time.Millisecond + time.Microsecond), late}},
		{auction.CodeBadTerms, []func(*auction.Command){soon}},
		{auction.CodeBadTerms, []func(*auction.Command){late}},
	} {
		c := s.List("seller", s.Terms())
		for _, spoil := range test.spoil {
			spoil(&c)
		}
		var err error
		c.Terms, err = c.Listing.Encode()
		s.ok(err)
		_, err = s.Send(c)
		s.refused(err, test.want)
	}
	s.equal(len(s.Log(auction.HouseLog)), 1)

	old := s.List("seller", s.Terms())
	s.Accept(old)
	s.Clock.Advance(5*time.Second + 10*time.Millisecond)
	stale := s.List("seller", s.Terms())
	stale.Head = old.Head
	_, err := s.Send(stale)
	s.refused(err, auction.CodeStaleHead)
	edge := s.List("seller", s.Terms())
	edge = Restamped(edge, edge.TS.Add(-5*time.Second)) // still fresh
	edge.Listing.Closes = edge.TS.Add(auction.MinOpen)
	edge.Terms, err = edge.Listing.Encode()
	s.ok(err)
	s.Accept(edge)
}

func testBid(t *testing.T, s *Scene) {
	id := s.Listed("seller", s.Terms())
	for i, amount := range []auction.Amount{1000, 1050, 2000} {
		c := s.Bid(id, "bidder", amount)
		a := s.Accept(c)
		s.checkAnswer(a, c)
		s.equal(a.Entry.Seq, uint64(i+2))
		s.equal(a.Entry.Event, auction.JoinEvent(uint64(i+2), c.Event().Tail()))
		state := s.State(id)
		s.equal(state.Leader.Amount, amount)
		s.equal(len(state.Bids), i+1)
	}
	c := s.Bid(id, "bidder", 3000)
	c.Auction = auction.ID(s.Pseudonym())
	_, err := s.Send(c)
	s.refused(err, auction.CodeUnknownAuction)
}

func testBidRefused(t *testing.T, s *Scene) {
	id := s.Listed("seller", s.Terms())
	s.Accept(s.Bid(id, "first", 1000))
	first := s.State(id).Head()
	s.Clock.Advance(time.Minute)
	s.Accept(s.Bid(id, "second", 2000))
	s.Clock.Advance(time.Minute)
	end := s.State(id).End()

	type spoil = func(*auction.Command)
	terms := func(c *auction.Command) { c.TermsHash[0]++ }
	currency := func(c *auction.Command) { c.Currency = "JPY" }
	own := func(c *auction.Command) { c.Participant = Participant("seller") }
	root := func(c *auction.Command) { c.Head.Root[0]++ }
	long := func(c *auction.Command) { c.Head.Size++ }
	empty := func(c *auction.Command) { c.Head = auction.Head{} }
	stale := func(c *auction.Command) { c.Head = first }
	oldest := func(c *auction.Command) { c.Head = s.State(id).HeadAt(1) }
	low := func(c *auction.Command) { c.Amount = 2049 }
	at := func(t auction.Time) spoil { return func(c *auction.Command) { *c = Restamped(*c, t) } }
	shift := func(d time.Duration) spoil { return func(c *auction.Command) { *c = Restamped(*c, c.TS.Add(d)) } }
	for _, test := range []struct {
		want   auction.Code
		spoils []spoil
	}{
		{auction.CodeWrongTerms, []spoil{terms, currency, own, root, low}},
		{auction.CodeWrongCurrency, []spoil{currency, own, root, low}},
		{auction.CodeOwnAuction, []spoil{own, root, shift(-time.Hour)}},
		{auction.CodeBadHead, []spoil{root, shift(-time.Hour), low}},
		{auction.CodeBadHead, []spoil{long}},
		{auction.CodeBadHead, []spoil{empty}},
		{auction.CodeHeadInFuture, []spoil{at(s.State(id).Arrival() - auction.Time(s.Policy.Skew) - 1), low}},
		{auction.CodeStaleHead, []spoil{stale, at(end), low}},
		{auction.CodeBeforeListing, []spoil{oldest, at(s.State(id).Listed), low}},
		{auction.CodeAuctionEnded, []spoil{at(end), low}},
		{auction.CodeStampInFuture, []spoil{shift(500*time.Millisecond + time.Microsecond), low}},
		{auction.CodeStampTooOld, []spoil{shift(-5*time.Second - time.Microsecond), low}},
		{auction.CodeBidTooLow, []spoil{low}},
	} {
		c := s.Bid(id, "third", 5000)
		for _, spoil := range test.spoils {
			spoil(&c)
		}
		_, err := s.Send(c)
		r := s.refused(err, test.want)
		if r.Detail == "" || (test.want == auction.CodeBidTooLow) != (r.Least == 2050) {
			t.Errorf("%s: advice %q, least %d", test.want, r.Detail, r.Least)
		}
	}
	s.equal(s.State(id).Size(), uint64(3))
	s.Accept(s.Bid(id, "third", 2050))
}

// What would spoil its log is refused before it is judged, and not remembered.
func testMalformed(t *testing.T, s *Scene) {
	id := s.Listed("seller", s.Terms())
	before := s.State(id)
	for name, spoil := range map[string]func(*auction.Command){
		"no amount":       func(c *auction.Command) { c.Amount = 0 },
		"negative amount": func(c *auction.Command) { c.Amount = -1000 },
		"big amount":      func(c *auction.Command) { c.Amount = auction.MaxAmount + 1 },
		"no time":         func(c *auction.Command) { c.TS = 0 },
		"late time":       func(c *auction.Command) { c.TS = 1 << 53 },
		"pseudonym":       func(c *auction.Command) { c.Pseudonym = "x" },
		"auction":         func(c *auction.Command) { c.Auction = "x" },
		"stamps":          func(c *auction.Command) { c.Tokens = make([][]byte, auction.MaxAuthorities+1) },
		"size":            func(c *auction.Command) { c.JWS = make([]byte, auction.MaxPrivate) },
		"other kind":      func(c *auction.Command) { c.Kind = auction.KindInbox },
	} {
		c := s.Bid(id, "bidder", 1000)
		spoil(&c)
		_, err := s.Send(c)
		if code := auction.CodeOf(err); code != auction.CodeBadRequest && code != auction.CodeTooLarge {
			t.Errorf("%s: got %q", name, code)
		}
		s.equal(s.State(id), before)
	}
}

func testTie(t *testing.T, s *Scene) {
	id := s.Listed("seller", s.Terms())
	s.Clock.Advance(time.Minute)
	early, late := s.Bid(id, "early", 1000), s.Bid(id, "late", 1000)
	s.Accept(late)
	s.Clock.Advance(time.Second)
	s.Accept(early)
	s.equal(s.State(id).Leader.Participant, early.Participant)

	same := s.Bid(id, "same", 1000)
	same.Head = early.Head
	same = Restamped(same, early.TS)
	_, err := s.Send(same)
	s.refused(err, auction.CodeBidTooLow)

	earliest := s.Bid(id, "earliest", 1000)
	earliest.Head = early.Head
	earliest = Restamped(earliest, early.TS-1)
	s.Clock.Advance(time.Millisecond) // past the window, which the first at that value opened
	_, err = s.Send(earliest)
	s.refused(err, auction.CodeBidTooLow)
}

func testSixteenDigits(t *testing.T, s *Scene) {
	s.Clock.Set(1<<53 - 1 - auction.Time(2*time.Hour.Microseconds()))
	terms := s.Terms()
	terms.Minimum, terms.Increment = auction.MaxAmount-7, 3
	id := s.Listed("seller", terms)
	_, err := s.Send(s.Bid(id, "bidder", auction.MaxAmount-8))
	s.equal(s.refused(err, auction.CodeBidTooLow).Least, auction.MaxAmount-7)
	s.Accept(s.Bid(id, "bidder", auction.MaxAmount-7))
	_, err = s.Send(s.Bid(id, "bidder", auction.MaxAmount-5))
	s.equal(s.refused(err, auction.CodeBidTooLow).Least, auction.MaxAmount-4)
	s.Accept(s.Bid(id, "bidder", auction.MaxAmount-4))
	s.Accept(s.Bid(id, "bidder", auction.MaxAmount-1))
	_, err = s.Send(s.Bid(id, "bidder", auction.MaxAmount))
	s.equal(s.refused(err, auction.CodeBidTooLow).Least, auction.Amount(0))

	tie := s.Bid(id, "tie", auction.MaxAmount-1)
	lead := s.State(id).Leader
	tie = Restamped(tie, lead.TS) // the same microsecond
	_, err = s.Send(tie)
	s.refused(err, auction.CodeBidTooLow)
	tie = s.Bid(id, "tie", auction.MaxAmount-1)
	tie = Restamped(tie, lead.TS-1) // one microsecond earlier
	s.Accept(tie)
	s.Ended(id)
	s.equal(s.State(id).Closed.Amount, auction.MaxAmount-1)
	s.equal(s.State(id).Closed.Winner, tie.Pseudonym)
}

func testNoTime(t *testing.T, s *Scene) {
	id := s.Listed("seller", s.Terms())
	bid, list := s.Bid(id, "bidder", 1000), s.List("seller", s.Terms())
	s.Clock.Stop(true)
	for _, c := range []auction.Command{bid, list} {
		_, err := s.Send(c)
		s.refused(err, auction.CodeUnavailable)
	}
	s.equal(s.State(id).Size(), uint64(1))
	s.Clock.Stop(false)
	s.Accept(bid)
	s.Accept(list)
}

func testConcurrent(t *testing.T, s *Scene) {
	id := s.Listed("seller", s.Terms())
	var commands []auction.Command
	for i := range 40 {
		commands = append(commands, s.Bid(id, "bidder", 1000+50*auction.Amount(i)))
	}
	var wg sync.WaitGroup
	answers := make([]auction.Answer, len(commands))
	errs := make([]error, len(commands))
	for i, c := range commands {
		wg.Go(func() { answers[i], errs[i] = s.Send(c) })
	}
	wg.Wait()
	seen := make(map[uint64]bool)
	for i, a := range answers {
		if errs[i] != nil {
			s.refused(errs[i], auction.CodeBidTooLow)
			continue
		}
		s.checkAnswer(a, commands[i])
		if seen[a.Entry.Seq] {
			t.Errorf("two answers with one number")
		}
		seen[a.Entry.Seq] = true
	}
	log := s.Log(auction.LogID(id))
	s.equal(len(log), len(seen)+1)
	last, err := auction.ParseEvent(log[len(log)-1].Event)
	s.ok(err)
	s.equal(last.Amount, auction.Amount(1000+50*39))
	if bytes.Equal(log[0].Event, log[1].Event) {
		t.Errorf("two entries with the same event")
	}
}
