package evidence

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	receiptLabel = "sigilo/receipt/v1\x00"

	// MaxBatch bounds how many receipts are signed together.
	MaxBatch = 1024
)

// SignReceipts implements [auction.Signer]: one signature over the root of a
// Merkle tree of the receipts' leaves, and to each its audit path. It refuses
// none of the receipts: it signs all or fails.
func (s *LogSigner) SignReceipts(receipts []auction.Receipt) error {
	n := len(receipts)
	if n == 0 {
		return nil
	}
	if n > MaxBatch {
		return fmt.Errorf("sign receipts: %d in one batch, at most %d", n, MaxBatch)
	}
	level := make([]tlog.Hash, n)
	for i := range receipts {
		level[i] = receiptLeaf(receipts[i])
		receipts[i].Path = make([]auction.Hash, 0, bits.Len(uint(n-1)))
	}
	for height := 0; len(level) > 1; height++ {
		for i := range receipts {
			if sibling := i>>height ^ 1; sibling < len(level) {
				receipts[i].Path = append(receipts[i].Path, auction.Hash(level[sibling]))
			}
		}
		level = parents(level)
	}
	signature, err := s.signer.Sign(receiptMessage(uint64(n), level[0]))
	if err != nil {
		return fmt.Errorf("sign receipts: %w", err)
	}
	for i := range receipts {
		receipts[i].Index, receipts[i].Batch, receipts[i].Signature = uint64(i), uint64(n), signature
	}
	return nil
}

// parents returns the next level of a tree: a node without a sibling moves up
// as it is. From the leaves up that gives the tree of RFC 6962, for all leaves
// at once, where tlog would build it anew for each.
func parents(level []tlog.Hash) []tlog.Hash {
	up := level[:0]
	for i := 0; i+1 < len(level); i += 2 {
		up = append(up, tlog.NodeHash(level[i], level[i+1]))
	}
	if len(level)%2 == 1 {
		up = append(up, level[len(level)-1])
	}
	return up
}

// VerifyReceipt checks that the house signed the receipt. It needs nothing but
// the receipt and the log key, and refuses with [auction.CodeBadSignature].
func VerifyReceipt(r auction.Receipt, key LogKey) error {
	bad := auction.Refuse(auction.CodeBadSignature, "the house did not sign this receipt")
	if r.Batch > MaxBatch {
		return bad
	}
	root, ok := rootOf(receiptLeaf(r), r.Index, r.Batch, r.Path)
	if !ok || !key.verifier.Verify(receiptMessage(r.Batch, root), r.Signature) {
		return bad
	}
	return nil
}

// receiptLeaf is the leaf hash, in its batch, of what a receipt promises.
func receiptLeaf(r auction.Receipt) tlog.Hash {
	b := append([]byte(receiptLabel), r.Auction...)
	b = binary.BigEndian.AppendUint64(append(b, 0), r.Seq)
	return tlog.RecordHash(append(b, r.Leaf[:]...))
}

func receiptMessage(batch uint64, root tlog.Hash) []byte {
	b := binary.BigEndian.AppendUint64([]byte(receiptLabel), batch)
	return append(b, root[:]...)
}

// rootOf returns the root of the tree of size leaves in which path is the audit
// path of the leaf at index: RFC 9162 section 2.1.3.2. tlog only compares with
// a root that is known, and a receipt does not carry it.
func rootOf(leaf tlog.Hash, index, size uint64, path []auction.Hash) (tlog.Hash, bool) {
	if index >= size {
		return tlog.Hash{}, false
	}
	h, n, last := leaf, index, size-1
	for _, p := range path {
		if last == 0 {
			return tlog.Hash{}, false
		}
		if n&1 == 1 || n == last {
			h = tlog.NodeHash(tlog.Hash(p), h)
			for n&1 == 0 && n != 0 {
				n, last = n>>1, last>>1
			}
		} else {
			h = tlog.NodeHash(h, tlog.Hash(p))
		}
		n, last = n>>1, last>>1
	}
	return h, last == 0
}
