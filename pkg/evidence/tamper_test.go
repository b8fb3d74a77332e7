package evidence

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// smallBundles returns one bundle of each kind of the shortest auction that has
// a bid and a close. The party's has every kind of line that there is.
func smallBundles(t testing.TB) (map[Kind][]byte, *Trust) {
	t.Helper()
	h := newHouse(t, houseOptions{})
	l := newLog(h)
	l.list(h.person(), testTerms(h))
	l.bid(h.person(), 1000, start+2*second, start+2*second+second/10)
	l.close(start+66*second, nil)
	party := l.bundle(Party, 2)
	party.Receipts = l.receipts(1, 2)[1:]
	return map[Kind][]byte{
		Public: encode(t, l.bundle(Public)), Party: encode(t, party), Audit: encode(t, l.bundle(Audit)),
	}, h.trust()
}

// Every byte of a bundle counts, and every refusal has a code.
func TestEveryByteCounts(t *testing.T) {
	bundles, trust := smallBundles(t)
	good := bundles[Party]
	if _, err := Verify(good, trust); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		wg.Go(func() {
			data := bytes.Clone(good)
			for i := worker; i < len(data); i += workers {
				// The likeliest to pass: the next letter of base64, the other
				// case, and a byte that is in no encoding here.
				data[i] = []byte{good[i] ^ 1, good[i] ^ 0x20, 0xff}[i/workers%3]
				if _, err := Verify(data, nil); err == nil || auction.CodeOf(err) == auction.CodeInternal {
					t.Errorf("byte %d changed from %q to %q: %v", i, good[i], data[i], err)
				}
				data[i] = good[i]
			}
		})
	}
	wg.Wait()
}

func TestBundleCutAndJoined(t *testing.T) {
	bundles, trust := smallBundles(t)
	refused := func(name string, data []byte) {
		t.Helper()
		if _, err := Verify(data, trust); err == nil || auction.CodeOf(err) == auction.CodeInternal {
			t.Errorf("%s: %v", name, err)
		}
	}
	for kind, good := range bundles {
		for i := 0; i < len(good); i += 29 {
			refused(fmt.Sprintf("%s cut at byte %d", kind, i), good[:i])
		}
		lines := bytes.SplitAfter(good, []byte("\n"))
		lines = lines[:len(lines)-1]
		for i := range lines {
			refused(fmt.Sprintf("%s without line %d", kind, i), bytes.Join(slices.Delete(slices.Clone(lines), i, i+1), nil))
			refused(fmt.Sprintf("%s with line %d twice", kind, i), bytes.Join(slices.Insert(slices.Clone(lines), i, lines[i]), nil))
			for j := range i {
				swapped := slices.Clone(lines)
				swapped[i], swapped[j] = swapped[j], swapped[i]
				refused(fmt.Sprintf("%s with lines %d and %d swapped", kind, i, j), bytes.Join(swapped, nil))
			}
		}
		for _, tail := range []string{"\n", " ", "{}", "{}\n", string(lines[len(lines)-1]), string(good)} {
			refused(fmt.Sprintf("%s and %.10q", kind, tail), append(bytes.Clone(good), tail...))
		}
		refused(string(kind)+" with a space before", append([]byte(" "), good...))
		refused(string(kind)+" with carriage returns", bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")))
		for _, other := range bundles {
			if !bytes.Equal(other, good) {
				refused(string(kind)+" with another's lines", append(bytes.Clone(lines[0]), bytes.SplitAfterN(other, []byte("\n"), 2)[1]...))
			}
		}
	}
}

// Bundles that are in the one spelling, counts and all, and still not right.
func TestBundleRefused(t *testing.T) {
	s := newStory(t, houseOptions{})
	other := newStory(t, houseOptions{})
	for name, c := range map[string]struct {
		want   string
		kind   Kind
		change func(*Bundle)
	}{
		"an entry dropped":          {"signed another log", Public, func(b *Bundle) { b.Entries = b.Entries[:len(b.Entries)-1] }},
		"an older head":             {"signed another log", Public, func(b *Bundle) { b.Head = s.signed(2) }},
		"another log's head":        {"did not sign this head", Public, func(b *Bundle) { b.Head = other.signed(7) }},
		"another house's policy":    {"unknown_policy", Public, func(b *Bundle) { b.Policy, b.Roots = other.policyDoc, []auction.Blob{other.rootDER} }},
		"another root":              {"not those that the policy pins", Public, func(b *Bundle) { b.Roots[0] = other.rootDER }},
		"a root more":               {"not those that the policy pins", Public, func(b *Bundle) { b.Roots = append(b.Roots, other.rootDER) }},
		"commitments swapped":       {"another head than the log's", Public, func(b *Bundle) { swap(&b.Entries[1].Commitment, &b.Entries[2].Commitment) }},
		"another salt":              {"what the commitment commits to", Audit, func(b *Bundle) { b.Entries[1].Salt = b.Entries[2].Salt }},
		"private parts swapped":     {"what the commitment commits to", Audit, func(b *Bundle) { swap(&b.Entries[1].Private, &b.Entries[2].Private) }},
		"another chain":             {"does not lead to a root", Audit, func(b *Bundle) { b.Certificates[s.ann.thumbprint][1] = other.ann.blob(1) }},
		"a chain without its CA":    {"does not lead to a root", Audit, func(b *Bundle) { b.Certificates[s.ann.thumbprint] = b.Certificates[s.ann.thumbprint][:1] }},
		"a chain with its root":     {"bad_certificate", Audit, func(b *Bundle) { c := b.Certificates; c[s.ann.thumbprint] = append(c[s.ann.thumbprint], s.rootDER) }},
		"another entry's receipt":   {"another entry", Party, func(b *Bundle) { b.Receipts = []auction.Receipt{s.promise(s.id, 2, other.leaves[1])} }},
		"another house's receipt":   {"did not sign this receipt", Party, func(b *Bundle) { b.Receipts = other.receipts(2) }},
		"a receipt past the log":    {"another entry", Party, func(b *Bundle) { b.Receipts = []auction.Receipt{s.promise(s.id, 8, s.leaves[1])} }},
		"a receipt of entry zero":   {"another entry", Party, func(b *Bundle) { b.Receipts = []auction.Receipt{s.promise(s.id, 0, s.leaves[1])} }},
		"another auction's receipt": {"another entry", Party, func(b *Bundle) { b.Receipts = []auction.Receipt{s.promise(testAuction, 2, s.leaves[1])} }},
	} {
		t.Run(name, func(t *testing.T) {
			b := s.bundle(c.kind)
			if c.kind == Party {
				b = s.bundle(Party, 2)
			}
			chains := make(map[auction.Hash][]auction.Blob)
			for thumbprint, chain := range b.Certificates {
				chains[thumbprint] = slices.Clone(chain)
			}
			b.Certificates = chains
			c.change(b)
			if _, err := Verify(encode(t, b), nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func swap[T any](a, b *T) { *a, *b = *b, *a }

func (p person) blob(i int) auction.Blob { return p.chain[i] }

func (s *story) signed(size uint64) string {
	return must(s.signer.SignHead(testHouse, auction.LogID(s.id), s.headAt(size)))(s.t)
}

// promise is a receipt that the house signed for whatever it liked.
func (s *story) promise(id auction.ID, seq uint64, leaf auction.Hash) auction.Receipt {
	r := []auction.Receipt{{Auction: id, Seq: seq, Leaf: leaf}}
	if err := s.signer.SignReceipts(r); err != nil {
		s.t.Fatal(err)
	}
	return r[0]
}
