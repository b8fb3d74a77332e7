// Package auction is the domain of Sigilo: money, terms, identifiers, refusal
// codes, the rules of an English auction, the log that is its only truth, and
// the contracts of the store that keeps it.
//
// It imports the standard library alone. It holds no key, opens no connection
// and reads no clock: time and randomness come in as values.
//
// One sentence says how it hangs together: a [Log] of [Entry] values is
// replayed by [Replay] into a [State]; [State.Judge] decides about one more
// command; a [Store] makes that decision and the append one atomic step.
package auction
