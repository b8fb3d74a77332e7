package main

import (
	"testing"

	"github.com/sigilo/sigilo/services/allinone"
)

func TestTrialHolds(t *testing.T) {
	good := trialReport{
		Accepted: 5, Audited: 5, TieKeptEarliest: true, WinnerIsHighest: true, EvidenceValid: true,
		Disclosed: allinone.Disclosed{SellerSaw: "ana", WinnerSaw: "seller"},
	}
	if err := good.holds(); err != nil {
		t.Errorf("a good trial: %v", err)
	}
	for name, spoil := range map[string]func(*trialReport){
		"a lost bid":         func(r *trialReport) { r.Lost = 1 },
		"a doubled bid":      func(r *trialReport) { r.Audited++ },
		"an unanswered bid":  func(r *trialReport) { r.Unconfirmed = 1 },
		"the later stamp":    func(r *trialReport) { r.TieKeptEarliest = false },
		"another winner":     func(r *trialReport) { r.WinnerIsHighest = false },
		"a blind seller":     func(r *trialReport) { r.Disclosed.SellerSaw = "" },
		"a blind winner":     func(r *trialReport) { r.Disclosed.WinnerSaw = "" },
		"evidence of little": func(r *trialReport) { r.EvidenceValid = false },
	} {
		report := good
		spoil(&report)
		if err := report.holds(); exitOf(err) != exitRefused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTrialNeedsItsFiles(t *testing.T) {
	for _, args := range [][]string{{"trial"}, {"trial", "--house", "x"}} {
		if exit, _, _ := sigilo(t, args...); exit != exitUsage {
			t.Errorf("%q: exit status %d", args, exit)
		}
	}
	if exit, _, _ := sigilo(t, "trial", "--house", "nowhere", "--operator-token", "nowhere"); exit != exitLocal {
		t.Errorf("no file: exit status %d", exit)
	}
}
