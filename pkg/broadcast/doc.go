// Package broadcast hands the public events of the logs to the clients of this
// replica: each follower of a log gets every event once, in order, from the
// position where it left off.
//
// The log is the truth and a wake is only a hint. A [Hub] keeps one goroutine
// for each log that somebody follows. Woken by the feed, and once a second
// without it, the goroutine reads the log from its own position, encodes each
// new event once, and puts the same bytes into the [Queue] of every follower. So
// a lost wake delays and never loses.
//
// Nobody waits for a slow client. A queue is bounded; one that overflows is
// closed with [ErrSlow], and the client resumes from its position over a new
// connection. A follower that has history to read is not slow: it is given that
// history in portions, as its queue empties, and joins the others at the end.
package broadcast
