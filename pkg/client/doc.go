// Package client is the client node: a person's own program, which holds the
// keys, does all cryptography, and trusts nothing but itself and the root that
// it pins.
//
// A [Profile] is a directory with the keys and what must survive a crash. A
// [Client] works with one: it enrols, keeps a session with some replica of the
// DMS, and signs, stamps and sends commands. What it sends and gets no answer to
// it sends again, the same bytes under the same pseudonym, to another replica if
// need be; it never guesses a result. What it receives it verifies: receipts,
// heads, events, the counterpart of a sale.
//
// No protocol decision reads the machine's wall clock.
package client
