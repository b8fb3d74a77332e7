// Package store keeps auctions in Redis: [auction.Store], [auction.Reader],
// [auction.Feed] and [auction.Mailbox] for any number of replicas that share
// one Redis (7.0 or later): one server, a primary with replicas under Sentinels,
// or a Cluster. With replicas, nothing counts and nothing is shown before one of
// them has it.
//
// Each log is a stream, which is the truth and the only commit point: one Lua
// script an operation checks, appends and publishes. The state hash, the
// answers, the due list and the rest are projections that [Store.Rebuild] makes
// anew from the stream. The fields of an entry of a stream:
//
//	m  running maximum of the arrivals, microseconds, as text
//	e  the event
//	c  the commitment
//	s  the salt
//	p  the private part
//	x  the certificates of the signer, where this log has them for the first time
//
// Commands wait for one of the two writers of their primary, which sends all that waits as one
// pipeline, signs the receipts together, and answers: see [writer].
package store
