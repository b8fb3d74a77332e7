package wire

import "github.com/sigilo/sigilo/pkg/auction"

// newServerMessage returns a message of the type named, nil if there is none.
func newServerMessage(name string) ServerMessage {
	switch name {
	case "receipt":
		return new(ReceiptAnswer)
	case "refused":
		return new(RefusedAnswer)
	case "ok":
		return new(OKAnswer)
	case "items":
		return new(ItemsAnswer)
	case "item":
		return new(ItemAnswer)
	case "following":
		return new(FollowingAnswer)
	case "entries":
		return new(EntriesAnswer)
	case "inbox":
		return new(InboxAnswer)
	case "event":
		return new(EventNotice)
	case "snapshot":
		return new(SnapshotNotice)
	case "bye":
		return new(ByeNotice)
	}
	return nil
}

func (*ReceiptAnswer) name() string   { return "receipt" }
func (*RefusedAnswer) name() string   { return "refused" }
func (*OKAnswer) name() string        { return "ok" }
func (*ItemsAnswer) name() string     { return "items" }
func (*ItemAnswer) name() string      { return "item" }
func (*FollowingAnswer) name() string { return "following" }
func (*EntriesAnswer) name() string   { return "entries" }
func (*InboxAnswer) name() string     { return "inbox" }
func (*EventNotice) name() string     { return "event" }
func (*SnapshotNotice) name() string  { return "snapshot" }
func (*ByeNotice) name() string       { return "bye" }

// AnswerID implements [ServerMessage].
func (m *ReceiptAnswer) AnswerID() uint32 { return m.ID }

// AnswerID implements [ServerMessage].
func (m *RefusedAnswer) AnswerID() uint32 { return m.ID }

// AnswerID implements [ServerMessage].
func (m *OKAnswer) AnswerID() uint32 { return m.ID }

// AnswerID implements [ServerMessage].
func (m *ItemsAnswer) AnswerID() uint32 { return m.ID }

// AnswerID implements [ServerMessage].
func (m *ItemAnswer) AnswerID() uint32 { return m.ID }

// AnswerID implements [ServerMessage].
func (m *FollowingAnswer) AnswerID() uint32 { return m.ID }

// AnswerID implements [ServerMessage].
func (m *EntriesAnswer) AnswerID() uint32 { return m.ID }

// AnswerID implements [ServerMessage].
func (m *InboxAnswer) AnswerID() uint32 { return m.ID }

// AnswerID implements [ServerMessage].
func (*EventNotice) AnswerID() uint32 { return 0 }

// AnswerID implements [ServerMessage].
func (*SnapshotNotice) AnswerID() uint32 { return 0 }

// AnswerID implements [ServerMessage].
func (*ByeNotice) AnswerID() uint32 { return 0 }

func (m *ReceiptAnswer) check() bool {
	return m.ID > 0 && sized(m.Event, auction.MaxEvent) && there(m.Commitment) &&
		len(m.Salt) == auction.SaltSize && m.Arrival > 0 && receiptOK(m.Receipt)
}

func receiptOK(r auction.Receipt) bool {
	return r.Auction != "" && r.Seq > 0 && there(r.Leaf) && r.Batch > r.Index &&
		r.Path != nil && len(r.Path) <= maxProof && sized(r.Signature, maxSignature)
}

func (m *RefusedAnswer) check() bool { return m.Code != "" && len(m.Detail) <= MaxText }

func (m *OKAnswer) check() bool { return m.ID > 0 }

func (m *ItemsAnswer) check() bool {
	ok := m.ID > 0 && m.Items != nil
	for i := range m.Items {
		ok = ok && m.Items[i].check()
	}
	return ok
}

func (m *ItemAnswer) check() bool {
	return m.ID > 0 && m.Item.check() && m.Terms != "" && sized(m.Head, maxNote)
}

func (m *FollowingAnswer) check() bool {
	return m.ID > 0 && m.Log != "" && sized(m.Head, maxNote)
}

func (m *EntriesAnswer) check() bool {
	ok := m.ID > 0 && m.Log != "" && m.Entries != nil && sized(m.Head, maxNote)
	for _, e := range m.Entries {
		ok = ok && e.check()
	}
	for _, chain := range m.Certificates {
		ok = ok && chainOK(chain)
	}
	return ok
}

func (m *InboxAnswer) check() bool {
	ok := m.Messages != nil
	for i := range m.Messages {
		ok = ok && m.Messages[i].check()
	}
	return ok
}

func (m *EventNotice) check() bool {
	return m.Log != "" && sized(m.Event, auction.MaxEvent) && there(m.Commitment)
}

func (m *SnapshotNotice) check() bool {
	return m.Log != "" && (m.Code == auction.CodeHistoryChanged || m.Code == auction.CodeTooOld) &&
		len(m.Detail) <= MaxText && (m.Item == nil) == (m.Log == auction.HouseLog) &&
		(m.Item == nil || m.Item.check()) && sized(m.Head, maxNote)
}

func (m *ByeNotice) check() bool { return m.Reason != "" }
