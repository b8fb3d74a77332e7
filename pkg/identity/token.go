package identity

import (
	"crypto/ecdsa"
	"crypto/rand"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	tokenType = "sigilo-session+jwt"
	// TokenLife is how long a session token is good for.
	TokenLife = 15 * time.Minute
	maxToken  = 2 << 10
)

// issuerOf is the iss of everything that a house's CA signs as JSON.
func issuerOf(house string) string { return "sigilo:ca:" + house }

// tokenClaims is the payload of a session token (RFC 7519, 7800, 8705). Times
// are whole seconds since the epoch, as NumericDate.
type tokenClaims struct {
	Issuer       string       `json:"iss"`
	Subject      string       `json:"sub"` // peer_sub in hexadecimal
	Audience     string       `json:"aud"` // the house
	IssuedAt     int64        `json:"iat"`
	Expires      int64        `json:"exp"`
	ID           string       `json:"jti"`
	Confirmation confirmation `json:"cnf"`
}

type confirmation struct {
	Thumbprint string `json:"x5t#S256"`
}

// A Token is a session token that verified.
type Token struct {
	Participant auction.Participant
	Expires     time.Time
}

// A TokenIssuer makes session tokens with a key that signs nothing else.
type TokenIssuer struct {
	house string
	key   *ecdsa.PrivateKey
	kid   string
}

// NewTokenIssuer makes an issuer for a house.
func NewTokenIssuer(house string, key *ecdsa.PrivateKey) (*TokenIssuer, error) {
	if err := CheckName(house); err != nil {
		return nil, err
	}
	return &TokenIssuer{house: house, key: key, kid: keyID(forTokens, &key.PublicKey)}, nil
}

// Issue makes a token for the holder of a certificate that has been verified
// and whose key the caller has proven. It ends after [TokenLife] or with the certificate.
func (t *TokenIssuer) Issue(cert *Certificate, now time.Time) (string, Token, error) {
	expires := now.Add(TokenLife).Truncate(time.Second)
	if end := cert.NotAfter; end.Before(expires) {
		expires = end
	}
	token, err := sign(t.key, tokenType, t.kid, tokenClaims{
		Issuer:       issuerOf(t.house),
		Subject:      cert.Participant.String(),
		Audience:     t.house,
		IssuedAt:     now.Unix(),
		Expires:      expires.Unix(),
		ID:           rand.Text(),
		Confirmation: confirmation{Thumbprint: encode64(cert.Thumbprint[:])},
	})
	if err != nil {
		return "", Token{}, err
	}
	return token, Token{Participant: cert.Participant, Expires: expires}, nil
}

// VerifyToken checks that a token is this house's, of a key for tokens in the
// set, good now, and bound to this certificate. It refuses with token_expired, with
// [ErrUnknownKey] where a fresh key set may help, else with bad_token.
func VerifyToken(token string, keys *KeySet, house string, cert *Certificate, now time.Time) (Token, error) {
	var claims tokenClaims
	if err := open(token, tokenType, maxToken, auction.CodeBadToken, keys.find(forTokens), &claims); err != nil {
		return Token{}, err
	}
	refuse := func(why string) error {
		return auction.Refuse(auction.CodeBadToken, "the session token is refused: %s", why)
	}
	if claims.Issuer != issuerOf(house) || claims.Audience != house {
		return Token{}, refuse("it is another house's")
	}
	if claims.Subject != cert.Participant.String() || claims.Confirmation.Thumbprint != encode64(cert.Thumbprint[:]) {
		return Token{}, refuse("it is bound to another certificate")
	}
	issued, expires := time.Unix(claims.IssuedAt, 0), time.Unix(claims.Expires, 0)
	if claims.ID == "" || !expires.After(issued) || expires.Sub(issued) > TokenLife {
		return Token{}, refuse("its claims are out of range")
	}
	if issued.After(now.Add(skew)) {
		return Token{}, refuse("it is not valid yet")
	}
	if !now.Before(expires) {
		return Token{}, auction.Refuse(auction.CodeTokenExpired, "the session token has ended: get a new one")
	}
	return Token{Participant: cert.Participant, Expires: expires.UTC()}, nil
}
