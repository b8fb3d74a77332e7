package identity

import (
	"unicode"
	"unicode/utf8"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Limits of what a credential says about a person.
const (
	MaxAttributes = 15  // beside the username
	maxClaimName  = 32  // bytes
	maxClaimValue = 256 // bytes of UTF-8
	maxUsername   = 64  // bytes of UTF-8
)

// ClaimUsername is the claim that every credential has.
const ClaimUsername = "username"

// reserved are names with a meaning in JWT (RFC 7519) or SD-JWT (RFC 9901).
var reserved = map[string]bool{
	"iss": true, "sub": true, "aud": true, "exp": true, "nbf": true, "iat": true,
	"jti": true, "cnf": true, "vct": true, "status": true, "nonce": true,
}

// CheckPerson accepts a username and attributes as they may be registered:
// printable text without leading or trailing space, bounded, under names of
// [a-z][a-z0-9_]* that mean nothing else. It refuses with bad_request.
func CheckPerson(username string, attributes map[string]string) error {
	if !printable(username, maxUsername) {
		return auction.Refuse(auction.CodeBadRequest, "a username is printable text of 1 to %d bytes", maxUsername)
	}
	if len(attributes) > MaxAttributes {
		return auction.Refuse(auction.CodeBadRequest, "a person has at most %d attributes", MaxAttributes)
	}
	for name, value := range attributes {
		if !claimName(name) || reserved[name] || name == ClaimUsername {
			return auction.Refuse(auction.CodeBadRequest, "an attribute's name is a-z, 0-9 and _, at most %d, and not a reserved one", maxClaimName)
		}
		if !printable(value, maxClaimValue) {
			return auction.Refuse(auction.CodeBadRequest, "an attribute's value is printable text of 1 to %d bytes", maxClaimValue)
		}
	}
	return nil
}

func claimName(s string) bool {
	if len(s) < 1 || len(s) > maxClaimName || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// printable keeps control characters, and those that turn text around or do not
// show, out of what people will read as a name.
func printable(s string, limit int) bool {
	if len(s) < 1 || len(s) > limit || !utf8.ValidString(s) || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
