// Package identity holds who is who in Sigilo: keys, certificate requests,
// certificates and their revocation (X.509, RFC 5280), session tokens and proofs
// of possession (JWS, RFC 7515 and 7519), key sets (RFC 7517), and identity
// credentials (SD-JWT, RFC 9901).
//
// Everything is ECDSA P-256 with SHA-256; nothing negotiates an algorithm. The
// three keys of a CA (certificates, tokens, credentials) are three types of
// issuer here, and what one signs never verifies as what another signs: the
// protected header has a fixed typ and the key's kid begins with its purpose.
//
// Parsers are strict and bounded: unknown and doubled members, trailing bytes,
// padded or non-canonical base64url are refused. What bad input causes is an
// [auction.Refusal]; every other error is a failure of the caller or the machine.
//
// Time is an input. Randomness is crypto/rand, which a test makes deterministic
// with testing/cryptotest. All values are safe for concurrent use once made.
package identity
