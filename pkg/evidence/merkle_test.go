package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/sigilo/sigilo/pkg/auction"
)

// testLeaves returns n leaf hashes, the same every time.
func testLeaves(n int) []auction.Hash {
	leaves := make([]auction.Hash, n)
	for i := range leaves {
		leaves[i] = sha256.Sum256(fmt.Appendf(nil, "leaf %d", i))
	}
	return leaves
}

// oracleRoot is the root of the leaves by another library.
func oracleRoot(t testing.TB, leaves []auction.Hash) auction.Hash {
	t.Helper()
	r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for _, leaf := range leaves {
		if err := r.Append(bytes.Clone(leaf[:]), nil); err != nil {
			t.Fatal(err)
		}
	}
	root, err := r.GetRootHash(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(leaves) == 0 {
		root = rfc6962.DefaultHasher.EmptyRoot()
	}
	return auction.Hash(root)
}

func oracleProof(path []auction.Hash) [][]byte {
	out := make([][]byte, len(path))
	for i := range path {
		out[i] = path[i][:]
	}
	return out
}

func TestInclusionAgainstOracle(t *testing.T) {
	leaves := testLeaves(40)
	for size := uint64(1); size <= 40; size++ {
		head := auction.Head{Size: size, Root: oracleRoot(t, leaves[:size])}
		for seq := uint64(1); seq <= size; seq++ {
			path, err := ProveInclusion(leaves, seq, size)
			if err != nil {
				t.Fatal(err)
			}
			leaf := leaves[seq-1]
			if err := CheckInclusion(leaf, seq, head, path); err != nil {
				t.Fatalf("entry %d of %d: %v", seq, size, err)
			}
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, seq-1, size, leaf[:], oracleProof(path), head.Root[:]); err != nil {
				t.Fatalf("entry %d of %d: the oracle refuses: %v", seq, size, err)
			}
			if root, ok := rootOf(tlog.Hash(leaf), seq-1, size, path); !ok || auction.Hash(root) != head.Root {
				t.Fatalf("entry %d of %d: rootOf gives another root", seq, size)
			}
			refuseChangedInclusion(t, leaf, seq, head, path)
		}
	}
}

func refuseChangedInclusion(t *testing.T, leaf auction.Hash, seq uint64, head auction.Head, path []auction.Hash) {
	t.Helper()
	other := leaf
	other[31] ^= 1
	otherHead := head
	otherHead.Root[0] ^= 1
	longer := append(path[:len(path):len(path)], leaf)
	for name, err := range map[string]error{
		"another leaf":   CheckInclusion(other, seq, head, path),
		"another root":   CheckInclusion(leaf, seq, otherHead, path),
		"another place":  CheckInclusion(leaf, seq+1, head, path),
		"place zero":     CheckInclusion(leaf, 0, head, path),
		"a longer proof": CheckInclusion(leaf, seq, head, longer),
		"an empty log":   CheckInclusion(leaf, seq, auction.Head{}, path),
	} {
		if auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("entry %d of %d, %s: %v", seq, head.Size, name, err)
		}
	}
	if len(path) > 0 && CheckInclusion(leaf, seq, head, path[:len(path)-1]) == nil {
		t.Errorf("entry %d of %d: a shorter proof passes", seq, head.Size)
	}
}

func TestConsistencyAgainstOracle(t *testing.T) {
	leaves := testLeaves(24)
	heads := make([]auction.Head, 25)
	for size := range heads {
		heads[size] = auction.Head{Size: uint64(size), Root: oracleRoot(t, leaves[:size])}
	}
	for n := range heads {
		for o := 0; o <= n; o++ {
			path, err := ProveConsistency(leaves, uint64(o), uint64(n))
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckConsistency(heads[o], heads[n], path); err != nil {
				t.Fatalf("%d to %d: %v", o, n, err)
			}
			err = proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(o), uint64(n),
				oracleProof(path), heads[o].Root[:], heads[n].Root[:])
			if err != nil {
				t.Fatalf("%d to %d: the oracle refuses: %v", o, n, err)
			}
			forked := heads[o]
			forked.Root[5] ^= 1
			shrunk := CheckConsistency(heads[n], heads[o], path)
			if o == n {
				shrunk = auction.Refuse(auction.CodeHistoryChanged, "")
			}
			for name, err := range map[string]error{
				"a fork":         CheckConsistency(forked, heads[n], path),
				"a shrunk log":   shrunk,
				"a longer proof": CheckConsistency(heads[o], heads[n], append(path[:len(path):len(path)], auction.Hash{})),
			} {
				if auction.CodeOf(err) != auction.CodeHistoryChanged {
					t.Errorf("%d to %d, %s: %v", o, n, name, err)
				}
			}
		}
	}
}

func TestProofsOutOfRange(t *testing.T) {
	leaves := testLeaves(3)
	for _, c := range [][2]uint64{{0, 3}, {4, 3}, {1, 4}, {1, 0}} {
		if _, err := ProveInclusion(leaves, c[0], c[1]); err == nil {
			t.Errorf("inclusion of %d in %d proven", c[0], c[1])
		}
	}
	for _, c := range [][2]uint64{{2, 1}, {1, 4}} {
		if _, err := ProveConsistency(leaves, c[0], c[1]); err == nil {
			t.Errorf("consistency of %d with %d proven", c[0], c[1])
		}
	}
}

// FuzzRootOf holds that what tlog and the oracle accept, rootOf accepts with
// the same root, and that nothing panics.
func FuzzRootOf(f *testing.F) {
	f.Add(uint64(0), uint64(1), []byte{})
	f.Add(uint64(2), uint64(5), bytes.Repeat([]byte{7}, 96))
	f.Add(uint64(1<<63), uint64(1<<63+1), bytes.Repeat([]byte{7}, 32))
	f.Fuzz(func(t *testing.T, index, size uint64, raw []byte) {
		var path []auction.Hash
		for ; len(raw) >= 32 && len(path) < 70; raw = raw[32:] {
			path = append(path, auction.Hash(raw))
		}
		leaf := sha256.Sum256(binary.BigEndian.AppendUint64(nil, index))
		root, ok := rootOf(tlog.Hash(leaf), index, size, path)
		want, err := proof.RootFromInclusionProof(rfc6962.DefaultHasher, index, size, leaf[:], oracleProof(path))
		if ok != (err == nil) || ok && !bytes.Equal(root[:], want) {
			t.Fatalf("index %d of %d with %d hashes: %v, the oracle says %v", index, size, len(path), ok, err)
		}
	})
}
