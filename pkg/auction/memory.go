package auction

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
)

// Memory keeps the logs in this process: [Store], [Reader], [Feed], [Mailbox],
// [Proofs], [Operator], [Pulse] and [Archive] by the rules of this package and
// nothing else. It is the model that every other implementation is compared with;
// it forgets all when it goes.
type Memory struct {
	Watchers
	clock  Clock
	signer Signer
	random io.Reader // of salts

	mu       sync.Mutex // guards all below
	house    House
	logs     map[LogID][]Entry
	states   map[ID]*State
	answers  map[LogID]map[Pseudonym]memoryAnswer
	refused  map[memoryRefused]int
	listed   map[Participant]memoryListed
	chains   map[ID]map[Hash][]Blob
	mine     map[Participant][]ID // the latest last
	audited  map[Audit]bool
	mailbox  map[ID]*[2]*Disclosure // of seller and winner
	received map[memoryReceipt]bool
	proofs   map[string][][]byte // by authority
	removed  map[ID][]byte       // what tombstones keep

	beat    Time // the latest heartbeat, 0 before the first
	outages []Outage
	repaid  Time // end of the latest outage after which all auctions were looked at
}

// memoryAnswer is what a pseudonym got: a sequence number or a refusal.
type memoryAnswer struct {
	participant Participant
	digest      Hash
	seq         uint64
	verdict     Verdict
}

type memoryRefused struct {
	log LogID
	p   Participant
}

// memoryListed is how many auctions a participant listed in a span of time.
type memoryListed struct {
	span int64
	n    int
}

type memoryReceipt struct {
	id      ID
	p       Participant
	message MessageKind
}

var (
	_ Store   = (*Memory)(nil)
	_ Reader  = (*Memory)(nil)
	_ Feed    = (*Memory)(nil)
	_ Mailbox = (*Memory)(nil)

	_ Operator = (*Memory)(nil)
	_ Pulse    = (*Memory)(nil)
	_ Archive  = (*Memory)(nil)
)

// NewMemory returns an empty house. random gives the salts of commitments.
func NewMemory(clock Clock, signer Signer, random io.Reader) *Memory {
	return &Memory{
		clock: clock, signer: signer, random: random,
		logs:     make(map[LogID][]Entry),
		states:   make(map[ID]*State),
		answers:  make(map[LogID]map[Pseudonym]memoryAnswer),
		refused:  make(map[memoryRefused]int),
		listed:   make(map[Participant]memoryListed),
		chains:   make(map[ID]map[Hash][]Blob),
		mine:     make(map[Participant][]ID),
		audited:  make(map[Audit]bool),
		mailbox:  make(map[ID]*[2]*Disclosure),
		received: make(map[memoryReceipt]bool),
		proofs:   make(map[string][][]byte),
		removed:  make(map[ID][]byte),
	}
}

// Adopt implements [Store].
func (m *Memory) Adopt(_ context.Context, policy []byte) error {
	if _, err := ParsePolicy(policy); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.house.InForce == PolicyHash(policy) {
		return nil
	}
	return m.note(Event{Kind: PolicyAdopted, Policy: string(policy)})
}

// Audit implements [Store].
func (m *Memory) Audit(_ context.Context, kind EventKind, audit Audit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case kind != AuditApproved && kind != AuditDisclosed:
		return Refuse(CodeBadRequest, "an audit is approved or disclosed")
	case kind == AuditApproved && m.states[audit.Auction] == nil:
		return m.missing(audit.Auction)
	case kind == AuditDisclosed && !m.house.Audits[audit]:
		return Refuse(CodeNotAllowed, "no operator has approved this audit")
	case kind == AuditApproved && m.house.Audits[audit], kind == AuditDisclosed && m.audited[audit]:
		return nil
	}
	if err := m.note(Event{Kind: kind, Auction: audit.Auction, Auditor: &audit.Auditor}); err != nil {
		return err
	}
	m.audited[audit] = kind == AuditDisclosed
	return nil
}

// note appends an event that no participant commands to the house log.
func (m *Memory) note(e Event) error {
	now, err := m.clock()
	if err != nil {
		return err
	}
	e.Time = int64(now) / 1_000_000
	entry, err := m.seal(e, Private{Arrival: now, TS: now})
	if err != nil {
		return err
	}
	_, err = m.append(HouseLog, entry)
	return err
}

// Place implements [Store].
func (m *Memory) Place(_ context.Context, cmd Accepted) (Answer, error) {
	c := cmd.Command()
	if err := c.Check(); err != nil {
		return Answer{}, err
	}
	now, err := m.clock()
	if err != nil {
		return Answer{}, err
	}
	entry, err := m.place(c, now)
	if err != nil {
		return Answer{}, err
	}
	receipt := []Receipt{{Auction: c.Auction, Seq: entry.Seq, Leaf: entry.Leaf()}}
	if err := m.signer.SignReceipts(receipt); err != nil {
		return Answer{}, fmt.Errorf("sign receipt: %w", err)
	}
	return Answer{Entry: entry, Receipt: receipt[0]}, nil
}

