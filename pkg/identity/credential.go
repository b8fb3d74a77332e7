package identity

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	credentialType = "sigilo-identity+sd-jwt"
	keyBindingType = "kb+jwt" // RFC 9901 4.3
	hashAlgorithm  = "sha-256"

	// CredentialLife is how long an identity credential is good for. It is
	// renewed with each certificate, and outlives that one, so that a winner who
	// looks in weeks after the close can still check who the seller was.
	CredentialLife = 90 * 24 * time.Hour

	// digestCount is how many digests every credential has, with decoys (RFC 9901
	// 4.2.7) for those that no claim needs: their number tells nothing.
	digestCount = MaxAttributes + 1

	maxCredential = 16 << 10
	maxDisclosure = 1 << 10
	maxKeyBinding = 2 << 10
	saltBytes     = 16
)

// credentialClaims is the payload that the issuer signs. Every claim about the
// person is behind a digest.
type credentialClaims struct {
	Issuer       string        `json:"iss"`
	IssuedAt     int64         `json:"iat"`
	Expires      int64         `json:"exp"`
	Digests      []string      `json:"_sd"`
	Algorithm    string        `json:"_sd_alg"`
	Confirmation holderBinding `json:"cnf"` // the holder's key (RFC 7800)
}

type holderBinding struct {
	Key jwk `json:"jwk"`
}

// A CredentialIssuer makes identity credentials with a key that signs nothing else.
type CredentialIssuer struct {
	house string
	key   *ecdsa.PrivateKey
	kid   string
}

// NewCredentialIssuer makes an issuer for a house.
func NewCredentialIssuer(house string, key *ecdsa.PrivateKey) (*CredentialIssuer, error) {
	if err := CheckName(house); err != nil {
		return nil, err
	}
	return &CredentialIssuer{house: house, key: key, kid: keyID(forCredentials, &key.PublicKey)}, nil
}

// Issue makes an SD-JWT (RFC 9901) of the username and the attributes, each of
// which the holder may disclose or not, bound to the holder's key. The person
// must have passed [CheckPerson].
func (c *CredentialIssuer) Issue(username string, attributes map[string]string, holder *ecdsa.PublicKey, now time.Time) (string, error) {
	if err := CheckPerson(username, attributes); err != nil {
		return "", err
	}
	key, err := newJWK(holder)
	if err != nil {
		return "", fmt.Errorf("issue credential: %w", err)
	}
	disclosures := []string{newDisclosure(ClaimUsername, username)}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		disclosures = append(disclosures, newDisclosure(name, attributes[name]))
	}
	digests := make([]string, 0, digestCount)
	for _, disclosure := range disclosures {
		digests = append(digests, digestOf(disclosure))
	}
	for len(digests) < digestCount {
		digests = append(digests, digestOf(rand.Text()))
	}
	slices.Sort(digests) // their order must not tell which claim is which
	signed, err := sign(c.key, credentialType, c.kid, credentialClaims{
		Issuer:       issuerOf(c.house),
		IssuedAt:     now.Unix(),
		Expires:      now.Add(CredentialLife).Unix(),
		Digests:      digests,
		Algorithm:    hashAlgorithm,
		Confirmation: holderBinding{Key: key},
	})
	if err != nil {
		return "", fmt.Errorf("issue credential: %w", err)
	}
	return signed + "~" + strings.Join(disclosures, "~") + "~", nil
}

// newDisclosure returns base64url of [salt, name, value] (RFC 9901 4.2.1).
func newDisclosure(name, value string) string {
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails: see crypto/rand
	data, err := json.Marshal([]string{encode64(salt), name, value})
	if err != nil {
		panic("identity: checked text that is not JSON")
	}
	return encode64(data)
}

func digestOf(disclosure string) string {
	sum := sha256.Sum256([]byte(disclosure))
	return encode64(sum[:])
}

// keyBindingClaims is the payload of the holder's signature (RFC 9901 4.3).
type keyBindingClaims struct {
	IssuedAt int64  `json:"iat"`
	Audience string `json:"aud"`
	Nonce    string `json:"nonce"`
	Hash     string `json:"sd_hash"` // of the presentation up to and with the last ~
}

// ClaimsOf reads a credential's own claims, without verifying it: for its holder to
// see what there is to disclose. It refuses with bad_request.
func ClaimsOf(credential string) (map[string]string, error) {
	_, disclosures, binding, err := split(credential)
	if err != nil {
		return nil, err
	}
	if binding != "" {
		return nil, auction.Refuse(auction.CodeBadRequest, "this is a presentation, not a credential")
	}
	claims := make(map[string]string, len(disclosures))
	for _, disclosure := range disclosures {
		name, value, err := parseDisclosure(disclosure)
		if err != nil {
			return nil, err
		}
		claims[name] = value
	}
	return claims, nil
}

// Present discloses the named claims of a credential, and no others, to an
// audience over its nonce, signed with the holder's key.
func Present(credential string, key *ecdsa.PrivateKey, claims []string, audience, nonce string, now time.Time) (string, error) {
	signed, disclosures, binding, err := split(credential)
	if err != nil {
		return "", err
	}
	if binding != "" || audience == "" || nonce == "" {
		return "", errors.New("present credential: a credential, an audience and a nonce are needed")
	}
	var out strings.Builder
	out.WriteString(signed + "~")
	missing := slices.Clone(claims)
	for _, disclosure := range disclosures {
		name, _, err := parseDisclosure(disclosure)
		if err != nil {
			return "", err
		}
		if at := slices.Index(missing, name); at >= 0 {
			missing = slices.Delete(missing, at, at+1)
			out.WriteString(disclosure + "~")
		}
	}
	if len(missing) > 0 {
		return "", auction.Refuse(auction.CodeBadRequest, "the credential does not have all of these claims")
	}
	proof, err := sign(key, keyBindingType, "", keyBindingClaims{
		IssuedAt: now.Unix(), Audience: audience, Nonce: nonce, Hash: digestOf(out.String()),
	})
	if err != nil {
		return "", fmt.Errorf("present credential: %w", err)
	}
	return out.String() + proof, nil
}
