package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Kind says how much of a log a bundle shows.
type Kind string

// Kinds of bundles.
const (
	Public Kind = "public" // what everybody may see
	Party  Kind = "party"  // also the private parts that a seller or bidder holds, and receipts
	Audit  Kind = "audit"  // the private part of every entry
)

// Limits of an encoded bundle, in bytes.
const (
	MaxBundle = 256 << 20
	maxLine   = 256 << 10
)

const maxChain = 3 // certificates of one signer, without the root

// A Bundle is the evidence of one auction, in one file. [Verify] judges what
// [Bundle.Encode] writes.
type Bundle struct {
	Kind     Kind
	Roots    []auction.Blob // the policy's root certificates (DER), in its order
	Policy   []byte         // the policy document that the auction was listed under
	Head     string         // signed, of the whole log: see [OpenHead]
	Entries  []auction.Entry
	Receipts []auction.Receipt // Party: in order of their sequence numbers

	// Certificates holds the chains of those who signed the commands that are
	// shown, by thumbprint. Encode writes those that are needed.
	Certificates map[auction.Hash][]auction.Blob
}

// The file is canonical JSON, one object a line, each line ended by a newline:
// a header, then the chains in order of their thumbprints, the entries, and the
// receipts, as many as the header says.
type (
	headerLine struct {
		V            int            `json:"v"` // 1
		Kind         Kind           `json:"kind"`
		Roots        []auction.Blob `json:"roots"`
		Policy       string         `json:"policy"`
		Head         string         `json:"head"`
		Certificates int            `json:"certificates"`
		Entries      int            `json:"entries"`
		Receipts     int            `json:"receipts"`
	}
	chainLine struct {
		Chain []auction.Blob `json:"chain"`
	}
	entryLine struct {
		Event      string       `json:"event"`
		Commitment auction.Hash `json:"commitment"`
		Salt       auction.Blob `json:"salt,omitempty"`
		Private    auction.Blob `json:"private,omitempty"`
	}
)

// Encode returns the one encoding. It fails if the bundle is not of its kind, a
// certificate that is needed is missing, or it is over the limits. Whether the
// evidence holds is for [Verify] to say.
func (b *Bundle) Encode() ([]byte, error) {
	used, err := b.check()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	longest := 0
	line := func(v any) {
		encoded := encodeLine(v)
		longest = max(longest, len(encoded))
		out.Write(encoded)
	}
	line(headerLine{
		V: 1, Kind: b.Kind, Roots: b.Roots, Policy: string(b.Policy), Head: b.Head,
		Certificates: len(used), Entries: len(b.Entries), Receipts: len(b.Receipts),
	})
	for _, thumbprint := range used {
		line(chainLine{b.Certificates[thumbprint]})
	}
	for _, e := range b.Entries {
		line(entryLine{string(e.Event), e.Commitment, e.Salt, e.Private})
	}
	for _, r := range b.Receipts {
		line(r)
	}
	if longest > maxLine {
		return nil, auction.Refuse(auction.CodeTooLarge, "a line of a bundle has at most %d bytes", maxLine)
	}
	if out.Len() > MaxBundle {
		return nil, auction.Refuse(auction.CodeTooLarge, "a bundle has at most %d bytes", MaxBundle)
	}
	return out.Bytes(), nil
}

// ParseBundle reads what Encode writes, and nothing else. It says nothing about
// whether the evidence holds. It refuses with [auction.CodeBadRequest],
// [auction.CodeBadVersion] or [auction.CodeTooLarge].
func ParseBundle(data []byte) (*Bundle, error) {
	if len(data) > MaxBundle {
		return nil, auction.Refuse(auction.CodeTooLarge, "a bundle has at most %d bytes", MaxBundle)
	}
	lines := lineReader{rest: data}
	var h headerLine
	if err := lines.next(&h); err != nil {
		return nil, err
	}
	if h.V != 1 {
		return nil, auction.Refuse(auction.CodeBadVersion, "a bundle has version 1")
	}
	// No count can exceed the number of lines, so sums of them do not overflow.
	if n := bytes.Count(lines.rest, []byte("\n")); min(h.Certificates, h.Entries, h.Receipts) < 0 ||
		max(h.Certificates, h.Entries, h.Receipts) > n || h.Certificates+h.Entries+h.Receipts != n {
		return nil, malformed("the bundle has another number of lines than it says")
	}
	b := &Bundle{
		Kind: h.Kind, Roots: h.Roots, Policy: []byte(h.Policy), Head: h.Head,
		Certificates: make(map[auction.Hash][]auction.Blob, h.Certificates),
	}
	if err := b.readLines(&lines, h); err != nil {
		return nil, err
	}
	used, err := b.check()
	if err != nil {
		return nil, err
	}
	if len(used) != len(b.Certificates) {
		return nil, malformed("the bundle has a certificate that nothing in it needs")
	}
	return b, nil
}

