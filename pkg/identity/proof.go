package identity

import (
	"crypto/ecdsa"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	proofType = "sigilo-proof+jwt"
	maxProof  = 1 << 10
	maxNonce  = 256
)

// A ProofPurpose is what a proof of possession is for; one for one purpose is
// refused for another.
type ProofPurpose string

const (
	ProofForToken   ProofPurpose = "token"   // POST /api/issue
	ProofForRenewal ProofPurpose = "renewal" // POST /api/sign-csr
)

type proofClaims struct {
	Purpose  ProofPurpose `json:"purpose"`
	Audience string       `json:"aud"`   // the house
	Nonce    string       `json:"nonce"` // the verifier's: no clock of the client is needed
}

// NewProof signs that the caller holds the key, for one purpose and house and
// over a nonce that the verifier gave.
func NewProof(key *ecdsa.PrivateKey, purpose ProofPurpose, house, nonce string) (string, error) {
	return sign(key, proofType, "", proofClaims{Purpose: purpose, Audience: house, Nonce: nonce})
}

// VerifyProof checks a proof and gives its nonce to checkNonce, whose error it
// returns as it is. It refuses with bad_enrolment.
func VerifyProof(proof string, key *ecdsa.PublicKey, purpose ProofPurpose, house string, checkNonce func(string) error) error {
	var claims proofClaims
	const code = auction.CodeBadEnrolment
	if err := open(proof, proofType, maxProof, code, only(key, code), &claims); err != nil {
		return err
	}
	if claims.Purpose != purpose || claims.Audience != house {
		return auction.Refuse(code, "the proof of possession is for another purpose or house")
	}
	if claims.Nonce == "" || len(claims.Nonce) > maxNonce {
		return auction.Refuse(code, "the proof of possession has no nonce")
	}
	return checkNonce(claims.Nonce)
}
