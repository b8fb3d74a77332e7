package auctiontest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Start is where the clock of a scene begins: a time with 16 digits, of which
// the last is not zero.
const Start auction.Time = 1_893_456_000_000_123 // 2030-01-01

// TB is the part of testing.TB that a scene needs; *rapid.T has it too.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Clock is a trusted time that a test moves. It is safe for concurrent use.
type Clock struct {
	now     atomic.Int64
	stopped atomic.Bool
}

// NewClock returns a clock that stands at [Start].
func NewClock() *Clock {
	c := new(Clock)
	c.now.Store(int64(Start))
	return c
}

// Now is an [auction.Clock].
func (c *Clock) Now() (auction.Time, error) {
	if c.stopped.Load() {
		return 0, auction.Refuse(auction.CodeUnavailable, "no trusted time")
	}
	return auction.Time(c.now.Load()), nil
}

// Time returns the time also while the clock is stopped.
func (c *Clock) Time() auction.Time { return auction.Time(c.now.Load()) }

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.now.Add(d.Microseconds()) }

// Set moves the clock to t.
func (c *Clock) Set(t auction.Time) { c.now.Store(int64(t)) }

// Stop takes the time away, or gives it back.
func (c *Clock) Stop(stopped bool) { c.stopped.Store(stopped) }

// Signer is a stand-in for the house's signature, which only says that
// something went through it.
type Signer struct{}

// SignReceipts implements [auction.Signer].
func (Signer) SignReceipts(receipts []auction.Receipt) error {
	for i := range receipts {
		r := &receipts[i]
		r.Index, r.Batch, r.Path, r.Signature = uint64(i), uint64(len(receipts)), nil, signature(*r)
	}
	return nil
}

// SignNotice implements [auction.Signer].
func (Signer) SignNotice(notice []byte) (auction.Blob, error) {
	sum := sha512.Sum512(notice)
	return sum[:], nil
}

func signature(r auction.Receipt) auction.Blob {
	return fmt.Appendf(nil, "%s %d %v", r.Auction, r.Seq, r.Leaf)
}

// Zeros is a source of salts that are all zero, so that the same history gives
// the same bytes in every implementation.
type Zeros struct{}

// Read implements io.Reader.
func (Zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Scene makes commands that a store accepts, and lets a test spoil them.
type Scene struct {
	Backend
	Clock  *Clock
	Policy auction.Policy
	Doc    []byte        // the policy document
	Tick   time.Duration // that passes before each command, so that no two stamps are of one time

	t        TB
	name     string
	made     uint64
	openings map[auction.Hash]*auction.Opening // of the reserves that were made
}

// NewScene adopts a policy on a new backend. Scenes with other names make other
// pseudonyms.
func NewScene(t TB, name string, b Backend, clock *Clock) *Scene {
	t.Helper()
	s := &Scene{Backend: b, Clock: clock, t: t, name: name, Tick: time.Millisecond}
	s.adopt(policy())
	return s
}

// WithOutages adopts a policy under which outages of 30 s count, and leave a minute.
func (s *Scene) WithOutages() {
	s.t.Helper()
	p := s.Policy
	p.OutageAfter, p.OutageExtension = (30 * time.Second).Microseconds(), time.Minute.Microseconds()
	s.adopt(p)
}

func (s *Scene) adopt(p auction.Policy) {
	s.t.Helper()
	doc, err := p.Encode()
	if err != nil {
		s.t.Fatalf("encode policy: %v", err)
	}
	s.Policy, s.Doc = p, doc
	if err := s.Adopt(context.Background(), doc); err != nil {
		s.t.Fatalf("adopt: %v", err)
	}
}

func policy() auction.Policy {
	p := auction.DefaultPolicy("demo")
	p.Roots = []auction.Hash{sha256.Sum256([]byte("root"))}
	p.LogKey = "demo+00000000+key"
	p.OutageAfter, p.OutageExtension = 0, 0 // the clock of a scene jumps
	p.Authorities = []auction.Authority{{
		Name: "first", Policy: "1.3.6.1.4.1.32473.17.2.1", Certificates: []auction.Blob{{1}},
	}}
	return p
}

// Participant returns the participant of that name.
func Participant(name string) auction.Participant {
	return sha256.Sum256([]byte("participant " + name))
}

// Pseudonym returns the next pseudonym: a UUIDv4 that depends on the scene's
// name and on how many were made before.
func (s *Scene) Pseudonym() auction.Pseudonym {
	s.made++
	h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s.name), s.made))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	x := hex.EncodeToString(h[:16])
	return auction.Pseudonym(x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:])
}

// Terms returns terms that close an hour after the clock's time.
func (s *Scene) Terms() auction.Terms {
	return auction.Terms{
		V: 1, Policy: auction.PolicyHash(s.Doc), Title: "A \"clock\"", Description: "brass\nand <glass>",
		Currency: "EUR", Minimum: 1000, Increment: 50, Closes: s.Clock.Time().Add(time.Hour),
		TieWindow: time.Second.Microseconds(), Disclose: []string{"username"},
	}
}

