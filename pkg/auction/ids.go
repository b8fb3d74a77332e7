package auction

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Time is a trusted time: microseconds since the Unix epoch, UTC. It is always
// the genTime of a time stamp or derived from one, never a host's wall clock.
// Values stay below 2^53, so that JSON numbers and Lua numbers hold them exactly.
type Time int64

// TimeOf converts a time.Time, dropping what is finer than a microsecond.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// Std returns t as a time.Time in UTC.
func (t Time) Std() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Add returns t shifted by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Microseconds()) }

// Sub returns the duration t - u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Microsecond }

// Hash is a SHA-256 digest; its text form is lower-case hexadecimal.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads the text form, and nothing but it.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return Hash{}, Refuse(CodeBadRequest, "a hash has 64 hexadecimal digits")
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return Hash{}, Refuse(CodeBadRequest, "a hash is lower-case hexadecimal")
		}
	}
	_, err := hex.Decode(h[:], []byte(s))
	return h, err
}

// Participant is peer_sub: SHA-256 of a participant's public key (SPKI DER). It
// is permanent, known to the CA and the DMS, and in no broadcast.
type Participant Hash

func (p Participant) String() string { return Hash(p).String() }

// Pseudonym is a random UUIDv4, new for every list and bid: the only name that
// broadcasts use, and the idempotency key of the command.
type Pseudonym string

// ID names an auction: the pseudonym of its list command.
type ID string

// ParsePseudonym reads a UUIDv4 in its canonical text form (RFC 9562: lower
// case, 36 characters, version 4, variant 10).
func ParsePseudonym(s string) (Pseudonym, error) {
	if !isUUIDv4(s) {
		return "", Refuse(CodeBadRequest, "a pseudonym is a random UUID (version 4) in lower case")
	}
	return Pseudonym(s), nil
}

// ParseID reads an auction's id: see [ParsePseudonym].
func ParseID(s string) (ID, error) {
	if !isUUIDv4(s) {
		return "", Refuse(CodeBadRequest, "an auction id is a UUID (version 4) in lower case")
	}
	return ID(s), nil
}

func isUUIDv4(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		case 14:
			if c != '4' {
				return false
			}
		case 19:
			if c != '8' && c != '9' && c != 'a' && c != 'b' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}
