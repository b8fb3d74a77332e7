package main

import (
	"context"
	"fmt"

	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/identity"
)

// verify lets everybody check the log with their own receipts, offline.
func (t *trial) verify(ctx context.Context) error {
	t.report.EvidenceValid = true
	for _, p := range t.all() {
		bundle, err := p.client.Evidence(ctx, t.id, evidence.Party)
		if err != nil {
			return err
		}
		trust, err := p.client.Profile().Trust()
		if err != nil {
			return err
		}
		verdict, err := evidence.Verify(bundle, &trust)
		t.report.EvidenceValid = t.report.EvidenceValid && err == nil && verdict.Anchored
	}
	return nil
}

// audit lets an auditor take the whole log home. Every bid of it must be one
// that has a receipt: none is lost, and none is there twice.
func (t *trial) audit(ctx context.Context) (err error) {
	if t.auditor, err = t.enrol(ctx, "auditor", identity.RoleAuditor); err != nil {
		return err
	}
	thumbprint, err := t.auditor.client.Profile().Thumbprint()
	if err != nil {
		return err
	}
	if err := t.approve(ctx, thumbprint); err != nil {
		return fmt.Errorf("the operator approves: %w", err)
	}
	bundle, err := t.auditor.client.Evidence(ctx, t.id, evidence.Audit)
	if err != nil {
		return err
	}
	trust, err := t.auditor.client.Profile().Trust()
	if err != nil {
		return err
	}
	verdict, err := evidence.Verify(bundle, &trust)
	if err != nil {
		return fmt.Errorf("verify the log: %w", err)
	}
	t.report.Audited = verdict.Bids + verdict.Recorded
	return nil
}
