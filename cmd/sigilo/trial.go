package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/services/allinone"
)

type trialCmd struct {
	House         string        `help:"House file, or the ready file of a house that is up." type:"path" required:"" placeholder:"FILE"`
	OperatorToken string        `help:"File with the operator's token, to invite people with." type:"path" required:"" placeholder:"FILE"`
	For           time.Duration `help:"How long to bid after the first bids." default:"0s"`
	Pause         time.Duration `help:"Of each bidder between two bids." default:"200ms"`
}

func (trialCmd) Help() string {
	return `It enrols a seller and three bidders in a house that is up, lists an item, bids, ties,
is refused, waits for the close, discloses, and checks all that the house says; then an
auditor checks the whole log. The people and the auction stay in the house. With --for it goes on bidding, and whatever
happens to the house meanwhile, every bid that got a receipt must be in the log.

Example: sigilo trial --house ready.json --operator-token operator.token --json`
}

// trialReport is what a trial finds.
type trialReport struct {
	Auction         auction.ID           `json:"auction"`
	Accepted        int                  `json:"accepted"` // with a receipt
	Refused         map[auction.Code]int `json:"refused"`
	Unconfirmed     int                  `json:"unconfirmed"` // without an answer at the end
	Lost            int                  `json:"lost"`        // with a receipt, and not in the log
	Audited         int                  `json:"audited"`     // bids that an auditor found in the log, each with its signature and stamps
	Troubles        int                  `json:"troubles"`    // bids that were neither accepted nor too low
	LongestWait     float64              `json:"longest_wait"`
	Moves           int                  `json:"moves"` // connections that were replaced
	TieKeptEarliest bool                 `json:"tie_kept_earliest"`
	WinnerIsHighest bool                 `json:"winner_is_highest"`
	Disclosed       allinone.Disclosed   `json:"disclosed"`
	EvidenceValid   bool                 `json:"evidence_valid"`
	Seconds         float64              `json:"seconds"`
}

// answer counts what a bidder was told of a bid. That somebody else bids more is
// the game; any other answer, and none, is trouble: nobody in a trial bids what
// the rules forbid. A bid that the house leaves alone for longer than the policy's
// freshness ends as trouble too (stale_head), even if the house is there again.
func (r *trialReport) answer(err error) {
	var refusal *auction.Refusal
	if err == nil {
		r.Accepted++
		return
	}
	if errors.As(err, &refusal) {
		r.Refused[refusal.Code]++
	}
	if refusal == nil || refusal.Code != auction.CodeBidTooLow {
		r.Troubles++
	}
}

// holds says what the trial found wrong, nil if nothing.
func (r trialReport) holds() error {
	switch {
	case r.Lost > 0:
		return refused("%d bids that have a receipt are not in the log", r.Lost)
	case r.Unconfirmed > 0:
		return refused("%d bids were never answered", r.Unconfirmed)
	case r.Audited != r.Accepted:
		return refused("the auditor finds %d bids in the log, and %d have a receipt", r.Audited, r.Accepted)
	case !r.TieKeptEarliest:
		return refused("the tie went to the later stamp")
	case !r.WinnerIsHighest:
		return refused("the highest bid did not win")
	case r.Disclosed.SellerSaw == "" || r.Disclosed.WinnerSaw == "":
		return refused("seller and winner did not learn who the other is")
	case !r.EvidenceValid:
		return refused("the evidence does not hold")
	}
	return nil
}

const (
	// trialEnd is how long an auction stays open after the last bid, so that none
	// is a late one; trialClose how long the close and what follows may take.
	trialEnd   = 15 * time.Second
	trialClose = time.Minute
	// trialAnswer is how long a bid may wait for its answer: the house may be
	// away for a while.
	trialAnswer = 2 * time.Minute
	// trialOrder is how long the operator repeats an order that the house does not
	// answer: as long as a failover may take, and to spare.
	trialOrder = time.Minute
	trialRetry = 250 * time.Millisecond
)

// Run holds the trial.
func (c *trialCmd) Run(ctx context.Context, a *app) error {
	start := time.Now()
	house, err := client.LoadHouse(c.House)
	if err != nil {
		return local("read the house's file: %w", err)
	}
	token, err := identity.LoadSecret(c.OperatorToken, 1<<10)
	if err != nil {
		return local("read the operator's token: %w", err)
	}
	dir, err := os.MkdirTemp("", "sigilo-trial-")
	if err != nil {
		return local("%w", err)
	}
	defer os.RemoveAll(dir)
	t := &trial{
		dir: dir, house: house, insecure: a.Insecure, bidFor: c.For, pause: c.Pause,
		report: trialReport{Refused: make(map[auction.Code]int)}, say: a.note,
	}
	if err := t.operate(a, strings.TrimSpace(string(token))); err != nil {
		return err
	}
	err = t.run(ctx)
	for _, p := range append(t.all(), t.auditor) {
		if p != nil {
			p.client.Close()
		}
	}
	t.report.Seconds = time.Since(start).Round(time.Millisecond).Seconds()
	if err != nil {
		return err
	}
	a.result(t.report, func() {
		r := t.report
		a.print("accepted %d bids, refused %v; the longest wait for an answer was %.1f s", r.Accepted, r.Refused, r.LongestWait)
		a.print("an auditor found the same %d bids in the log", r.Audited)
		a.print("seller and winner learned of each other: %s, %s", r.Disclosed.SellerSaw, r.Disclosed.WinnerSaw)
	})
	return t.report.holds()
}

// trialPerson is somebody who takes part.
type trialPerson struct {
	username string
	client   *client.Client
	follow   *client.Follow
	placed   []client.Placed
}

// enrol makes a profile and enrols it by an invite.
func (t *trial) enrol(ctx context.Context, name string, role identity.Role) (*trialPerson, error) {
	p := &trialPerson{username: fmt.Sprintf("trial-%s-%d", name, time.Now().UnixMicro())}
	profile, err := client.CreateProfile(filepath.Join(t.dir, name), t.house)
	if err != nil {
		return nil, err
	}
	p.client, err = client.New(profile, client.Options{AllowInsecure: t.insecure, OnStatus: func(s client.Status) {
		if s == client.StatusMoving || s == client.StatusUnconfirmed {
			t.moves.Add(1)
		}
	}})
	if err != nil {
		return nil, err
	}
	invite, err := t.invite(ctx, p.username, role)
	if err == nil {
		err = p.client.Enroll(ctx, client.Enrolment{Invite: invite})
	}
	if err != nil {
		p.client.Close()
		return nil, fmt.Errorf("%s enrols: %w", name, err)
	}
	return p, nil
}
