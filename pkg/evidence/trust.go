package evidence

import (
	"crypto/sha256"
	"slices"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

const (
	maxTrust   = 16 << 10 // bytes of a trust file
	maxLogKeys = 16
)

// Trust is what a verifier knows beforehand, from elsewhere than the evidence.
type Trust struct {
	House   string         `json:"house"`
	Roots   []auction.Hash `json:"roots"`    // SHA-256 of each trusted root certificate (DER)
	LogKeys []string       `json:"log_keys"` // verifier keys: see [ParseLogKey]
}

// ParseTrust reads a trust file: a JSON object of the members of [Trust], none
// of them empty. White space is free: people write it.
func ParseTrust(data []byte) (*Trust, error) {
	if len(data) > maxTrust {
		return nil, auction.Refuse(auction.CodeTooLarge, "a trust file has at most %d bytes", maxTrust)
	}
	t := new(Trust)
	if err := wire.Unmarshal(data, t); err != nil {
		return nil, err
	}
	if !auction.IsName(t.House) || len(t.Roots) == 0 || len(t.Roots) > auction.MaxRoots ||
		len(t.LogKeys) == 0 || len(t.LogKeys) > maxLogKeys {
		return nil, malformed("a trust file names a house, 1 to %d roots, and 1 to %d log keys", auction.MaxRoots, maxLogKeys)
	}
	for _, key := range t.LogKeys {
		if _, err := ParseLogKey(key); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// admits checks that a policy pins nothing that is not trusted: with one root
// more, somebody else could make participants and time authorities.
func (t *Trust) admits(p auction.Policy) error {
	if err := t.house(p.House, p.Roots); err != nil {
		return err
	}
	if !slices.Contains(t.LogKeys, p.LogKey) {
		return auction.Refuse(auction.CodeUnknownPolicy, "the evidence rests on a log key that you do not trust")
	}
	return nil
}

// house checks that evidence of a house rests on trusted roots alone.
func (t *Trust) house(house string, roots []auction.Hash) error {
	switch {
	case house != t.House:
		return auction.Refuse(auction.CodeUnknownPolicy, "the evidence is of another house than the one you trust")
	case slices.ContainsFunc(roots, func(root auction.Hash) bool { return !slices.Contains(t.Roots, root) }):
		return auction.Refuse(auction.CodeUnknownPolicy, "the evidence rests on a root that you do not trust")
	}
	return nil
}

// rootsOf returns the root certificates of a bundle, which are those that the
// policy pins, all of them and in its order.
func rootsOf(b *Bundle, p auction.Policy) ([][]byte, error) {
	if len(b.Roots) != len(p.Roots) {
		return nil, auction.Refuse(auction.CodeUnknownPolicy, "the roots are not those that the policy pins")
	}
	roots := make([][]byte, len(b.Roots))
	for i, der := range b.Roots {
		if sha256.Sum256(der) != p.Roots[i] {
			return nil, auction.Refuse(auction.CodeUnknownPolicy, "the roots are not those that the policy pins")
		}
		roots[i] = der
	}
	return roots, nil
}