func (m *Memory) place(c Command, now Time) (Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	log := LogID(c.Auction)
	if c.Kind == KindList {
		log = HouseLog
	} else if s := m.states[c.Auction]; s == nil {
		return Entry{}, m.missing(c.Auction)
	} else if err := m.repay(s, now.Add(-MaxPulse), now); err != nil {
		return Entry{}, err
	}
	if a, ok := m.answers[log][c.Pseudonym]; ok {
		if a.participant != c.Participant || a.digest != c.Digest {
			return Entry{}, Verdict{Code: CodePseudonymUsed}.Refusal()
		}
		if err := a.verdict.Refusal(); err != nil {
			return Entry{}, err
		}
		if m.states[c.Auction] == nil { // a listing
			return Entry{}, m.missing(c.Auction)
		}
		return m.logs[LogID(c.Auction)][a.seq-1], nil
	}

	answer := memoryAnswer{participant: c.Participant, digest: c.Digest, verdict: m.judge(c, now)}
	if err := answer.verdict.Refusal(); err != nil {
		if answer.verdict.Code == CodeSuspended {
			return Entry{}, err
		}
		by := memoryRefused{log, c.Participant}
		if m.refused[by] >= MaxRefused {
			return Entry{}, Verdict{Code: CodeRateLimited}.Refusal()
		}
		m.refused[by]++
		m.remember(log, c.Pseudonym, answer)
		return Entry{}, err
	}
	if c.Kind == KindList && !m.mayList(c.Participant, max(now, m.house.Arrival())) {
		return Entry{}, Verdict{Code: CodeRateLimited}.Refusal()
	}
	event := c.Event()
	event.Recorded = answer.verdict.Recorded
	sealed, err := m.seal(event, c.Private(now))
	if err != nil {
		return Entry{}, err
	}
	if c.Kind == KindList {
		if _, err := m.append(HouseLog, sealed); err != nil {
			return Entry{}, err
		}
		m.states[c.Auction] = new(State)
		m.chains[c.Auction] = make(map[Hash][]Blob)
		m.remember(HouseLog, c.Pseudonym, memoryAnswer{c.Participant, c.Digest, 1, Verdict{}})
	}
	entry, err := m.append(LogID(c.Auction), sealed)
	if err != nil {
		return Entry{}, err
	}
	if ends := answer.verdict.Ends; ends > 0 {
		// A consequence of the bid: it repeats what the bid commits to.
		sealed.Event = c.Extension(ends).Tail()
		if _, err := m.append(LogID(c.Auction), sealed); err != nil {
			return Entry{}, err
		}
	}
	answer.seq = entry.Seq
	m.remember(LogID(c.Auction), c.Pseudonym, answer)
	m.chains[c.Auction][c.Certificate] = c.Chain
	if !slices.Contains(m.mine[c.Participant], c.Auction) {
		m.mine[c.Participant] = append(m.mine[c.Participant], c.Auction)
	}
	return entry, nil
}

// mayList counts a listing, and reports whether it is within [MaxListed].
func (m *Memory) mayList(p Participant, now Time) bool {
	span, l := listedSpan(now), m.listed[p]
	if l.span != span {
		l = memoryListed{span: span}
	}
	l.n++
	if l.n > MaxListed {
		return false
	}
	m.listed[p] = l
	return true
}

func (m *Memory) judge(c Command, now Time) Verdict {
	if c.Kind == KindList {
		return m.house.JudgeList(c, now)
	}
	return m.states[c.Auction].Judge(c, now)
}

func (m *Memory) remember(log LogID, p Pseudonym, a memoryAnswer) {
	if m.answers[log] == nil {
		m.answers[log] = make(map[Pseudonym]memoryAnswer)
	}
	m.answers[log][p] = a
}

// seal makes an entry without its number.
func (m *Memory) seal(e Event, p Private) (Entry, error) {
	salt := make([]byte, SaltSize)
	if _, err := io.ReadFull(m.random, salt); err != nil {
		return Entry{}, fmt.Errorf("make salt: %w", err)
	}
	private := p.Encode()
	return Entry{Event: e.Tail(), Commitment: Commit(salt, private), Salt: salt, Private: private}, nil
}

// append numbers a sealed entry, applies it, and wakes who watches.
func (m *Memory) append(log LogID, e Entry) (Entry, error) {
	e.Seq = uint64(len(m.logs[log])) + 1
	e.Event = JoinEvent(e.Seq, e.Event)
	var err error
	if log == HouseLog {
		err = m.house.Apply(e)
	} else {
		err = m.states[ID(log)].Apply(m.house.Policies, e)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("apply entry: %w", err)
	}
	m.logs[log] = append(m.logs[log], e)
	m.Wake(log)
	return e, nil
}

// Close implements [Store].
func (m *Memory) Close(_ context.Context, id ID, head Head, stamps []Blob, median Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.states[id]
	if _, gone := m.removed[id]; gone {
		return nil
	} else if s == nil {
		return m.missing(id)
	}
	if done, err := s.CheckClose(head, median); done || err != nil {
		return err
	}
	now, err := m.clock()
	if err != nil {
		return err
	}
	if err := m.repay(s, s.End(), now); err != nil {
		return err
	}
	if s.Size() > head.Size {
		return ErrGrew
	}
	entry, err := m.seal(s.ClosingEvent(stamps, median), Private{Arrival: now, TS: median})
	if err != nil {
		return err
	}
	_, err = m.append(LogID(id), entry)
	m.WakeMail(id)
	return err
}

// Disclose implements [Store].
func (m *Memory) Disclose(_ context.Context, cmd Accepted) error {
	c := cmd.Command()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.states[c.Auction]
	if s == nil {
		return m.missing(c.Auction)
	}
	side, err := s.Party(c.Participant)
	if err != nil {
		return err
	}
	box := m.mailbox[c.Auction]
	if box == nil {
		box = new([2]*Disclosure)
		m.mailbox[c.Auction] = box
	}
	if old := box[side]; old != nil {
		if !bytes.Equal(old.JWS, c.JWS) || !bytes.Equal(old.Sealed, c.Sealed) {
			return Verdict{Code: CodePseudonymUsed}.Refusal()
		}
		return nil
	}
	box[side] = &Disclosure{JWS: c.JWS, Sealed: c.Sealed}
	m.Wake(LogID(c.Auction))
	m.WakeMail(c.Auction)
	return nil
}
