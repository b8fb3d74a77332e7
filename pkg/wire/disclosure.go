package wire

import (
	"crypto/ecdh"
	"crypto/hpke"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Sizes of disclosure keys in bytes. They differ, so a key says what it is.
const (
	p256KeySize   = 65   // a point, uncompressed
	hybridKeySize = 1249 // an encapsulation key of ML-KEM-768, and a point
)

// DisclosureKEM returns the KEM of the keys that a policy's seller and winner
// seal to: DHKEM(P-256, HKDF-SHA256), or MLKEM768-P256 where the policy asks for
// the hybrid.
func DisclosureKEM(p auction.Policy) hpke.KEM {
	if p.DisclosureKEM == auction.DisclosureHybrid {
		return hpke.MLKEM768P256()
	}
	return hpke.DHKEM(ecdh.P256())
}

// DisclosureKEMOf returns the KEM of a disclosure key of a command that was
// parsed.
func DisclosureKEMOf(key []byte) hpke.KEM {
	if len(key) == hybridKeySize {
		return hpke.MLKEM768P256()
	}
	return hpke.DHKEM(ecdh.P256())
}

// FitsDisclosure reports whether the disclosure key of a command that was parsed
// is of the KEM that the policy asks for.
func FitsDisclosure(key []byte, p auction.Policy) bool {
	if p.DisclosureKEM == auction.DisclosureHybrid {
		return len(key) == hybridKeySize
	}
	return len(key) == p256KeySize
}

// isDisclosureKey checks the form of a key. It also refuses a compressed point
// and the point at infinity.
func isDisclosureKey(key []byte) bool {
	if len(key) != p256KeySize && len(key) != hybridKeySize {
		return false
	}
	_, err := DisclosureKEMOf(key).NewPublicKey(key)
	return err == nil
}
