package identity

import (
	"crypto/ecdsa"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/sigilo/sigilo/pkg/auction"
)

// skew is how far the clocks of the CA and of a verifier may differ.
const skew = 30 * time.Second

// header is the protected header of every JWS here. What it does not name (jwk,
// jku, x5c, x5u, crit, b64, ...) is refused as an unknown member, so that no key
// and no rule for checking ever comes out of what is being checked.
type header struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid,omitempty"`
	Type      string `json:"typ"`
}

// sign returns a compact JWS (RFC 7515 7.1) over claims as JSON.
func sign(key *ecdsa.PrivateKey, typ, kid string, claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	headers := jws.NewHeaders()
	if err := headers.Set(jws.TypeKey, typ); err != nil {
		return "", fmt.Errorf("set header: %w", err)
	}
	if kid != "" {
		if err := headers.Set(jws.KeyIDKey, kid); err != nil {
			return "", fmt.Errorf("set header: %w", err)
		}
	}
	compact, err := jws.Sign(payload, jws.WithKey(jwa.ES256, key, jws.WithProtectedHeaders(headers)))
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return string(compact), nil
}

// open verifies a compact JWS and decodes its claims. The algorithm and the typ
// are the caller's, and the key is what find gives for the kid ("" when there
// is none); nothing is decoded into claims before the signature has held. Its
// refusals have the code given.
func open(compact, typ string, limit int, code auction.Code, find func(kid string) (*ecdsa.PublicKey, error), claims any) error {
	if len(compact) > limit {
		return auction.Refuse(code, "a signed object of this kind has at most %d bytes", limit)
	}
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return auction.Refuse(code, "a signed object has three parts")
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = decode64(part); err != nil {
			return auction.Refuse(code, "a signed object is in base64url without padding")
		}
	}
	var head header
	if err := unmarshal(raw[0], &head); err != nil {
		return auction.Refuse(code, "the header of a signed object has only alg, typ and kid")
	}
	if head.Algorithm != jwa.ES256.String() || head.Type != typ {
		return auction.Refuse(code, "a signed object of another kind")
	}
	key, err := find(head.KeyID)
	if err != nil {
		return err
	}
	if _, err := jws.Verify([]byte(compact), jws.WithKey(jwa.ES256, key)); err != nil {
		return auction.Refuse(code, "the signature does not hold")
	}
	if err := unmarshal(raw[1], claims); err != nil {
		return auction.Refuse(code, "the claims are not in the form of their kind")
	}
	return nil
}

// only gives a key for an object that names none.
func only(key *ecdsa.PublicKey, code auction.Code) func(kid string) (*ecdsa.PublicKey, error) {
	return func(kid string) (*ecdsa.PublicKey, error) {
		if kid != "" {
			return nil, auction.Refuse(code, "a signed object of this kind names no key")
		}
		return key, nil
	}
}

// unmarshal reads one JSON value: doubled and unknown members, wrong case,
// invalid UTF-8 and trailing bytes are errors.
func unmarshal(data []byte, v any) error {
	return json.Unmarshal(data, v, json.RejectUnknownMembers(true))
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// decode64 reads unpadded base64url in its one form: encoding/base64 would let
// line ends pass, and non-zero bits after the last byte unless it is Strict.
func decode64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}
