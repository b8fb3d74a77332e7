package wire

import "github.com/sigilo/sigilo/pkg/auction"

// Entry is a log entry on the wire. Salt and Private are both there or neither.
type Entry struct {
	Event      string       `json:"event"` // verbatim; it holds the sequence number
	Commitment auction.Hash `json:"commitment"`
	Salt       auction.Blob `json:"salt,omitzero"`
	Private    auction.Blob `json:"private,omitzero"` // an encoded [auction.Private]
}

// EntryOf returns e as it goes over the wire, with its private part if it is there.
func EntryOf(e auction.Entry) Entry {
	return Entry{Event: string(e.Event), Commitment: e.Commitment, Salt: e.Salt, Private: e.Private}
}

// Entry returns the log entry. It refuses one whose event is none, and does not
// check that the private part opens the commitment: see [auction.Entry.Open].
func (e Entry) Entry() (auction.Entry, error) {
	event, err := auction.ParseEvent([]byte(e.Event))
	if err != nil {
		return auction.Entry{}, err
	}
	return auction.Entry{
		Seq: event.Seq, Event: []byte(e.Event), Commitment: e.Commitment, Salt: e.Salt, Private: e.Private,
	}, nil
}

func (e Entry) check() bool {
	if !sized(e.Event, auction.MaxEvent) || !there(e.Commitment) {
		return false
	}
	return e.Salt == nil && e.Private == nil ||
		len(e.Salt) == auction.SaltSize && sized(e.Private, auction.MaxPrivate)
}

// Role is the side that a private message makes of its recipient.
type Role string

// Roles of the parties of a sale.
const (
	RoleSeller Role = "seller"
	RoleWinner Role = "winner"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Role) UnmarshalText(text []byte) error {
	return oneOf(r, text, RoleSeller, RoleWinner)
}

// Message is a private message to a party of a closed auction; it has the
// members of its kind and no others.
type Message struct {
	Auction auction.ID          `json:"auction"`
	Message auction.MessageKind `json:"message"`

	// closed: the outcome and, if sold, the counterpart's command.
	Role        Role           `json:"role,omitzero"` // of the recipient
	Outcome     string         `json:"outcome,omitzero"`
	Close       *Entry         `json:"close,omitzero"` // the public part of the close record
	Counterpart *Counterpart   `json:"counterpart,omitzero"`
	Proof       []auction.Hash `json:"proof,omitzero"` // RFC 6962 audit path of the counterpart's entry in the head that the close record names

	// disclosure: the counterpart's command, and what it sealed.
	JWS    string       `json:"jws,omitzero"`
	Sealed auction.Blob `json:"sealed,omitzero"`
}

// Counterpart is the entry of the other side's command, opened, with the chain
// of the certificate that signed it, leaf first.
type Counterpart struct {
	Event      string         `json:"event"`
	Commitment auction.Hash   `json:"commitment"`
	Salt       auction.Blob   `json:"salt"`
	Private    auction.Blob   `json:"private"`
	Chain      []auction.Blob `json:"chain"`
}

// Entry returns the log entry: see [Entry.Entry].
func (c *Counterpart) Entry() (auction.Entry, error) { return c.entry().Entry() }

func (c *Counterpart) entry() Entry {
	return Entry{Event: c.Event, Commitment: c.Commitment, Salt: c.Salt, Private: c.Private}
}

func (m *Message) check() bool {
	closed := m.Role != "" || m.Outcome != "" || m.Close != nil || m.Counterpart != nil || m.Proof != nil
	disclosure := m.JWS != "" || m.Sealed != nil
	switch m.Message {
	case auction.MessageClosed:
		return m.Auction != "" && !disclosure && m.Role != "" && (m.Outcome == auction.Sold || m.Outcome == auction.Unsold) &&
			m.Close != nil && m.Close.check() && m.Close.Private == nil &&
			(m.Counterpart != nil) == (m.Outcome == auction.Sold) && m.counterpartOK()
	case auction.MessageDisclosure:
		return m.Auction != "" && !closed && sized(m.JWS, MaxCommand) && sized(m.Sealed, MaxSealed)
	}
	return false
}

func (m *Message) counterpartOK() bool {
	if m.Counterpart == nil {
		return m.Proof == nil
	}
	e := m.Counterpart.entry()
	return m.Proof != nil && len(m.Proof) <= maxProof && e.Private != nil && e.check() && chainOK(m.Counterpart.Chain)
}

func chainOK(chain []auction.Blob) bool {
	ok := len(chain) > 0 && len(chain) <= MaxChain
	for _, certificate := range chain {
		ok = ok && sized(certificate, maxCertificate)
	}
	return ok
}
