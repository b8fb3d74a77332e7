// Package bench puts a house under load and measures it: see README.md beside
// it for what each benchmark measures and how to repeat it.
//
// Its participants are cheaper than a person's client, and no less honest to the
// house: each has a key, a certificate, a session and a connection of its own,
// and each of its bids is signed, stamped and sealed like any other.
package bench
