package auction

import (
	"crypto/sha256"
	"encoding/binary"
)

const reserveLabel = "sigilo/reserve/v1\x00"

// Opening opens the hash of a reserve price that terms name: under that amount
// nothing is sold. It goes to the house with the listing, in the part that stays
// private, so that nobody can refuse to open it, and everybody sees it in the
// close record.
type Opening struct {
	Amount Amount `json:"amount"`
	Salt   Blob   `json:"salt"` // SaltSize random bytes, so that nobody can try amounts
}

// Hash returns what terms name: SHA-256 over a label, the salt and the amount,
// 64 bits, big-endian.
func (o Opening) Hash() Hash {
	b := append([]byte(reserveLabel), o.Salt...)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(o.Amount)))
}

func (o *Opening) valid() bool { return o.Amount.Valid() && len(o.Salt) == SaltSize }

// Opens reports whether o opens the reserve that the terms name; without one,
// whether o is nil.
func (t Terms) Opens(o *Opening) bool {
	if t.Reserve == nil || o == nil {
		return t.Reserve == nil && o == nil
	}
	return o.valid() && o.Hash() == *t.Reserve
}
