package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
)

// operate finds the services of which the trial is the operator.
func (t *trial) operate(a *app, token string) (err error) {
	if len(t.house.DMS) == 0 {
		return local("the house's file has no DMS")
	}
	if t.ca, err = newOperator(a, "CA", t.house.CA, token); err != nil {
		return err
	}
	t.dms, err = newOperator(a, "DMS", t.house.DMS[0], token)
	return err
}

// invite makes a one-time code for somebody. A code of an order that was repeated
// ends unused.
func (t *trial) invite(ctx context.Context, username string, role identity.Role) (string, error) {
	var answer struct {
		Invite  string       `json:"invite"`
		Expires auction.Time `json:"expires"`
	}
	err := order(ctx, t.ca, "/api/invites", struct {
		Username string        `json:"username"`
		Role     identity.Role `json:"role"`
	}{username, role}, &answer)
	return answer.Invite, err
}

// approve lets an auditor see the private parts of the auction. The house log has
// an approval once, however often it is ordered.
func (t *trial) approve(ctx context.Context, auditor auction.Hash) error {
	return order(ctx, t.dms, "/api/audits", struct {
		Auction auction.ID   `json:"auction"`
		Auditor auction.Hash `json:"auditor"`
	}{t.id, auditor}, nil)
}

// order posts what is good to do twice, until it is answered.
func order(ctx context.Context, o *operator, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, trialOrder)
	defer cancel()
	return patiently(ctx, func() error { return o.call(ctx, http.MethodPost, path, in, out) })
}

// patiently tries again what fails because the house is away for a moment.
func patiently(ctx context.Context, do func() error) error {
	for {
		err := do()
		var refusal *auction.Refusal
		if err == nil || errors.As(err, &refusal) && !refusal.Code.Temporary() || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(trialRetry):
		}
	}
}
