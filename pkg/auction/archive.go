package auction

import "context"

// An Archive makes room by dropping auctions that are kept elsewhere. Both methods
// are safe for concurrent use, also with those of [Store] and [Reader]; what they
// did is durable.
type Archive interface {
	// Remove replaces a closed auction, whose log has the given size, by a
	// tombstone that keeps last, at most [MaxLast] bytes. From then on the auction
	// is refused with CodeTooOld by all that would refuse an unknown one with
	// CodeUnknownAuction, but Close, which has nothing to do; it is in no list of
	// [Reader.Mine], and its private messages are gone. It refuses an auction
	// that is open with CodeAuctionOpen, and returns [ErrGrew] for a log of
	// another size. Removing again does nothing.
	Remove(ctx context.Context, id ID, size uint64, last []byte) error

	// Removed returns what the tombstone of an auction keeps. It refuses one that
	// has none with CodeUnknownAuction.
	Removed(ctx context.Context, id ID) ([]byte, error)
}

// MaxLast bounds what a tombstone keeps, in bytes.
const MaxLast = 4096