// List makes a list command that is stamped now, over the house's latest head.
func (s *Scene) List(who string, terms auction.Terms) auction.Command {
	s.t.Helper()
	house, err := s.House(context.Background())
	if err != nil {
		s.t.Fatalf("house: %v", err)
	}
	raw, err := terms.Encode()
	if err != nil {
		s.t.Fatalf("encode terms: %v", err)
	}
	c := s.command(auction.KindList, who)
	c.Auction, c.Head = auction.ID(c.Pseudonym), house.Head()
	c.Terms, c.Listing, c.TermsHash = raw, terms, auction.TermsHash(raw)
	if terms.Reserve != nil {
		c.Reserve = s.openings[*terms.Reserve]
	}
	return c
}

// Reserve returns the hash of a reserve price for terms. List opens it.
func (s *Scene) Reserve(amount auction.Amount) *auction.Hash {
	o := &auction.Opening{Amount: amount, Salt: bytes.Repeat([]byte{7}, auction.SaltSize)}
	hash := o.Hash()
	if s.openings == nil {
		s.openings = make(map[auction.Hash]*auction.Opening)
	}
	s.openings[hash] = o
	return &hash
}

// Withdrawal makes a withdrawal that is stamped now, over the auction's latest head.
func (s *Scene) Withdrawal(id auction.ID, who string) auction.Command {
	s.t.Helper()
	c := s.command(auction.KindWithdraw, who)
	c.Auction, c.Head = id, s.State(id).Head()
	return c
}

// Bid makes a bid that is stamped now, over the auction's latest head.
func (s *Scene) Bid(id auction.ID, who string, amount auction.Amount) auction.Command {
	s.t.Helper()
	state := s.State(id)
	c := s.command(auction.KindBid, who)
	c.Auction, c.Head, c.Amount = id, state.Head(), amount
	c.Currency, c.TermsHash = state.Terms.Currency, state.TermsHash
	return c
}

// Disclosure makes a disclose command.
func (s *Scene) Disclosure(id auction.ID, who, sealed string) auction.Command {
	c := s.command(auction.KindDisclose, who)
	c.Auction, c.Sealed, c.TS, c.Tokens = id, []byte(sealed), 0, nil
	return c
}

func (s *Scene) command(kind auction.Kind, who string) auction.Command {
	s.Clock.Advance(s.Tick)
	c := auction.Command{
		Kind: kind, Pseudonym: s.Pseudonym(), Participant: Participant(who), TS: s.Clock.Time(), CRL: 7,
		Certificate: sha256.Sum256([]byte("certificate " + who)),
		Chain:       []auction.Blob{auction.Blob("leaf of " + who), auction.Blob("issuer")},
	}
	c.JWS = fmt.Appendf(nil, "%s %s\x00\r\n\xff", who, c.Pseudonym)
	c.Digest = sha256.Sum256(c.JWS)
	return Restamped(c, c.TS)
}

// Restamped returns the same signed bytes with stamps of another time.
func Restamped(c auction.Command, ts auction.Time) auction.Command {
	c.TS, c.Tokens = ts, [][]byte{fmt.Appendf(nil, "token %d", ts)}
	return c
}

// Altered returns other signed bytes under the same pseudonym.
func Altered(c auction.Command) auction.Command {
	c.JWS = append([]byte("other "), c.JWS...)
	c.Digest = sha256.Sum256(c.JWS)
	return c
}

// Send places a command.
func (s *Scene) Send(c auction.Command) (auction.Answer, error) {
	return s.Place(context.Background(), auction.NewAccepted(c))
}

// Accept places a command that must be accepted.
func (s *Scene) Accept(c auction.Command) auction.Answer {
	s.t.Helper()
	a, err := s.Send(c)
	if err != nil {
		s.t.Fatalf("place %s: %v", c.Kind, err)
	}
	return a
}

// Listed lists an item of the terms and returns its auction.
func (s *Scene) Listed(who string, terms auction.Terms) auction.ID {
	s.t.Helper()
	c := s.List(who, terms)
	s.Accept(c)
	return c.Auction
}

// State returns the state of an auction.
func (s *Scene) State(id auction.ID) *auction.State {
	s.t.Helper()
	state, err := s.Auction(context.Background(), id)
	if err != nil {
		s.t.Fatalf("auction: %v", err)
	}
	return state
}

// Log returns all entries of a log, read in small pages.
func (s *Scene) Log(log auction.LogID) []auction.Entry {
	s.t.Helper()
	var all []auction.Entry
	for {
		page, err := s.Entries(context.Background(), log, uint64(len(all))+1, 7)
		if err != nil {
			s.t.Fatalf("entries: %v", err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

// Ended moves the clock past end and grace, and closes the auction.
func (s *Scene) Ended(id auction.ID) {
	s.t.Helper()
	state := s.State(id)
	median := state.End() + auction.Time(state.Policy.Grace) + 1
	s.Clock.Set(max(median, s.Clock.Time()))
	if err := s.Close(context.Background(), id, state.Head(), Stamps(), median); err != nil {
		s.t.Fatalf("close: %v", err)
	}
}

// Stamps are stand-ins for the stamps of a close record.
func Stamps() []auction.Blob { return []auction.Blob{{0, 1, 2, 254, 255}} }
