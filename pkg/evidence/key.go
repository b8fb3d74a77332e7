package evidence

import (
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/sigilo/sigilo/pkg/auction"
)

const maxLogKey = 256 // bytes of a verifier key's text

// LogKey verifies what a house's log key signed. The zero LogKey is not usable.
type LogKey struct {
	verifier note.Verifier
	text     string
}

// ParseLogKey reads a verifier key as a policy names it: name+hash+base64 (C2SP
// signed-note, Ed25519). It refuses every spelling but the one that is made.
func ParseLogKey(text string) (LogKey, error) {
	bad := auction.Refuse(auction.CodeBadSignature, "not the verifier key of an Ed25519 signed note")
	if len(text) > maxLogKey {
		return LogKey{}, bad
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return LogKey{}, bad
	}
	// NewVerifier lets other base64 and hexadecimal spellings of a key pass.
	key, err := base64.StdEncoding.DecodeString(strings.SplitN(text, "+", 3)[2])
	if err != nil {
		return LogKey{}, bad
	}
	again, err := note.NewEd25519VerifierKey(v.Name(), key[1:])
	if err != nil || again != text {
		return LogKey{}, bad
	}
	return LogKey{verifier: v, text: text}, nil
}

// String returns the text that ParseLogKey read.
func (k LogKey) String() string { return k.text }

// LogSigner signs receipts and heads with a house's log key. It implements
// [auction.Signer] and is safe for concurrent use.
type LogSigner struct{ signer note.Signer }

var _ auction.Signer = (*LogSigner)(nil)

// NewLogSigner reads a signer key: PRIVATE+KEY+name+hash+base64 (C2SP
// signed-note, Ed25519). It is a secret, and no error quotes it.
func NewLogSigner(secret string) (*LogSigner, error) {
	s, err := note.NewSigner(secret)
	if err != nil {
		return nil, fmt.Errorf("read log key: %w", err)
	}
	return &LogSigner{signer: s}, nil
}

// Fits reports whether key verifies what s signs, so that a house can refuse to
// start with another key than its policy names.
func (s *LogSigner) Fits(key LogKey) bool {
	signature, err := s.signer.Sign([]byte("sigilo/fits/v1\x00"))
	return err == nil && s.signer.Name() == key.verifier.Name() &&
		key.verifier.Verify([]byte("sigilo/fits/v1\x00"), signature)
}
