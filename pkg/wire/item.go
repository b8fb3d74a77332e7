package wire

import "github.com/sigilo/sigilo/pkg/auction"

// Status is where an auction stands.
type Status string

// Statuses of an auction.
const (
	StatusOpen   Status = "open"   // takes bids
	StatusEnded  Status = "ended"  // past its end, without its close record yet
	StatusClosed Status = "closed" // has its outcome

	StatusSuspended Status = "suspended" // entries are lost: it takes nothing until the operator decides
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Status) UnmarshalText(text []byte) error {
	return oneOf(s, text, StatusOpen, StatusEnded, StatusClosed, StatusSuspended)
}

// Item is an auction as it stands: what any replica, and anyone who has the
// public log, would say of it. Recorded bids are not in it before the close.
type Item struct {
	Auction   auction.ID       `json:"auction"`
	Title     string           `json:"title"`
	Currency  auction.Currency `json:"currency"`
	Minimum   auction.Amount   `json:"minimum"`
	Increment auction.Amount   `json:"increment"`
	Closes    auction.Time     `json:"closes"`     // the effective end
	TieWindow int64            `json:"tie_window"` // microseconds
	TermsHash auction.Hash     `json:"terms_hash"`
	Status    Status           `json:"status"`
	Bids      uint64           `json:"bids"` // accepted so far

	Highest auction.Amount    `json:"highest,omitzero"` // with leader: of the highest bid
	Leader  auction.Pseudonym `json:"leader,omitzero"`
	Least   auction.Amount    `json:"least,omitzero"`   // the least acceptable bid while open
	Head    auction.Head      `json:"head"`             // to be named by the next command
	Outcome string            `json:"outcome,omitzero"` // when closed
	Winner  auction.Pseudonym `json:"winner,omitzero"`  // when sold
	Mine    []MyBid           `json:"mine,omitzero"`    // in the answer to mybids: the asker's bids
}

// BidStatus is where a bid stands.
type BidStatus string

// Statuses of a bid.
const (
	BidLeading  BidStatus = "leading"
	BidOutbid   BidStatus = "outbid"
	BidRecorded BidStatus = "recorded" // arrived after the end, to be judged at the close
	BidWon      BidStatus = "won"
	BidLost     BidStatus = "lost"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *BidStatus) UnmarshalText(text []byte) error {
	return oneOf(s, text, BidLeading, BidOutbid, BidRecorded, BidWon, BidLost)
}

// MyBid is a bid of the participant who asks.
type MyBid struct {
	Pseudonym auction.Pseudonym `json:"pseudonym"`
	Seq       uint64            `json:"seq,omitzero"` // not of a recorded bid: it would tell how many there are
	Amount    auction.Amount    `json:"amount"`
	Status    BidStatus         `json:"status"`
}

func (i *Item) check() bool {
	ok := i.Auction != "" && sized(i.Title, auction.MaxTitle) && i.Currency != "" &&
		i.Minimum > 0 && i.Increment > 0 && i.Closes > 0 &&
		i.TieWindow >= 0 && i.TieWindow <= auction.MaxTieWindow.Microseconds() &&
		there(i.TermsHash) && i.Status != "" && i.Head.Size > 0 && there(i.Head.Root) && (i.Highest == 0) == (i.Leader == "") &&
		(i.Least == 0 || i.Status == StatusOpen) &&
		outcomeOK(i.Outcome, i.Status == StatusClosed) && (i.Outcome == auction.Sold) == (i.Winner != "")
	for _, b := range i.Mine {
		ok = ok && b.Pseudonym != "" && (b.Seq > 0) == (b.Status != BidRecorded) && b.Amount > 0 && b.Status != ""
	}
	return ok
}

// outcomeOK reports whether s is an outcome where there is one to be, else absent.
func outcomeOK(s string, closed bool) bool {
	switch s {
	case auction.Sold, auction.Unsold, auction.Withdrawn, auction.Cancelled:
		return closed
	}
	return s == "" && !closed
}
