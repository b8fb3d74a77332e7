package evidence

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

func TestBundleRoundTrip(t *testing.T) {
	s := newStory(t, houseOptions{})
	party := s.bundle(Party, 2, 4)
	party.Receipts = s.receipts(2, 4)
	for _, b := range []*Bundle{s.bundle(Public), party, s.bundle(Audit)} {
		data := encode(t, b)
		again, err := ParseBundle(data)
		if err != nil {
			t.Fatalf("%s: %v", b.Kind, err)
		}
		if !bytes.Equal(encode(t, again), data) {
			t.Errorf("%s: parsed and encoded again it is another", b.Kind)
		}
		want := map[Kind]int{Public: 0, Party: 2, Audit: 3}[b.Kind]
		if len(again.Certificates) != want {
			t.Errorf("%s has %d certificate chains, want those that are needed: %d", b.Kind, len(again.Certificates), want)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	s := newStory(t, houseOptions{})
	for name, c := range map[string]struct {
		code   auction.Code
		change func(*Bundle)
	}{
		"no kind":                    {auction.CodeBadRequest, func(b *Bundle) { b.Kind = "" }},
		"private parts in public":    {auction.CodeBadRequest, func(b *Bundle) { b.Kind = Public }},
		"private parts missing":      {auction.CodeBadRequest, func(b *Bundle) { b.Entries[3] = b.Entries[3].Public() }},
		"half a private part":        {auction.CodeBadRequest, func(b *Bundle) { b.Kind = Party; b.Entries[3].Salt = nil }},
		"a private part of no form":  {auction.CodeBadRequest, func(b *Bundle) { b.Entries[3].Private = []byte("x") }},
		"no entries":                 {auction.CodeBadRequest, func(b *Bundle) { b.Entries = nil }},
		"a gap":                      {auction.CodeBadRequest, func(b *Bundle) { b.Entries[1].Seq = 3 }},
		"a log not from its start":   {auction.CodeBadRequest, func(b *Bundle) { b.Entries = b.Entries[1:] }},
		"no root":                    {auction.CodeBadRequest, func(b *Bundle) { b.Roots = nil }},
		"too many roots":             {auction.CodeBadRequest, func(b *Bundle) { b.Roots = make([]auction.Blob, auction.MaxRoots+1) }},
		"a certificate missing":      {auction.CodeBadRequest, func(b *Bundle) { b.Certificates = nil }},
		"a chain too long":           {auction.CodeBadRequest, func(b *Bundle) { b.Certificates[s.ann.thumbprint] = make([]auction.Blob, maxChain+1) }},
		"an event that is no text":   {auction.CodeBadRequest, func(b *Bundle) { b.Entries[1].Event = []byte("\xff") }},
		"a policy that is no text":   {auction.CodeBadRequest, func(b *Bundle) { b.Policy = []byte("\xff") }},
		"a head that is no text":     {auction.CodeBadRequest, func(b *Bundle) { b.Head = "\xff" }},
		"receipts in an audit":       {auction.CodeBadRequest, func(b *Bundle) { b.Receipts = s.receipts(1) }},
		"receipts out of order":      {auction.CodeBadRequest, func(b *Bundle) { b.Kind = Party; b.Receipts = s.receipts(2, 1) }},
		"a receipt twice":            {auction.CodeBadRequest, func(b *Bundle) { b.Kind = Party; b.Receipts = s.receipts(1, 1) }},
		"a receipt without its path": {auction.CodeBadRequest, func(b *Bundle) { b.Kind = Party; b.Receipts = make([]auction.Receipt, 1) }},
		"a line too long":            {auction.CodeTooLarge, func(b *Bundle) { b.Policy = bytes.Repeat([]byte("x"), maxLine) }},
	} {
		t.Run(name, func(t *testing.T) {
			b := s.bundle(Audit)
			chains := make(map[auction.Hash][]auction.Blob)
			for thumbprint, chain := range b.Certificates {
				chains[thumbprint] = chain
			}
			b.Certificates = chains
			c.change(b)
			if _, err := b.Encode(); auction.CodeOf(err) != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
}

func TestParseBundleRefuses(t *testing.T) {
	bundles, _ := smallBundles(t)
	good := string(bundles[Audit])
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the bundle has no %s", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	lines := strings.SplitAfter(good, "\n")
	for name, c := range map[string]struct {
		code auction.Code
		data string
	}{
		"nothing":                        {auction.CodeBadRequest, ""},
		"an empty line":                  {auction.CodeBadRequest, "\n"},
		"null":                           {auction.CodeBadRequest, "null\n"},
		"a list":                         {auction.CodeBadRequest, "[]\n"},
		"another version":                {auction.CodeBadVersion, replace(`{"v":1,`, `{"v":2,`)},
		"another kind":                   {auction.CodeBadRequest, replace(`"audit"`, `"Audit"`)},
		"a public one, hidden":           {auction.CodeBadRequest, replace(`"audit"`, `"public"`)},
		"fewer entries":                  {auction.CodeBadRequest, replace(`"entries":3`, `"entries":2`)},
		"more entries":                   {auction.CodeBadRequest, replace(`"entries":3`, `"entries":4`)},
		"entries as receipts":            {auction.CodeBadRequest, replace(`"entries":3,"receipts":0`, `"entries":2,"receipts":1`)},
		"minus one receipt":              {auction.CodeBadRequest, replace(`"entries":3,"receipts":0`, `"entries":4,"receipts":-1`)},
		"counts that overflow":           {auction.CodeBadRequest, replace(`"entries":3,"receipts":0`, `"entries":9223372036854775807,"receipts":-9223372036854775804`)},
		"a number in another spelling":   {auction.CodeBadRequest, replace(`"entries":3`, `"entries":3e0`)},
		"a member of another case":       {auction.CodeBadRequest, replace(`"entries":3`, `"Entries":3`)},
		"a member twice":                 {auction.CodeBadRequest, replace(`"entries":3`, `"entries":3,"entries":3`)},
		"a member more":                  {auction.CodeBadRequest, replace(`"entries":3`, `"more":0,"entries":3`)},
		"members in another order":       {auction.CodeBadRequest, replace(`"entries":3,"receipts":0`, `"receipts":0,"entries":3`)},
		"a space":                        {auction.CodeBadRequest, replace(`"entries":3`, `"entries": 3`)},
		"an escape in another spelling":  {auction.CodeBadRequest, replace(`"audit"`, "\"\\u0061udit\"")},
		"roots null":                     {auction.CodeBadRequest, "{\"v\":1,\"kind\":\"audit\",\"roots\":null" + good[strings.Index(good, `,"policy"`):]},
		"an empty salt":                  {auction.CodeBadRequest, replace(`"salt":"`, `"salt":"","salt":"`)},
		"an upper-case hash":             {auction.CodeBadRequest, replace(`"commitment":"`, `"commitment":"A`)},
		"chains of nothing":              {auction.CodeBadRequest, lines[0] + "{\"chain\":[]}\n" + strings.Join(lines[2:], "")},
		"chains null":                    {auction.CodeBadRequest, lines[0] + "{\"chain\":null}\n" + strings.Join(lines[2:], "")},
		"a certificate that none needs":  {auction.CodeBadRequest, strings.Replace(lines[0], `"certificates":2`, `"certificates":3`, 1) + lines[1] + lines[2] + unneeded() + strings.Join(lines[3:], "")},
		"a line over the limit":          {auction.CodeTooLarge, `{"v":1,"kind":"` + strings.Repeat("x", maxLine) + "\"}\n"},
		"very deep":                      {auction.CodeBadRequest, strings.Repeat("[", 100_000) + "\n"},
		"no line ends":                   {auction.CodeBadRequest, strings.Repeat("x", 2*maxLine)},
		"a million lines and no entries": {auction.CodeBadRequest, lines[0] + strings.Repeat("{}\n", 1_000_000)},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseBundle([]byte(c.data)); auction.CodeOf(err) != c.code {
				t.Errorf("%v, want %s", err, c.code)
			}
		})
	}
}

// unneeded returns a chain line that sorts after every other, of another certificate.
func unneeded() string {
	for i := range 100_000 {
		der := []byte{byte(i), byte(i >> 8), byte(i >> 16)}
		if h := hash(der); h[0] == 0xff && h[1] >= 0xf0 {
			return string(encodeLine(chainLine{[]auction.Blob{der}}))
		}
	}
	panic("no such hash")
}

// FuzzParseBundle holds that what parses is in the one encoding, and that the
// verification of it does not panic and refuses with a code.
func FuzzParseBundle(f *testing.F) {
	bundles, _ := smallBundles(f)
	for _, data := range bundles {
		f.Add(data)
	}
	f.Add([]byte("{\"v\":1}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBundle(data)
		if err != nil {
			if auction.CodeOf(err) == auction.CodeInternal {
				t.Fatalf("no refusal: %v", err)
			}
			return
		}
		again, err := b.Encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatal("parsed and encoded again it is another")
		}
		if _, err := Verify(data, nil); err != nil && auction.CodeOf(err) == auction.CodeInternal {
			t.Fatalf("no refusal: %v", err)
		}
	})
}
