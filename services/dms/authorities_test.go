package dms

import (
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// What was listed under one kind of time is not stamped, judged or closed by the
// other, whatever the replica is configured for by then.
func TestOtherTimeIsNotAdmitted(t *testing.T) {
	for _, simulated := range []bool{false, true} {
		a := &authorities{simulated: simulated}
		policy := auction.DefaultPolicy("demo")
		policy.Simulated = simulated
		if err := a.admit(policy); err != nil {
			t.Errorf("simulated %v: the own kind: %v", simulated, err)
		}
		policy.Simulated = !simulated
		if err := a.admit(policy); auction.CodeOf(err) != auction.CodeUnavailable {
			t.Errorf("simulated %v: the other kind is admitted: %v", simulated, err)
		}
		if _, err := a.stamper(auction.Hash{1}, policy); auction.CodeOf(err) != auction.CodeUnavailable {
			t.Errorf("simulated %v: the other kind is stamped: %v", simulated, err)
		}
	}
}
