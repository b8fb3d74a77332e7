package evidence

import (
	"crypto/sha256"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/sigilo/sigilo/pkg/auction"
)

// maxPath bounds a Merkle proof: a log of 2^53 entries has no longer one.
const maxPath = 2 * 53

// ProveInclusion proves that the entry with sequence number seq (from 1) is in
// the first size entries of a log with the given leaves: the audit path of RFC
// 6962 section 2.1.1. It fails unless 1 <= seq <= size <= len(leaves).
func ProveInclusion(leaves []auction.Hash, seq, size uint64) ([]auction.Hash, error) {
	if seq < 1 || seq > size || size > uint64(len(leaves)) {
		return nil, fmt.Errorf("prove inclusion: entry %d of %d, with %d leaves", seq, size, len(leaves))
	}
	tree, err := newTree(leaves[:size])
	if err != nil {
		return nil, fmt.Errorf("prove inclusion: %w", err)
	}
	path, err := tlog.ProveRecord(int64(size), int64(seq-1), tree)
	if err != nil {
		return nil, fmt.Errorf("prove inclusion: %w", err)
	}
	return fromTlog(path), nil
}

// CheckInclusion checks that leaf is the entry with sequence number seq of the
// log that head is a head of.
func CheckInclusion(leaf auction.Hash, seq uint64, head auction.Head, proof []auction.Hash) error {
	bad := auction.Refuse(auction.CodeBadRequest, "the proof does not show the entry in the log")
	if seq < 1 || seq > head.Size || head.Size > maxSize || len(proof) > maxPath {
		return bad
	}
	if tlog.CheckRecord(toTlog(proof), int64(head.Size), tlog.Hash(head.Root), int64(seq-1), tlog.Hash(leaf)) != nil {
		return bad
	}
	return nil
}

// ProveConsistency proves that the first oldSize entries of a log with the
// given leaves are a prefix of the first newSize: RFC 6962 section 2.1.2. It
// fails unless oldSize <= newSize <= len(leaves). The proof from an empty log
// is empty.
func ProveConsistency(leaves []auction.Hash, oldSize, newSize uint64) ([]auction.Hash, error) {
	if oldSize > newSize || newSize > uint64(len(leaves)) {
		return nil, fmt.Errorf("prove consistency: %d to %d, with %d leaves", oldSize, newSize, len(leaves))
	}
	if oldSize == 0 {
		return []auction.Hash{}, nil
	}
	tree, err := newTree(leaves[:newSize])
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	proof, err := tlog.ProveTree(int64(newSize), int64(oldSize), tree)
	if err != nil {
		return nil, fmt.Errorf("prove consistency: %w", err)
	}
	return fromTlog(proof), nil
}

// CheckConsistency checks that the log of head older is a prefix of that of
// head newer: nothing was changed, dropped or put in between.
func CheckConsistency(older, newer auction.Head, proof []auction.Hash) error {
	bad := auction.Refuse(auction.CodeHistoryChanged, "the proof does not show that the log only grew")
	if older.Size > newer.Size || newer.Size > maxSize || len(proof) > maxPath {
		return bad
	}
	if older.Size == 0 {
		if len(proof) != 0 || older.Root != sha256.Sum256(nil) || newer.Size == 0 && newer != older {
			return bad
		}
		return nil
	}
	err := tlog.CheckTree(toTlog(proof), int64(newer.Size), tlog.Hash(newer.Root), int64(older.Size), tlog.Hash(older.Root))
	if err != nil {
		return bad
	}
	return nil
}

// tree holds the hashes of all perfect subtrees, in tlog's storage order.
type tree []tlog.Hash

// newTree takes time and memory linear in the number of leaves.
func newTree(leaves []auction.Hash) (tree, error) {
	t := make(tree, 0, 2*len(leaves))
	for i, leaf := range leaves {
		hashes, err := tlog.StoredHashesForRecordHash(int64(i), tlog.Hash(leaf), t)
		if err != nil {
			return nil, err
		}
		t = append(t, hashes...)
	}
	return t, nil
}

// ReadHashes implements tlog.HashReader.
func (t tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		if n < 0 || n >= int64(len(t)) {
			return nil, fmt.Errorf("no stored hash %d of %d", n, len(t))
		}
		out[i] = t[n]
	}
	return out, nil
}

func toTlog(hashes []auction.Hash) []tlog.Hash {
	out := make([]tlog.Hash, len(hashes))
	for i, h := range hashes {
		out[i] = tlog.Hash(h)
	}
	return out
}

// fromTlog never returns nil, so that an empty proof is [] in JSON.
func fromTlog(hashes []tlog.Hash) []auction.Hash {
	out := make([]auction.Hash, len(hashes))
	for i, h := range hashes {
		out[i] = auction.Hash(h)
	}
	return out
}
