package auction

import (
	"crypto/sha256"
	"strings"
	"time"
)

// Bounds of a listing's terms (design section 4).
const (
	MaxTitle       = 120  // bytes of UTF-8
	MaxDescription = 4000 // bytes of UTF-8
	MaxClaims      = 16   // claims that both sides must disclose, at least
	MinOpen        = 10 * time.Second
	MaxOpen        = 90 * 24 * time.Hour
	MaxTieWindow   = 10 * time.Second
	MaxSoftWindow  = time.Hour      // of a soft close
	MaxExtension   = 24 * time.Hour // of a soft close, at a time

	// MinSoft bounds both from below by the longest freshness that a policy may
	// have. So a bid that was stamped before a soft end and arrives after it is
	// in the window, and whoever it outbids has time to answer.
	MinSoft = maxFreshness
)

// Terms are what a seller offers. A list command carries them verbatim as
// canonical JSON, members in this order; every bid names their hash, so that
// nobody bids on other terms than the seller signed.
type Terms struct {
	V           int      `json:"v"`      // 1
	Policy      Hash     `json:"policy"` // of the house policy that the auction is judged by
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Currency    Currency `json:"currency"`
	Minimum     Amount   `json:"minimum"`    // least first bid
	Increment   Amount   `json:"increment"`  // least step over the highest bid
	Closes      Time     `json:"closes"`     // the end, in microseconds
	TieWindow   int64    `json:"tie_window"` // microseconds; 0: the first in the log wins a tie
	Disclose    []string `json:"disclose"`   // least claims that seller and winner disclose

	Soft    *SoftClose `json:"soft_close,omitempty"` // nil: the end is final
	Reserve *Hash      `json:"reserve,omitempty"`    // of a hidden reserve price: see [Opening]; nil: none
}

// SoftClose says how late bids move the end (design section 5): each that raises
// the price, stamped within the window before the end, moves it to Extension
// after its arrival, never back and never past Latest.
type SoftClose struct {
	Window    int64 `json:"window"`    // microseconds, [MinSoft] to [MaxSoftWindow]
	Extension int64 `json:"extension"` // microseconds, [MinSoft] to [MaxExtension]
	Latest    Time  `json:"latest"`    // later than Closes, at most [MaxOpen] later
}

func (c *SoftClose) check(closes Time) error {
	switch {
	case c == nil:
		return nil
	case c.Window < MinSoft.Microseconds() || c.Window > MaxSoftWindow.Microseconds():
		return Refuse(CodeBadTerms, "the window of a soft close is %v to %v", MinSoft, MaxSoftWindow)
	case c.Extension < MinSoft.Microseconds() || c.Extension > MaxExtension.Microseconds():
		return Refuse(CodeBadTerms, "a soft close extends by %v to %v at a time", MinSoft, MaxExtension)
	case c.Latest <= closes || c.Latest > closes.Add(MaxOpen) || !validTime(c.Latest):
		return Refuse(CodeBadTerms, "the latest end of a soft close is after the end, at most 90 days")
	}
	return nil
}

// ParseTerms reads canonical terms and checks all that does not depend on when
// they are listed. It refuses with CodeBadTerms, CodeBadAmount,
// CodeWrongCurrency, CodeBadVersion or CodeBadRequest.
func ParseTerms(data []byte) (Terms, error) {
	var t Terms
	if err := parseCanonical(data, &t); err != nil {
		return Terms{}, err
	}
	if err := t.check(); err != nil {
		return Terms{}, err
	}
	return t, nil
}

// Encode returns the canonical bytes. It refuses what [ParseTerms] refuses.
func (t Terms) Encode() ([]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	return marshalCanonical(t), nil
}

func (t Terms) check() error {
	if t.V != 1 {
		return Refuse(CodeBadVersion, "terms have version 1")
	}
	if t.Title == "" || !plainText(t.Title, MaxTitle, false) {
		return Refuse(CodeBadTerms, "a title has 1 to %d bytes of printable text", MaxTitle)
	}
	if !plainText(t.Description, MaxDescription, true) {
		return Refuse(CodeBadTerms, "a description has at most %d bytes of printable text", MaxDescription)
	}
	if _, err := t.Currency.Digits(); err != nil {
		return err
	}
	if !t.Minimum.Valid() || !t.Increment.Valid() {
		return Refuse(CodeBadAmount, "minimum bid and increment are more than zero and below 2^53 minor units")
	}
	if t.Closes <= 0 || t.Closes >= 1<<53 {
		return Refuse(CodeBadTerms, "the closing time is in microseconds since 1970")
	}
	if t.TieWindow < 0 || t.TieWindow > MaxTieWindow.Microseconds() {
		return Refuse(CodeBadTerms, "the tie window is 0 to %v", MaxTieWindow)
	}
	if t.Disclose == nil || len(t.Disclose) > MaxClaims {
		return Refuse(CodeBadTerms, "at most %d claims to disclose", MaxClaims)
	}
	seen := make(map[string]bool, len(t.Disclose))
	for _, claim := range t.Disclose {
		if !IsWord(claim) || seen[claim] {
			return Refuse(CodeBadTerms, "a claim to disclose is a name such as username, and stands there once")
		}
		seen[claim] = true
	}
	return t.Soft.check(t.Closes)
}

// TermsHash is the hash of the exact bytes of the terms.
func TermsHash(terms []byte) Hash { return sha256.Sum256(terms) }

// IsName reports whether s names a house or a time authority: 1 to 32 characters
// from a-z, 0-9 and '-'.
func IsName(s string) bool { return !strings.Contains(s, "_") && IsWord(s) }

// IsWord reports whether s is a lower-case word, as claims and codes are: 1 to 32 characters from a-z, 0-9, '-'
// and '_'.
func IsWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 32
}
