// Package ecdsatest makes of one good P-256 signature those that a verifier must tell
// from it: the edge cases of ECDSA and of its two encodings that Project Wycheproof
// collects. It is for tests.
package ecdsatest

import (
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"
	"slices"
)

// A Case is a signature over what the good one is over.
type Case struct {
	Name      string
	Signature []byte
	Good      bool
}

// size is the length of a coordinate of P-256, in bytes.
const size = 32

// Raw returns cases in the form of JWS, r and s of 32 bytes each (RFC 7518 3.4).
func Raw(good []byte) []Case {
	r, s := new(big.Int).SetBytes(good[:size]), new(big.Int).SetBytes(good[size:])
	n, zero := elliptic.P256().Params().N, new(big.Int)
	fixed := func(r, s *big.Int) []byte {
		out := make([]byte, 2*size)
		r.FillBytes(out[:size])
		s.FillBytes(out[size:])
		return out
	}
	top := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 8*size), big.NewInt(1))
	cases := []Case{
		{"as it was", good, true},
		{"the other s", fixed(r, new(big.Int).Sub(n, s)), true}, // (r, n-s) verifies where (r, s) does
		{"the other r", fixed(new(big.Int).Sub(n, r), s), false},
		{"swapped", fixed(s, r), false},
		{"r 0", fixed(zero, s), false},
		{"s 0", fixed(r, zero), false},
		{"both 0", fixed(zero, zero), false},
		{"both 1", fixed(big.NewInt(1), big.NewInt(1)), false},
		{"r n", fixed(n, s), false},
		{"s n", fixed(r, n), false},
		{"both n", fixed(n, n), false},
		{"r n+1", fixed(new(big.Int).Add(n, big.NewInt(1)), s), false},
		{"s n-1", fixed(r, new(big.Int).Sub(n, big.NewInt(1))), false},
		{"r the field's prime", fixed(elliptic.P256().Params().P, s), false},
		{"both all ones", fixed(top, top), false},
		{"empty", nil, false},
		{"r alone", good[:size], false},
		{"a byte less", good[:2*size-1], false},
		{"a byte more", slices.Concat(good, []byte{0}), false},
		{"a zero before", slices.Concat([]byte{0}, good), false},
		{"both padded", slices.Concat([]byte{0}, good[:size], []byte{0}, good[size:]), false},
		{"twice", slices.Concat(good, good), false},
		{"in DER", sequence(integer(r), integer(s)), false},
	}
	// r + n names the same number where it fits, which a verifier must not reduce.
	if sum := new(big.Int).Add(r, n); sum.BitLen() <= 8*size {
		cases = append(cases, Case{"r more by n", fixed(sum, s), false})
	}
	return cases
}

// DER returns cases in the form of X.509 and CMS (RFC 3279 2.2.3: a SEQUENCE of
// two INTEGERs). It panics if the good one is not.
func DER(good []byte) []Case {
	var parsed struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(good, &parsed); err != nil || len(rest) != 0 {
		panic("ecdsatest: not a signature in DER")
	}
	r, s, n := parsed.R, parsed.S, elliptic.P256().Params().N
	der := func(r, s *big.Int) []byte { return sequence(integer(r), integer(s)) }
	first, second := integer(r), integer(s)
	raw := make([]byte, 2*size)
	r.FillBytes(raw[:size])
	s.FillBytes(raw[size:])
	return append([]Case{
		{"in the form of JWS", raw, false},
		{"r with a zero before", sequence(element(2, append([]byte{0}, first[2:]...)), second), false},
		{"s with a zero before", sequence(first, element(2, append([]byte{0}, second[2:]...))), false},
		{"r of no bytes", sequence(element(2, nil), second), false},
		{"r an OCTET STRING", sequence(element(4, first[2:]), second), false},
		{"r a BOOLEAN", sequence([]byte{1, 1, 0xff}, second), false},
		{"r NULL", sequence([]byte{5, 0}, second), false},
		{"r alone", sequence(first), false},
		{"three numbers", sequence(first, second, second), false},
		{"nothing", sequence(), false},
		{"empty", nil, false},
		{"a SET", element(0x31, good[2:]), false},
		{"a byte after", append(slices.Clone(good), 0), false},
		{"a byte less", good[:len(good)-1], false},
		{"a longer length", slices.Concat([]byte{0x30, 0x81, byte(len(good) - 2)}, good[2:]), false},
		{"a longer length of r", sequence(slices.Concat([]byte{2, 0x81, first[1]}, first[2:]), second), false},
		{"no certain length", slices.Concat([]byte{0x30, 0x80}, good[2:], []byte{0, 0}), false},
		{"a length past the end", slices.Concat([]byte{0x30, good[1] + 1}, good[2:]), false},
		{"a huge length", slices.Concat([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff}, good[2:]), false},
		{"in another SEQUENCE", sequence(good), false},
	}, values(r, s, n, der)...)
}

// values are the cases of the numbers themselves.
func values(r, s, n *big.Int, der func(r, s *big.Int) []byte) []Case {
	zero, far := new(big.Int), new(big.Int).Lsh(big.NewInt(1), 2*8*size)
	return []Case{
		{"as it was", der(r, s), true},
		{"the other s", der(r, new(big.Int).Sub(n, s)), true},
		{"the other r", der(new(big.Int).Sub(n, r), s), false},
		{"swapped", der(s, r), false},
		{"r 0", der(zero, s), false},
		{"s 0", der(r, zero), false},
		{"both 0", der(zero, zero), false},
		{"both 1", der(big.NewInt(1), big.NewInt(1)), false},
		{"r n", der(n, s), false},
		{"s n", der(r, n), false},
		{"r more by n", der(new(big.Int).Add(r, n), s), false},
		{"s more by n", der(r, new(big.Int).Add(s, n)), false},
		{"r less by n", der(new(big.Int).Sub(r, n), s), false},
		{"s less by n", der(r, new(big.Int).Sub(s, n)), false},
		{"r negative", der(new(big.Int).Neg(r), s), false},
		{"s negative", der(r, new(big.Int).Neg(s)), false},
		{"r very large", der(new(big.Int).Add(r, far), s), false},
	}
}

// sequence and element have less than 128 bytes of content, or use the long form
// as DER does.
func sequence(parts ...[]byte) []byte { return element(0x30, slices.Concat(parts...)) }

func element(tag byte, content []byte) []byte {
	if len(content) < 0x80 {
		return slices.Concat([]byte{tag, byte(len(content))}, content)
	}
	return slices.Concat([]byte{tag, 0x81, byte(len(content))}, content)
}

func integer(v *big.Int) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		panic("ecdsatest: a number without an encoding")
	}
	return der
}

// signed is what a certificate, a certificate request and a revocation list are
// (RFC 5280 4.1, RFC 2986 4.2).
type signed struct {
	Content   asn1.RawValue
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

// SignatureOf returns the signature of a certificate, a request or a list in DER.
// It panics if it is none of them.
func SignatureOf(der []byte) []byte { return parse(der).Signature.Bytes }

// Replace returns one with another signature.
func Replace(der, signature []byte) []byte {
	s := parse(der)
	s.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	out, err := asn1.Marshal(s)
	if err != nil {
		panic("ecdsatest: " + err.Error())
	}
	return out
}

func parse(der []byte) signed {
	var s signed
	if rest, err := asn1.Unmarshal(der, &s); err != nil || len(rest) != 0 {
		panic("ecdsatest: nothing that is signed")
	}
	return s
}
