package evidence

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	testHouse   = "demo"
	testAuction = auction.ID("6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b")
)

// testLogKey returns a log key made from a seed of one repeated byte.
func testLogKey(t testing.TB, seed byte) (*LogSigner, LogKey) {
	t.Helper()
	secret, public, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 64)), testHouse)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := NewLogSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ParseLogKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return signer, key
}

func testReceipts(n int) []auction.Receipt {
	receipts := make([]auction.Receipt, n)
	for i, leaf := range testLeaves(n) {
		receipts[i] = auction.Receipt{Auction: testAuction, Seq: uint64(i + 1), Leaf: leaf}
	}
	return receipts
}

func TestLogKeyStrict(t *testing.T) {
	signer, key := testLogKey(t, 1)
	good := key.String()
	if !signer.Fits(key) {
		t.Error("a signer does not fit its own key")
	}
	if _, other := testLogKey(t, 2); signer.Fits(other) {
		t.Error("a signer fits another key")
	}
	parts := strings.Split(good, "+")
	p256, err := note.NewEd25519VerifierKey(testHouse, make(ed25519.PublicKey, 32))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":             "",
		"no key":            parts[0] + "+" + parts[1],
		"upper-case hash":   parts[0] + "+" + strings.ToUpper(parts[1]) + "+" + strings.Join(parts[2:], "+"),
		"line break":        good[:len(good)-4] + "\n" + good[len(good)-4:],
		"trailing space":    good + " ",
		"trailing newline":  good + "\n",
		"another name":      "x" + good,
		"another key":       p256[:len(p256)-3] + "BB=",
		"another algorithm": parts[0] + "+" + parts[1] + "+Ag" + strings.Join(parts[2:], "+")[2:],
		"too long":          strings.Repeat("a", maxLogKey) + good,
	} {
		if _, err := ParseLogKey(text); auction.CodeOf(err) != auction.CodeBadSignature {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range good {
		changed := []byte(good)
		changed[i] ^= 1
		if _, err := ParseLogKey(string(changed)); err == nil {
			t.Errorf("a key changed at byte %d passes", i)
		}
	}
}

// Base64 may hold the plus sign that parts a verifier key.
func TestLogKeyOfAnySeed(t *testing.T) {
	plus := false
	for seed := range 64 {
		signer, key := testLogKey(t, byte(seed))
		plus = plus || strings.Count(key.String(), "+") > 2
		if !signer.Fits(key) {
			t.Errorf("seed %d: the signer does not fit its key", seed)
		}
	}
	if !plus {
		t.Error("no key has a plus sign in it")
	}
}

func TestSignerKeyErrorTellsNothing(t *testing.T) {
	secret, _, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{9}, 64)), testHouse)
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewLogSigner(secret[:len(secret)-4])
	if err == nil || strings.Contains(err.Error(), secret[30:40]) {
		t.Fatalf("error: %v", err)
	}
}

func leavesOf(receipts []auction.Receipt) []auction.Hash {
	var leaves []auction.Hash
	for _, r := range receipts {
		leaves = append(leaves, auction.Hash(receiptLeaf(r)))
	}
	return leaves
}

