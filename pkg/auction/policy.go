package auction

import (
	"crypto/sha256"
	"time"
)

// Bounds of a house policy.
const (
	MaxAuthorities = 13 // 3f+1 with f = 4
	MaxRoots       = 4
	MaxPolicy      = 32 << 10 // bytes of the document
)

// Policy is what a house promises about trust and time (design section 1). It
// is an entry of the house log, and its hash is in every listing: an auction is
// judged by the policy that it was listed under, by every replica and by every
// verifier, whatever the configuration says by then.
type Policy struct {
	V           int         `json:"v"` // 1
	House       string      `json:"house"`
	Roots       []Hash      `json:"roots"`       // SHA-256 of each pinned root certificate (DER)
	LogKey      string      `json:"log_key"`     // verifier key of heads and receipts (C2SP signed-note, Ed25519)
	Authorities []Authority `json:"authorities"` // n of them, in the order that stamps stand in
	Quorum      int         `json:"quorum"`      // q: a command bears exactly so many stamps; odd
	Freshness   int64       `json:"freshness"`   // microseconds that a command may arrive after its stamp
	Skew        int64       `json:"skew"`        // microseconds that a stamp may be ahead of the trusted time
	Grace       int64       `json:"grace"`       // microseconds between end and close; at least freshness
	MaxRecorded int         `json:"max_recorded"`
	Simulated   bool        `json:"simulated"` // whether simulated time counts

	// DisclosureKEM is of the keys that seller and winner seal to: "" or
	// DisclosureHybrid.
	DisclosureKEM string `json:"disclosure_kem,omitzero"`
	// DisclosureWithin is how long after the close, in microseconds, each side of
	// a sale has to disclose before the other is told that it does not: 0, which
	// is a week, or a minute to 90 days. A later disclosure is passed on all the same.
	DisclosureWithin int64 `json:"disclosure_within,omitzero"`
	// OutageAfter is the length, in microseconds, from which on an [Outage] counts:
	// [MinOutage] to an hour, or 0: none does. OutageExtension is how long after one
	// an auction ends at the earliest: a minute to a day, 0 together with OutageAfter.
	OutageAfter     int64 `json:"outage_after,omitzero"`
	OutageExtension int64 `json:"outage_extension,omitzero"`
}

// DisclosureHybrid is MLKEM768-P256 instead of DHKEM(P-256).
const DisclosureHybrid = "mlkem768p256"

// DisclosureTime is DisclosureWithin or what stands for it.
func (p Policy) DisclosureTime() time.Duration {
	if p.DisclosureWithin == 0 {
		return 7 * 24 * time.Hour
	}
	return time.Duration(p.DisclosureWithin) * time.Microsecond
}

// Authority is one time-stamping authority of a house.
type Authority struct {
	Name         string `json:"name"`
	Policy       string `json:"policy"`       // OID that its tokens carry, dotted
	Certificates []Blob `json:"certificates"` // its leaf certificates, each issued by a pinned root (DER)
}

// DefaultPolicy returns a policy with the design's times: freshness 5 s, skew
// 0.5 s, grace 5 s, 3 recorded bids a participant, one stamp of one authority, and
// a minute after an outage of 30 s.
func DefaultPolicy(house string) Policy {
	return Policy{
		V: 1, House: house, Quorum: 1,
		Freshness: (5 * time.Second).Microseconds(),
		Skew:      (500 * time.Millisecond).Microseconds(),
		Grace:     (5 * time.Second).Microseconds(), MaxRecorded: 3,
		OutageAfter:     (30 * time.Second).Microseconds(),
		OutageExtension: time.Minute.Microseconds(),
	}
}

// ParsePolicy reads a canonical policy document and checks it.
func ParsePolicy(data []byte) (Policy, error) {
	if len(data) > MaxPolicy {
		return Policy{}, Refuse(CodeTooLarge, "a policy has at most %d bytes", MaxPolicy)
	}
	var p Policy
	if err := parseCanonical(data, &p); err != nil {
		return Policy{}, err
	}
	if err := p.check(); err != nil {
		return Policy{}, err
	}
	return p, nil
}

// Encode returns the canonical document. It refuses what [ParsePolicy] refuses.
func (p Policy) Encode() ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return marshalCanonical(p), nil
}

// PolicyHash is the hash of a policy document.
func PolicyHash(doc []byte) Hash { return sha256.Sum256(doc) }

// maxFreshness is the longest freshness that a policy may have.
const maxFreshness = time.Minute

func (p Policy) check() error {
	bad := func(detail string) error { return Refuse(CodeUnknownPolicy, "%s", detail) }
	switch minute := time.Minute.Microseconds(); {
	case p.V != 1:
		return Refuse(CodeBadVersion, "a policy has version 1")
	case !IsName(p.House):
		return bad("a house is named by lower-case letters, digits and dashes")
	case len(p.Roots) == 0 || len(p.Roots) > MaxRoots:
		return bad("a policy pins 1 to 4 roots")
	case p.LogKey == "" || !plainText(p.LogKey, 256, false):
		return bad("a policy names its log key")
	case len(p.Authorities) == 0 || len(p.Authorities) > MaxAuthorities:
		return bad("a policy names 1 to 13 time authorities")
	case p.Quorum < 1 || p.Quorum > len(p.Authorities) || p.Quorum%2 == 0:
		return bad("the quorum is odd and at most the number of authorities")
	case p.Freshness <= 0 || p.Freshness > maxFreshness.Microseconds() || p.Skew < 0 || p.Skew > minute:
		return bad("freshness and skew are at most a minute")
	case p.Grace < p.Freshness || p.Grace > 10*minute:
		return bad("the grace is at least the freshness, at most ten minutes")
	case p.MaxRecorded < 1 || p.MaxRecorded > 100:
		return bad("1 to 100 recorded bids a participant")
	case p.DisclosureKEM != "" && p.DisclosureKEM != DisclosureHybrid:
		return bad("the KEM of disclosures is mlkem768p256 or not named")
	case p.DisclosureWithin != 0 && (p.DisclosureWithin < minute || p.DisclosureWithin > 90*24*60*minute):
		return bad("the time to disclose is a minute to 90 days")
	case !p.outagesValid():
		return bad("an outage counts from 20 seconds to an hour on, and leaves a minute to a day; or neither is named")
	}
	seen := make(map[string]bool, len(p.Authorities))
	for _, a := range p.Authorities {
		if !IsName(a.Name) || seen[a.Name] || a.Policy == "" || !plainText(a.Policy, 64, false) ||
			len(a.Certificates) == 0 || len(a.Certificates) > 4 {
			return bad("each time authority has a name of its own, a policy OID, and 1 to 4 certificates")
		}
		seen[a.Name] = true
	}
	return nil
}
