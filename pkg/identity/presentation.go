package identity

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// An Expectation is what a presentation must match. Every field is needed.
type Expectation struct {
	House    string
	Holder   auction.Participant // whose key must be the credential's, as their certificate says
	Audience string
	Nonce    string
	At       time.Time // when the presentation is judged
}

// VerifyPresentation checks a credential presentation with its key binding (RFC
// 9901 7.3) and returns the claims that it discloses. It refuses with bad_request
// what is malformed, with [ErrUnknownKey] where a fresh key set may help, else with
// bad_signature.
func VerifyPresentation(presentation string, keys *KeySet, want Expectation) (map[string]string, error) {
	if want.Audience == "" || want.Nonce == "" {
		return nil, errors.New("verify presentation: no audience or nonce is expected")
	}
	signed, disclosures, binding, err := split(presentation)
	if err != nil {
		return nil, err
	}
	const code = auction.CodeBadSignature
	var credential credentialClaims
	if err := open(signed, credentialType, maxCredential, code, keys.find(forCredentials), &credential); err != nil {
		return nil, err
	}
	if err := checkCredential(&credential, want); err != nil {
		return nil, err
	}
	holder, err := credential.Confirmation.Key.publicKey()
	if err != nil || ParticipantOf(holder) != want.Holder {
		return nil, auction.Refuse(code, "the credential is bound to another key")
	}
	var proof keyBindingClaims
	if err := open(binding, keyBindingType, maxKeyBinding, code, only(holder, code), &proof); err != nil {
		return nil, err
	}
	if proof.Audience != want.Audience || proof.Nonce != want.Nonce {
		return nil, auction.Refuse(code, "the credential was presented to another or for another purpose")
	}
	if proof.Hash != digestOf(strings.TrimSuffix(presentation, binding)) {
		return nil, auction.Refuse(code, "the holder signed another choice of claims")
	}
	bound := time.Unix(proof.IssuedAt, 0)
	if bound.After(want.At.Add(skew)) || bound.Before(time.Unix(credential.IssuedAt, 0).Add(-skew)) {
		return nil, auction.Refuse(code, "the credential was presented at another time")
	}
	return disclosed(&credential, disclosures)
}

func checkCredential(c *credentialClaims, want Expectation) error {
	const code = auction.CodeBadSignature
	if c.Issuer != issuerOf(want.House) {
		return auction.Refuse(code, "the credential is another house's")
	}
	if c.Algorithm != hashAlgorithm || len(c.Digests) != digestCount {
		return auction.Refuse(code, "the credential is not in the form of this house's")
	}
	// Strictly sorted: so none is there twice, and the list is in its one form.
	for i := 1; i < len(c.Digests); i++ {
		if c.Digests[i-1] >= c.Digests[i] {
			return auction.Refuse(code, "the credential's digests are not in order")
		}
	}
	issued, expires := time.Unix(c.IssuedAt, 0), time.Unix(c.Expires, 0)
	if issued.After(want.At.Add(skew)) || !want.At.Before(expires) || expires.Sub(issued) > CredentialLife {
		return auction.Refuse(code, "the credential is not valid at this time")
	}
	return nil
}

// disclosed matches each disclosure with a digest that the issuer signed.
func disclosed(c *credentialClaims, disclosures []string) (map[string]string, error) {
	claims := make(map[string]string, len(disclosures))
	for _, disclosure := range disclosures {
		if _, found := slices.BinarySearch(c.Digests, digestOf(disclosure)); !found {
			return nil, auction.Refuse(auction.CodeBadSignature, "a claim is not the credential's")
		}
		name, value, err := parseDisclosure(disclosure)
		if err != nil {
			return nil, err
		}
		if _, twice := claims[name]; twice {
			return nil, auction.Refuse(auction.CodeBadRequest, "a claim is disclosed twice")
		}
		claims[name] = value
	}
	return claims, nil
}

// split takes apart <jwt>~<disclosure>~...~[<key binding jwt>].
func split(s string) (signed string, disclosures []string, binding string, err error) {
	if len(s) > maxCredential {
		return "", nil, "", auction.Refuse(auction.CodeTooLarge, "a credential has at most %d bytes", maxCredential)
	}
	parts := strings.Split(s, "~")
	if len(parts) < 2 || len(parts) > digestCount+2 || parts[0] == "" {
		return "", nil, "", auction.Refuse(auction.CodeBadRequest, "a credential is a signed part and at most %d claims", digestCount)
	}
	last := len(parts) - 1
	return parts[0], parts[1:last], parts[last], nil
}

func parseDisclosure(disclosure string) (name, value string, err error) {
	refuse := func() (string, string, error) {
		return "", "", auction.Refuse(auction.CodeBadRequest, "a claim is not a salt, a name and a text")
	}
	if len(disclosure) > maxDisclosure {
		return refuse()
	}
	data, err := decode64(disclosure)
	if err != nil {
		return refuse()
	}
	var parts []string
	if err := unmarshal(data, &parts); err != nil || len(parts) != 3 {
		return refuse()
	}
	salt, err := decode64(parts[0])
	if err != nil || len(salt) != saltBytes {
		return refuse()
	}
	name, value = parts[1], parts[2]
	if (name != ClaimUsername && (!claimName(name) || reserved[name])) || !printable(value, maxClaimValue) {
		return refuse()
	}
	return name, value, nil
}
