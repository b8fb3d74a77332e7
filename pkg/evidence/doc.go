// Package evidence makes what the house does provable, and checks it without
// the house: receipts, signed heads, Merkle proofs, and bundles that a person
// can keep, pass on, and have verified offline by [Verify].
//
// All trees are hashed as in RFC 6962. Receipts and heads are signed with the
// house's log key (Ed25519), which its policy names. Everything that is read
// back has one encoding; every other is refused with an auction.Refusal.
package evidence
