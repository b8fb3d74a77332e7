package store

import "github.com/sigilo/sigilo/pkg/auction"

// All keys are made here. The part in braces is the hash tag: the keys of one
// script share it, so they are in one slot.

const prefix = "sigilo:{"

// logKeys are the keys of one log. The names of the stream and of the mail are
// also the names of the channels that wake their watchers.
type logKeys struct{ state, log, answers, certs, due, mail string }

func (s *Store) keys(log auction.LogID) logKeys {
	tag := string(log)
	if log == auction.HouseLog {
		tag = s.house
	}
	base := prefix + tag + "}:"
	return logKeys{
		state: base + "state", log: base + "log", answers: base + "answers",
		certs: base + "certs", due: base + "due", mail: base + "mail",
	}
}

// proofsKey is the hash of the proofs against time authorities.
func (s *Store) proofsKey() string { return prefix + s.house + "}:proofs" }

// pulseKeys are the time of the house's latest heartbeat, and the list of its
// outages, each as its two times.
func (s *Store) pulseKeys() []string {
	base := prefix + s.house + "}:"
	return []string{base + "beat", base + "outages"}
}

// mineKey is the sorted set of the auctions in which p listed or bid, by when p
// did so first.
func mineKey(p auction.Participant) string { return prefix + p.String() + "}:mine" }
