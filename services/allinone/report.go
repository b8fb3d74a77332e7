package allinone

import "github.com/sigilo/sigilo/pkg/auction"

// Report is what the demo found, each fact computed from what the parties
// really received (design section 8).
type Report struct {
	Accepted        int                  `json:"accepted"`          // commands with a verified receipt
	Refused         map[auction.Code]int `json:"refused"`           // by the code that the client was told
	TieKeptEarliest bool                 `json:"tie_kept_earliest"` // of two equal bids, the earlier stamp leads
	ResentGotFirst  bool                 `json:"resent_got_first"`  // a bid sent twice got its first receipt
	WinnerIsHighest bool                 `json:"winner_is_highest"` // by the public events
	Disclosed       Disclosed            `json:"disclosed"`         //
	LosersSawNames  bool                 `json:"losers_saw_names"`  // in any byte that they received
	DMSSawNames     bool                 `json:"dms_saw_names"`     // in frames it decrypted, Redis, and all logs
	EventsInOrder   bool                 `json:"events_in_order"`   // every follower got the same events, without a gap
	Evidence        string               `json:"evidence"`          // path of the auditor's bundle
	EvidenceValid   bool                 `json:"evidence_valid"`    // and it fails with a changed byte
	Replicas        int                  `json:"replicas"`          // that clients were connected to
	Seconds         float64              `json:"seconds"`
}

// Disclosed are the usernames that the two parties of the sale learned from
// each other.
type Disclosed struct {
	SellerSaw string `json:"seller_saw"`
	WinnerSaw string `json:"winner_saw"`
}