func TestReceiptsOfEveryBatchSize(t *testing.T) {
	signer, key := testLogKey(t, 1)
	_, foreign := testLogKey(t, 2)
	for n := 1; n <= 65; n++ {
		receipts := testReceipts(n)
		if err := signer.SignReceipts(receipts); err != nil {
			t.Fatal(err)
		}
		root := oracleRoot(t, leavesOf(receipts))
		for i, r := range receipts {
			if got, ok := rootOf(receiptLeaf(r), r.Index, r.Batch, r.Path); !ok || auction.Hash(got) != root {
				t.Fatalf("receipt %d of %d leads to another root", i, n)
			}
			if r.Index != uint64(i) || r.Batch != uint64(n) {
				t.Fatalf("receipt %d of %d says %d of %d", i, n, r.Index, r.Batch)
			}
			if i > 0 && i < n-1 {
				continue // one signature for all
			}
			if err := VerifyReceipt(r, key); err != nil {
				t.Fatalf("receipt %d of %d: %v", i, n, err)
			}
			if VerifyReceipt(r, foreign) == nil {
				t.Fatalf("receipt %d of %d verifies under another key", i, n)
			}
		}
	}
	alone := testReceipts(1)
	if err := signer.SignReceipts(alone); err != nil {
		t.Fatal(err)
	}
	if alone[0].Path == nil || len(alone[0].Path) != 0 {
		t.Errorf("alone, the path is %v, want empty and not null", alone[0].Path)
	}
	if err := signer.SignReceipts(nil); err != nil {
		t.Error(err)
	}
	if err := signer.SignReceipts(testReceipts(MaxBatch + 1)); err == nil {
		t.Error("a batch over the limit was signed")
	}
}

// Whatever of a receipt changes, it no longer verifies.
func TestChangedReceipt(t *testing.T) {
	signer, key := testLogKey(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		receipts := testReceipts(rapid.IntRange(1, 20).Draw(t, "batch"))
		if err := signer.SignReceipts(receipts); err != nil {
			t.Fatal(err)
		}
		r := receipts[rapid.IntRange(0, len(receipts)-1).Draw(t, "index")]
		r.Path, r.Signature = slices.Clone(r.Path), slices.Clone(r.Signature)
		bit := byte(1) << rapid.IntRange(0, 7).Draw(t, "bit")
		switch rapid.IntRange(0, 8).Draw(t, "member") {
		case 0:
			r.Seq += uint64(bit)
		case 1:
			r.Leaf[rapid.IntRange(0, 31).Draw(t, "byte")] ^= bit
		case 2:
			r.Index += uint64(bit)
		case 3:
			r.Batch += uint64(bit)
		case 4:
			r.Signature[rapid.IntRange(0, 63).Draw(t, "byte")] ^= bit
		case 5:
			r.Auction = r.Auction[1:] + "0"
		case 6:
			r.Path = append(r.Path, auction.Hash{})
		case 7:
			r.Signature = append(r.Signature, 0)
		case 8:
			if len(r.Path) == 0 {
				r.Signature = nil
				break
			}
			r.Path[rapid.IntRange(0, len(r.Path)-1).Draw(t, "hash")][3] ^= bit
		}
		if err := VerifyReceipt(r, key); auction.CodeOf(err) != auction.CodeBadSignature {
			t.Fatalf("a changed receipt: %v", err)
		}
	})
}

func TestSignReceiptsConcurrently(t *testing.T) {
	signer, key := testLogKey(t, 1)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			receipts := testReceipts(10)
			if err := signer.SignReceipts(receipts); err != nil {
				t.Error(err)
			}
			for _, r := range receipts {
				if err := VerifyReceipt(r, key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzVerifyReceipt holds that a receipt that verifies is one of those signed.
func FuzzVerifyReceipt(f *testing.F) {
	signer, key := testLogKey(f, 1)
	signed := testReceipts(5)
	if err := signer.SignReceipts(signed); err != nil {
		f.Fatal(err)
	}
	for _, r := range signed {
		data, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"batch":18446744073709551615,"index":18446744073709551614}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r auction.Receipt
		if json.Unmarshal(data, &r) != nil || VerifyReceipt(r, key) != nil {
			return
		}
		if !slices.ContainsFunc(signed, func(s auction.Receipt) bool {
			return s.Auction == r.Auction && s.Seq == r.Seq && s.Leaf == r.Leaf
		}) {
			t.Fatal("a receipt verifies that nobody signed")
		}
	})
}

func BenchmarkSignReceipts64(b *testing.B) {
	signer, _ := testLogKey(b, 1)
	receipts := testReceipts(64)
	b.ReportAllocs()
	for b.Loop() {
		if err := signer.SignReceipts(receipts); err != nil {
			b.Fatal(err)
		}
	}
}
