package auction

// Side is one of the two parties of a sale.
type Side int

// Sides of a sale.
const (
	SideSeller Side = iota
	SideWinner
)

func (s Side) String() string {
	if s == SideSeller {
		return "seller"
	}
	return "winner"
}

// CheckClose reports whether the auction may be closed over head with stamps of
// the given median: done if it is closed already, [ErrGrew] if the log is
// longer than head, a Refusal with CodeBadHead for a head that is not the
// log's, with CodeAuctionOpen for a median that is not after end and grace, and
// with CodeSuspended while it is suspended.
// Whoever arrived in time has then arrived: the grace is at least the freshness.
func (s *State) CheckClose(head Head, median Time) (done bool, err error) {
	switch {
	case s.Closed != nil:
		return true, nil
	case s.Suspended():
		return false, Verdict{Code: CodeSuspended}.Refusal()
	case s.Size() > head.Size:
		return false, ErrGrew
	case s.Head() != head:
		return false, Verdict{Code: CodeBadHead}.Refusal()
	case median <= s.End()+Time(s.Policy.Grace):
		return false, Refuse(CodeAuctionOpen, "an auction closes after its end and the grace")
	}
	return false, nil
}

// Party returns the side of a sale that p is. It refuses with CodeAuctionOpen
// before the close, and with CodeNoDisclosure where nothing was sold or p is
// neither side.
func (s *State) Party(p Participant) (Side, error) {
	if s.Closed == nil {
		return 0, Refuse(CodeAuctionOpen, "seller and winner disclose after the close")
	}
	if w := s.Winner(); w != nil && w.Participant == p {
		return SideWinner, nil
	} else if w != nil && s.Seller == p {
		return SideSeller, nil
	}
	return 0, Refuse(CodeNoDisclosure, "only the seller and the winner of a sale disclose")
}
