package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Limits of a key set document. A key has about 250 bytes.
const (
	maxKeySet     = 16 << 10
	maxKeySetKeys = 16
)

// A purpose is what a key of the CA signs; the kid begins with it.
type purpose string

const (
	forTokens      purpose = "token"
	forCredentials purpose = "credential"
)

// ErrUnknownKey is the refusal of an object whose kid is in no key set at hand.
// The CA may have a new key: fetch its key set, and try once more. It is a bad_token.
var ErrUnknownKey error = auction.Refuse(auction.CodeBadToken, "signed with a key that the house's key set does not have")

// A KeySet holds a CA's public keys for tokens and for credentials
// (/.well-known/ca-public). It is immutable.
type KeySet struct {
	keys []namedKey
}

type namedKey struct {
	id  string
	key *ecdsa.PublicKey
}

// jwk is a public key (RFC 7517 4, RFC 7518 6.2.1). All members are required in
// a key set; a credential's cnf has the first four.
type jwk struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
	KeyID     string `json:"kid,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	Use       string `json:"use,omitempty"`
}

type keySetDocument struct {
	Keys []jwk `json:"keys"`
}

// NewKeySet collects the public keys of issuers. While a key is being replaced, the old
// and the new issuer are both given.
func NewKeySet(tokens []*TokenIssuer, credentials []*CredentialIssuer) *KeySet {
	set := &KeySet{}
	for _, issuer := range tokens {
		set.keys = append(set.keys, namedKey{issuer.kid, &issuer.key.PublicKey})
	}
	for _, issuer := range credentials {
		set.keys = append(set.keys, namedKey{issuer.kid, &issuer.key.PublicKey})
	}
	return set
}

// Marshal returns the set as a JWK Set (RFC 7517 5).
func (s *KeySet) Marshal() ([]byte, error) {
	document := keySetDocument{Keys: []jwk{}}
	for _, named := range s.keys {
		key, err := newJWK(named.key)
		if err != nil {
			return nil, fmt.Errorf("encode key set: %w", err)
		}
		key.KeyID, key.Algorithm, key.Use = named.id, "ES256", "sig"
		document.Keys = append(document.Keys, key)
	}
	data, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("encode key set: %w", err)
	}
	return data, nil
}

// ParseKeySet reads a JWK Set. A kid must be what this package derives from
// the key and its purpose, so no set can give one key two purposes or two keys one name.
// It refuses with bad_token.
func ParseKeySet(data []byte) (*KeySet, error) {
	refuse := func(why string) error {
		return auction.Refuse(auction.CodeBadToken, "the house's key set is refused: %s", why)
	}
	if len(data) > maxKeySet {
		return nil, refuse("it is too large")
	}
	var document keySetDocument
	if err := unmarshal(data, &document); err != nil {
		return nil, refuse("it is not in the form of a JWK set")
	}
	if len(document.Keys) == 0 || len(document.Keys) > maxKeySetKeys {
		return nil, refuse("it has no key, or too many")
	}
	set := &KeySet{}
	for _, entry := range document.Keys {
		key, err := entry.publicKey()
		if err != nil || entry.Algorithm != "ES256" || entry.Use != "sig" {
			return nil, refuse("a key is not P-256 for signatures")
		}
		kind, _, _ := strings.Cut(entry.KeyID, "-")
		if p := purpose(kind); (p != forTokens && p != forCredentials) || entry.KeyID != keyID(p, key) {
			return nil, refuse("a key's name is not its own")
		}
		if set.has(key) {
			return nil, refuse("a key is there twice")
		}
		set.keys = append(set.keys, namedKey{entry.KeyID, key})
	}
	return set, nil
}

func (s *KeySet) has(key *ecdsa.PublicKey) bool {
	for _, named := range s.keys {
		if named.key.Equal(key) {
			return true
		}
	}
	return false
}

// find gives the lookup of the keys of one purpose. A kid of another purpose is
// as unknown as any.
func (s *KeySet) find(p purpose) func(kid string) (*ecdsa.PublicKey, error) {
	return func(kid string) (*ecdsa.PublicKey, error) {
		for _, named := range s.keys {
			if named.id == kid && strings.HasPrefix(kid, string(p)+"-") {
				return named.key, nil
			}
		}
		return nil, ErrUnknownKey
	}
}

// keyID names a key: its purpose, a hyphen, and its JWK thumbprint (RFC 7638).
func keyID(p purpose, pub *ecdsa.PublicKey) string {
	// keyHash has been over this key: an error here cannot be.
	key, err := newJWK(pub)
	if err != nil {
		panic("identity: not a P-256 key")
	}
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + key.X + `","y":"` + key.Y + `"}`))
	return string(p) + "-" + encode64(sum[:])
}

func newJWK(pub *ecdsa.PublicKey) (jwk, error) {
	if pub == nil || pub.Curve != elliptic.P256() {
		return jwk{}, errors.New("not a P-256 key")
	}
	point, err := pub.Bytes() // 4, X, Y (SEC 1 2.3.3)
	if err != nil {
		return jwk{}, err
	}
	return jwk{KeyType: "EC", Curve: "P-256", X: encode64(point[1:33]), Y: encode64(point[33:])}, nil
}

func (k jwk) publicKey() (*ecdsa.PublicKey, error) {
	if k.KeyType != "EC" || k.Curve != "P-256" {
		return nil, errors.New("not a P-256 key")
	}
	x, errX := decode64(k.X)
	y, errY := decode64(k.Y)
	if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
		return nil, errors.New("a coordinate is not 32 bytes in base64url")
	}
	point := append(append([]byte{4}, x...), y...)
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
}
