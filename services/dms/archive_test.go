package dms

import (
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// An auction that ended before the end that its listing promised is kept as long
// as the others: until then clients hold that it must be shown.
func TestRetentionBeginsAtTheEnd(t *testing.T) {
	s := newStage(t, nil)
	closed, withdrawn := s.listed(1), s.listed(0)
	s.Accept(s.Withdrawal(withdrawn, "seller"))
	end := s.State(withdrawn).End()
	s.Clock.Set(end)
	s.Ended(closed)
	for id, least := range map[auction.ID]auction.Time{closed: end + 1, withdrawn: end} {
		if from := kept(s.State(id)); from.Before(least.Std().Truncate(time.Second)) || from.After(end.Std().Add(time.Minute)) {
			t.Errorf("kept from %v on, of an end at %v", from, end.Std())
		}
	}
}
