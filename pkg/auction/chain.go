package auction

import "crypto/sha256"

// LogID names a log: [HouseLog], or an auction's id.
type LogID string

// HouseLog is the log of the house: its policies, its listings, its audits.
const HouseLog LogID = "house"

// Chain is the part of a log's view that the rules look back at: for each
// entry its leaf, the Merkle root of the log up to it (RFC 6962, section 2.1),
// and the running maximum of the arrivals. The zero Chain is an empty log. It
// is not safe for concurrent use. A copy stays as it is while the original
// grows; it must not grow itself.
type Chain struct {
	leaves   []Hash
	roots    []Hash
	arrivals []Time
	edge     []Hash // roots of the perfect subtrees, from the largest
}

// Size returns the number of entries.
func (c *Chain) Size() uint64 { return uint64(len(c.leaves)) }

// Head returns the latest head. The root of an empty log is the hash of nothing.
func (c *Chain) Head() Head { return c.HeadAt(c.Size()) }

// HeadAt returns the head of the first size entries, size <= Size.
func (c *Chain) HeadAt(size uint64) Head {
	if size == 0 {
		return Head{Root: sha256.Sum256(nil)}
	}
	return Head{Size: size, Root: c.roots[size-1]}
}

// Has reports whether h is the head of a non-empty prefix of the log.
func (c *Chain) Has(h Head) bool {
	return h.Size >= 1 && h.Size <= c.Size() && c.roots[h.Size-1] == h.Root
}

// Leaves returns the leaf hashes. The caller must not change them.
func (c *Chain) Leaves() []Hash { return c.leaves[:len(c.leaves):len(c.leaves)] }

// Arrival returns the running maximum of the arrivals, 0 for an empty log.
func (c *Chain) Arrival() Time {
	if len(c.arrivals) == 0 {
		return 0
	}
	return c.arrivals[len(c.arrivals)-1]
}

// add appends a leaf that arrived at the given time.
func (c *Chain) add(leaf Hash, arrival Time) {
	// The edge is copied, not changed in place, so that copies of c stay valid.
	edge := append([]Hash(nil), c.edge...)
	h := leaf
	for n := c.Size(); n&1 == 1; n >>= 1 {
		h = nodeHash(edge[len(edge)-1], h)
		edge = edge[:len(edge)-1]
	}
	c.edge = append(edge, h)
	root := c.edge[len(c.edge)-1]
	for i := len(c.edge) - 2; i >= 0; i-- {
		root = nodeHash(c.edge[i], root)
	}
	c.arrivals = append(c.arrivals, max(arrival, c.Arrival()))
	c.leaves = append(c.leaves, leaf)
	c.roots = append(c.roots, root)
}

func nodeHash(left, right Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 0x01
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// checkHead holds rule 1 about the head that a command names: a true prefix,
// whose last entry is no younger than the stamp allows and whose next entry, if
// there is one, had not been there for longer than the freshness.
func (c *Chain) checkHead(h Head, ts Time, p Policy) Code {
	switch {
	case !c.Has(h):
		return CodeBadHead
	case c.arrivals[h.Size-1] > ts+Time(p.Skew):
		return CodeHeadInFuture
	case h.Size < c.Size() && c.arrivals[h.Size] < ts-Time(p.Freshness):
		return CodeStaleHead
	}
	return ""
}

// checkFresh holds rule 2 about the arrival: nobody hoards stamps, and nobody
// stamps ahead of the trusted time.
func checkFresh(ts, arrival Time, p Policy) Code {
	switch {
	case arrival < ts-Time(p.Skew):
		return CodeStampInFuture
	case arrival > ts+Time(p.Freshness):
		return CodeStampTooOld
	}
	return ""
}
