package session

import (
	"crypto/ecdh"
	"crypto/hpke"
	"fmt"
	"io"
	"slices"
)

// The modes of a connection, which are the names of its WebSocket subprotocol.
const (
	// ModePublic is the spectator's: public events in the clear, no handshake,
	// no session.
	ModePublic = "sigilo.v1.public"
	// ModeP256 is DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
	ModeP256 = "sigilo.v1.p256"
	// ModeHybrid is MLKEM768-P256 (ML-KEM-768 and P-256, of which either alone
	// keeps the secret), HKDF-SHA256, AES-256-GCM.
	ModeHybrid = "sigilo.v1.mlkem768p256"
)

// Overhead is by how many bytes a sealed frame is longer than its plaintext:
// the tag of the AEAD.
const Overhead = 16

// A suite is the algorithms of one mode. Its AEAD has a tag of Overhead bytes.
type suite struct {
	mode string
	kem  hpke.KEM
	kdf  hpke.KDF
	aead hpke.AEAD
}

// suites holds the modes that have a handshake, best first.
var suites = []suite{
	{ModeHybrid, hpke.MLKEM768P256(), hpke.HKDFSHA256(), hpke.AES256GCM()},
	{ModeP256, hpke.DHKEM(ecdh.P256()), hpke.HKDFSHA256(), hpke.AES256GCM()},
}

// Modes returns all modes that have a handshake, best first. A server must
// choose the first that it speaks and its client offers: [Server] refuses a
// lesser one as a downgrade.
func Modes() []string {
	modes := make([]string, 0, len(suites))
	for _, s := range suites {
		modes = append(modes, s.mode)
	}
	return modes
}

func suiteOf(mode string) (suite, error) {
	for _, s := range suites {
		if s.mode == mode {
			return s, nil
		}
	}
	return suite{}, fmt.Errorf("mode %q has no handshake", mode)
}

// best returns the best mode among those that are both spoken and offered, "" if
// there is none.
func best(spoken, offered []string) string {
	for _, s := range suites {
		if slices.Contains(spoken, s.mode) && slices.Contains(offered, s.mode) {
			return s.mode
		}
	}
	return ""
}

// newKey makes a key pair of the suite from 32 random bytes (RFC 9180, section
// 7.1.3; 32 bytes are the security level of every KEM in the table).
func (s suite) newKey(random io.Reader) (hpke.PrivateKey, error) {
	var ikm [32]byte
	if _, err := io.ReadFull(random, ikm[:]); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	key, err := s.kem.DeriveKeyPair(ikm[:])
	if err != nil {
		return nil, fmt.Errorf("derive session key: %w", err)
	}
	return key, nil
}