func (b *Bundle) readLines(lines *lineReader, h headerLine) error {
	var last auction.Hash
	for i := range h.Certificates {
		var line chainLine
		if err := lines.next(&line); err != nil {
			return err
		}
		if len(line.Chain) == 0 {
			return malformed("the bundle has a certificate chain without certificates")
		}
		thumbprint := auction.Hash(sha256.Sum256(line.Chain[0]))
		if i > 0 && bytes.Compare(last[:], thumbprint[:]) >= 0 {
			return malformed("the certificates of the bundle are not in order")
		}
		last = thumbprint
		b.Certificates[thumbprint] = line.Chain
	}
	for i := range h.Entries {
		var line entryLine
		if err := lines.next(&line); err != nil {
			return err
		}
		b.Entries = append(b.Entries, auction.Entry{
			Seq: uint64(i) + 1, Event: []byte(line.Event), Commitment: line.Commitment,
			Salt: line.Salt, Private: line.Private,
		})
	}
	for range h.Receipts {
		var r auction.Receipt
		if err := lines.next(&r); err != nil {
			return err
		}
		b.Receipts = append(b.Receipts, r)
	}
	if len(lines.rest) != 0 {
		return malformed("the bundle goes on after its end")
	}
	return nil
}

// check holds what the form of a bundle demands, and returns the thumbprints of
// the certificates that it needs, in order.
func (b *Bundle) check() ([]auction.Hash, error) {
	switch {
	case b.Kind != Public && b.Kind != Party && b.Kind != Audit:
		return nil, malformed("a bundle is public, party or audit")
	case len(b.Roots) == 0 || len(b.Roots) > auction.MaxRoots:
		return nil, malformed("a bundle has 1 to %d roots", auction.MaxRoots)
	case len(b.Entries) == 0:
		return nil, malformed("a bundle has at least the listing")
	case !utf8.Valid(b.Policy) || !utf8.ValidString(b.Head):
		return nil, malformed("the policy or the head of the bundle is not text")
	case len(b.Receipts) > 0 && b.Kind != Party:
		return nil, malformed("only a party's bundle has receipts")
	}
	for i, r := range b.Receipts {
		if r.Path == nil || i > 0 && b.Receipts[i-1].Seq >= r.Seq {
			return nil, malformed("the receipts of the bundle are not in order")
		}
	}
	return b.usedCertificates()
}

func (b *Bundle) usedCertificates() ([]auction.Hash, error) {
	used := make(map[auction.Hash]bool)
	for i, e := range b.Entries {
		if e.Seq != uint64(i)+1 || !utf8.Valid(e.Event) {
			return nil, malformed("the entries of the bundle are not a log from its start")
		}
		if !shown(e) && len(e.Salt)+len(e.Private) > 0 {
			return nil, malformed("entry %d has half of a private part", e.Seq)
		}
		if b.Kind == Public && shown(e) || b.Kind == Audit && !shown(e) {
			return nil, malformed("entry %d shows more or less than a bundle of this kind", e.Seq)
		}
		if !shown(e) {
			continue
		}
		p, err := auction.ParsePrivate(e.Private)
		if err != nil {
			return nil, err
		}
		if p.Certificate == (auction.Hash{}) {
			continue
		}
		if n := len(b.Certificates[p.Certificate]); n == 0 || n > maxChain {
			return nil, malformed("the certificate of entry %d is missing", e.Seq)
		}
		used[p.Certificate] = true
	}
	return slices.SortedFunc(maps.Keys(used), func(a, b auction.Hash) int { return bytes.Compare(a[:], b[:]) }), nil
}

// shown reports whether the private part of an entry is there.
func shown(e auction.Entry) bool { return len(e.Salt) > 0 && len(e.Private) > 0 }

// encodeLine writes canonical JSON as package auction has it, and a newline. It
// cannot fail for the types of this package.
func encodeLine(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("evidence: internal error: encode: " + err.Error())
	}
	return b.Bytes()
}

type lineReader struct{ rest []byte }

// next reads one line into v, and refuses any spelling but encodeLine's.
func (l *lineReader) next(v any) error {
	end := bytes.IndexByte(l.rest, '\n') + 1
	if end == 0 {
		return malformed("the bundle ends in the middle of a line")
	}
	if end > maxLine {
		return auction.Refuse(auction.CodeTooLarge, "a line of a bundle has at most %d bytes", maxLine)
	}
	line := l.rest[:end]
	l.rest = l.rest[end:]
	// A member that v does not have is not written again, and shows so.
	if json.Unmarshal(line, v) != nil || !bytes.Equal(encodeLine(v), line) {
		return malformed("a line of the bundle is not the JSON that the format describes, in its one spelling")
	}
	return nil
}

func malformed(format string, args ...any) error {
	return auction.Refuse(auction.CodeBadRequest, format, args...)
}
