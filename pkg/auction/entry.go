package auction

import (
	"crypto/sha256"
	"encoding/binary"
)

// SaltSize is the size in bytes of an entry's random salt.
const SaltSize = 32

// MaxPrivate bounds an encoded private part in bytes.
const MaxPrivate = 64 << 10

const commitmentLabel = "sigilo/commitment/v1\x00"

// An Entry is one committed step of a log (design section 6). Event and
// Commitment are public and make the leaf. Salt and Private open the
// commitment; they are empty in a public view.
type Entry struct {
	Seq        uint64 // from 1, without gaps
	Event      []byte // canonical
	Commitment Hash
	Salt       []byte // SaltSize bytes, or none
	Private    []byte // an encoded [Private], or none
}

// Leaf is the entry's Merkle leaf hash: RFC 6962 over commitment and event.
func (e Entry) Leaf() Hash {
	h := sha256.New()
	h.Write([]byte{0x00})
	h.Write(e.Commitment[:])
	h.Write(e.Event)
	return Hash(h.Sum(nil))
}

// Public returns the entry without what only its parties may see.
func (e Entry) Public() Entry {
	e.Salt, e.Private = nil, nil
	return e
}

// Open checks that salt and private part are what the commitment commits to,
// and returns the private part.
func (e Entry) Open() (Private, error) {
	if Commit(e.Salt, e.Private) != e.Commitment {
		return Private{}, Refuse(CodeBadRequest, "the private part is not what the commitment commits to")
	}
	return ParsePrivate(e.Private)
}

// Commit returns SHA-256 over a label, the salt and the private part. The salt
// is random, so nobody who knows a guess of the private part, a time authority
// included, can test it. A salt of another size commits to nothing: the zero hash.
func Commit(salt, private []byte) Hash {
	if len(salt) != SaltSize {
		return Hash{}
	}
	h := sha256.New()
	h.Write([]byte(commitmentLabel))
	h.Write(salt)
	h.Write(private)
	return Hash(h.Sum(nil))
}

// Private is the part of an entry that its parties and an approved auditor see.
// Entries that are no participant's command (a policy, a close) have no JWS, no
// tokens and no certificate.
type Private struct {
	JWS         []byte      // the signed command, compact serialization
	Tokens      [][]byte    // its time stamps (DER), in the policy's order
	Certificate Hash        // thumbprint of the signer's certificate
	Participant Participant // the signer
	CRL         uint64      // number of the revocation list it was checked against
	Arrival     Time        // the replica's trusted time when it sent the script
	TS          Time        // median of the stamps
	Reserve     *Opening    // of a listing whose terms have a reserve; else nil
}

// Encode returns the one encoding: JWS and tokens with 32-bit lengths in front,
// an 8-bit count of tokens, then the fixed-size members, and last, of a listing with a reserve, the
// amount in 64 bits and the salt; all big-endian.
func (p Private) Encode() []byte {
	size := 4 + len(p.JWS) + 1 + 2*sha256.Size + 3*8
	for _, t := range p.Tokens {
		size += 4 + len(t)
	}
	b := make([]byte, 0, size)
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.JWS)))
	b = append(b, p.JWS...)
	b = append(b, byte(len(p.Tokens)))
	for _, t := range p.Tokens {
		b = binary.BigEndian.AppendUint32(b, uint32(len(t)))
		b = append(b, t...)
	}
	b = append(b, p.Certificate[:]...)
	b = append(b, p.Participant[:]...)
	b = binary.BigEndian.AppendUint64(b, p.CRL)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Arrival))
	b = binary.BigEndian.AppendUint64(b, uint64(p.TS))
	if p.Reserve != nil {
		b = append(binary.BigEndian.AppendUint64(b, uint64(p.Reserve.Amount)), p.Reserve.Salt...)
	}
	return b
}

// ParsePrivate reads the encoding strictly: lengths must fit and nothing may
// follow. The result shares memory with data.
func ParsePrivate(data []byte) (Private, error) {
	if len(data) > MaxPrivate {
		return Private{}, errPrivate()
	}
	var p Private
	ok := true
	take := func(n uint64) []byte {
		if uint64(len(data)) < n {
			ok = false
			return make([]byte, min(n, 2*sha256.Size))
		}
		out := data[:n:n]
		data = data[n:]
		return out
	}
	field := func() []byte {
		n := binary.BigEndian.Uint32(take(4))
		if !ok || n > MaxPrivate {
			ok = false
			return nil
		}
		return take(uint64(n))
	}
	p.JWS = field()
	count := int(take(1)[0])
	if count > MaxAuthorities {
		return Private{}, errPrivate()
	}
	for range count {
		p.Tokens = append(p.Tokens, field())
	}
	p.Certificate = Hash(take(sha256.Size))
	p.Participant = Participant(take(sha256.Size))
	p.CRL = binary.BigEndian.Uint64(take(8))
	p.Arrival = Time(binary.BigEndian.Uint64(take(8)))
	p.TS = Time(binary.BigEndian.Uint64(take(8)))
	if len(data) > 0 {
		p.Reserve = &Opening{Amount: Amount(binary.BigEndian.Uint64(take(8)))}
		p.Reserve.Salt = take(SaltSize)
		ok = ok && p.Reserve.valid()
	}
	if !ok || len(data) != 0 || !validTime(p.Arrival) || !validTime(p.TS) {
		return Private{}, errPrivate()
	}
	return p, nil
}

func errPrivate() error { return Refuse(CodeBadRequest, "a private part that does not parse") }

func validTime(t Time) bool { return t > 0 && t < 1<<53 }
