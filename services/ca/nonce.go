package ca

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// nonceLife is how long a proof of possession may take: a slow network, and
// little more.
const nonceLife = time.Minute

// nonces makes and checks nonces for proofs of possession. They say by
// themselves when they were made, so none is stored, and clients need no clock.
// One may be used more than once while it lives: whoever can see a proof can see its
// answer too, and the answer is of use to the holder of the key alone.
type nonces struct {
	key [32]byte // of this process: a restart ends all nonces, and clients ask again
}

const (
	nonceBody = 8 + 8 // time in microseconds, random bytes
	nonceSize = nonceBody + sha256.Size
)

func newNonces() *nonces {
	n := &nonces{}
	rand.Read(n.key[:]) // never fails: see crypto/rand
	return n
}

func (n *nonces) make(now auction.Time) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, nonceSize), uint64(now))
	b = b[:nonceBody]
	rand.Read(b[8:])
	return base64.RawURLEncoding.EncodeToString(n.mac(b))
}

// mac appends the MAC of body to it.
func (n *nonces) mac(body []byte) []byte {
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write([]byte("sigilo/nonce/v1\x00"))
	mac.Write(body)
	return mac.Sum(body)
}

func (n *nonces) check(nonce string, now auction.Time) error {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != nonceSize || !hmac.Equal(n.mac(b[:nonceBody:nonceBody]), b) {
		return auction.Refuse(auction.CodeBadEnrolment, "the proof of possession is not over a nonce of this CA: get one and try again")
	}
	age := now.Sub(auction.Time(binary.BigEndian.Uint64(b)))
	if age < 0 || age > nonceLife {
		return auction.Refuse(auction.CodeBadEnrolment, "the nonce has ended: get a new one and try again")
	}
	return nil
}
