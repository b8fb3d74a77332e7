package evidence

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

// lying is a log of three authorities in which the first told the second bidder
// a time before the first bidder's, who had bid before.
func lying(t testing.TB, by auction.Time) *log {
	t.Helper()
	h := newHouse(t, houseOptions{authorities: 3, quorum: 3})
	l := newLog(h)
	l.list(h.person(), testTerms(h))
	l.bid(h.person(), 1000, start+2*second, start+2*second+second/10)
	h.wrong = func(i int) auction.Time { return [3]auction.Time{-by}[i] }
	l.bid(h.person(), 1100, start+2*second+second/5, start+2*second+second/4)
	h.wrong = nil
	l.bid(h.person(), 1200, start+3*second, start+3*second+second/10)
	return l
}

// contradicted returns the one contradiction of a lying log.
func contradicted(t testing.TB) (*Contradiction, *log) {
	t.Helper()
	l := lying(t, second)
	v, err := Verify(encode(t, l.bundle(Audit)), l.trust())
	if err != nil || len(v.Contradictions) != 1 {
		t.Fatalf("%d contradictions: %v", len(v.Contradictions), err)
	}
	return v.Contradictions[0], l
}

// The lie of one authority changes no verdict, and is in it, with a proof that
// needs nothing else.
func TestLiarIsProven(t *testing.T) {
	c, l := contradicted(t)
	v, err := VerifyContradiction(c.Encode(), l.trust())
	if err != nil {
		t.Fatal(err)
	}
	// A second back, a fifth of a second on, and a millisecond of accuracy each.
	if want := 798 * time.Millisecond; !v.Anchored || v.Authority != "clock-1" || v.House != testHouse || v.Apart() != want {
		t.Errorf("%+v, %v apart, want %v", v, v.Apart(), want)
	}
	if text := v.String(); !strings.Contains(text, "anchored: house") || !strings.Contains(text, "clock-1 of house") ||
		!strings.Contains(text, "399ms more than") {
		t.Errorf("the verdict is\n%s", text)
	}
	if v, err := VerifyContradiction(c.Encode(), nil); err != nil || v.Anchored {
		t.Errorf("without trust: anchored %t, %v", v.Anchored, err)
	}
	// A party to both sees it too; who has only one of the two does not.
	for _, row := range []struct {
		shown []uint64
		want  int
	}{{[]uint64{2, 3}, 1}, {[]uint64{1, 3, 4}, 0}, {[]uint64{1, 2, 4}, 0}} {
		v, err := Verify(encode(t, l.bundle(Party, row.shown...)), l.trust())
		if err != nil || len(v.Contradictions) != row.want {
			t.Errorf("with entries %v: %d contradictions, %v", row.shown, len(v.Contradictions), err)
		}
		if said := strings.Contains(v.String(), "TIME AUTHORITY clock-1 CONTRADICTED ITSELF"); said != (row.want > 0) {
			t.Errorf("with entries %v the verdict is\n%s", row.shown, v)
		}
	}
}

// A proof made once is judged the same for ever, here and by other programs.
func TestContradictionVectors(t *testing.T) {
	if *update {
		c, l := contradicted(t)
		golden(t, "contradiction.evidence", c.Encode())
		golden(t, "lied.evidence", encode(t, l.bundle(Audit)))
		golden(t, "contradiction.trust.json", append(must(json.Marshal(l.trust()))(t), '\n'))
	}
	read := func(name string) []byte { return must(os.ReadFile(filepath.Join("testdata", name)))(t) }
	trust := must(ParseTrust(read("contradiction.trust.json")))(t)
	v, err := VerifyContradiction(read("contradiction.evidence"), trust)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "contradiction.verdict", []byte(v.String()))
	whole, err := Verify(read("lied.evidence"), trust)
	if err != nil || len(whole.Contradictions) != 1 || !bytes.Equal(whole.Contradictions[0].Encode(), read("contradiction.evidence")) {
		t.Errorf("the log that it is of has %d contradictions: %v", len(whole.Contradictions), err)
	}
}

// A close record is stamped over all that was there before.
func TestLiarIsProvenByTheClose(t *testing.T) {
	h := newHouse(t, houseOptions{authorities: 3, quorum: 3})
	l := newLog(h)
	l.list(h.person(), testTerms(h))
	h.wrong = func(i int) auction.Time { return [3]auction.Time{2: 90 * second}[i] } // into the future
	l.bid(h.person(), 1000, start+2*second, start+2*second+second/10)
	h.wrong = nil
	l.close(start+66*second, nil)
	v, err := Verify(encode(t, l.bundle(Audit)), h.trust())
	if err != nil || len(v.Contradictions) != 1 {
		t.Fatalf("%d contradictions: %v", len(v.Contradictions), err)
	}
	if v, err := VerifyContradiction(v.Contradictions[0].Encode(), h.trust()); err != nil || v.Authority != "clock-3" {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestWithinAccuracyNothingIsProven(t *testing.T) {
	for by, want := range map[auction.Time]int{
		second / 5:          0, // back to the same time
		second/5 + 2000:     0, // twice the accuracy: both may be honest
		second/5 + 2000 + 1: 1,
	} {
		l := lying(t, by)
		v, err := Verify(encode(t, l.bundle(Audit)), l.trust())
		if err != nil || len(v.Contradictions) != want {
			t.Errorf("%d back: %d contradictions, want %d: %v", by, len(v.Contradictions), want, err)
		}
	}
}

// Simulated time may be reset.
func TestSimulatedTimeProvesNoLiar(t *testing.T) {
	h := newHouse(t, houseOptions{simulated: true})
	l := newLog(h)
	l.list(h.person(), testTerms(h))
	l.bid(h.person(), 1000, start+2*second, start+2*second+second/10)
	h.wrong = func(int) auction.Time { return -second / 4 }
	l.bid(h.person(), 1100, start+2*second, start+2*second+second/10)
	b := l.bundle(Party) // the median lies, so only the public part would verify
	if v, err := Verify(encode(t, b), h.trust()); err != nil || len(v.Contradictions) != 0 {
		t.Errorf("%d contradictions, %v", len(v.Contradictions), err)
	}
	private := must(l.entries[2].Open())(t)
	next := NextStamp{Command: string(private.JWS), Token: private.Tokens[0]}
	_, err := NewContradiction(h.policy, [][]byte{h.rootDER}, "clock-1", l.entries[1], l.leaves, next)
	if auction.CodeOf(err) != auction.CodeBadCertificate {
		t.Errorf("a contradiction of simulated time: %v", err)
	}
}

func TestContradictionRefused(t *testing.T) {
	good, l := contradicted(t)
	entry := func(seq uint64) (auction.Entry, auction.Private) {
		return l.entries[seq-1], must(l.entries[seq-1].Open())(t)
	}
	_, first := entry(2)
	last, honest := entry(4)
	for name, row := range map[string]struct {
		change func(*Contradiction)
		code   auction.Code
	}{
		"another version":     {func(c *Contradiction) { c.V = 2 }, auction.CodeBadVersion},
		"another kind":        {func(c *Contradiction) { c.Kind = Audit }, auction.CodeBadRequest},
		"no roots":            {func(c *Contradiction) { c.Roots = nil }, auction.CodeBadRequest},
		"no certificates":     {func(c *Contradiction) { c.Certificates = nil }, auction.CodeBadCertificate},
		"another house":       {func(c *Contradiction) { c.House = "elsewhere" }, auction.CodeBadCertificate},
		"another authority":   {func(c *Contradiction) { c.Authority = "clock-2" }, auction.CodeBadCertificate},
		"another's stamp":     {func(c *Contradiction) { c.Next.Token = honest.Tokens[1] }, auction.CodeBadStamp},
		"a stamp of the time": {func(c *Contradiction) { c.Next.Command, c.Next.Token = string(honest.JWS), honest.Tokens[0] }, auction.CodeBadRequest},
		"an entry after it": {func(c *Contradiction) {
			c.First.Seq, c.First.Event, c.First.Salt, c.First.Private = 4, string(last.Event), last.Salt, last.Private
		}, auction.CodeBadRequest},
		"another place":        {func(c *Contradiction) { c.First.Seq = 1 }, auction.CodeBadRequest},
		"a place past the end": {func(c *Contradiction) { c.First.Seq = 1 << 60 }, auction.CodeBadRequest},
		"no proof":             {func(c *Contradiction) { c.First.Path = nil }, auction.CodeBadRequest},
		"no salt":              {func(c *Contradiction) { c.First.Salt = nil }, auction.CodeBadRequest},
		"no private part":      {func(c *Contradiction) { c.First.Private = nil }, auction.CodeBadRequest},
		"neither of both":      {func(c *Contradiction) { c.Next.Command = "" }, auction.CodeBadRequest},
		"both":                 {func(c *Contradiction) { c.Next.Head = &auction.Head{Size: 2} }, auction.CodeBadRequest},
		"not a command":        {func(c *Contradiction) { c.Next.Command = "x" }, auction.CodeBadRequest},
		"the first once more":  {func(c *Contradiction) { c.Next.Command, c.Next.Token = string(first.JWS), first.Tokens[0] }, auction.CodeBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			c := *good
			row.change(&c)
			_, err := VerifyContradiction(c.Encode(), nil)
			if auction.CodeOf(err) != row.code {
				t.Errorf("got %v, want %s", err, row.code)
			}
		})
	}
	for name, trust := range map[string]*Trust{
		"another house": {House: "elsewhere", Roots: l.policy.Roots},
		"another root":  {House: testHouse, Roots: []auction.Hash{{1}}},
	} {
		if _, err := VerifyContradiction(good.Encode(), trust); auction.CodeOf(err) != auction.CodeUnknownPolicy {
			t.Errorf("trusting %s: %v", name, err)
		}
	}
	if _, err := VerifyContradiction(slices.Repeat(good.Encode(), 2), nil); auction.CodeOf(err) != auction.CodeBadRequest {
		t.Errorf("twice: %v", err)
	}
}

// Every byte of a proof counts, although it shows commands whose signatures
// nobody checks: the stamps are over them.
func TestEveryByteOfAContradictionCounts(t *testing.T) {
	c, l := contradicted(t)
	good, trust := c.Encode(), l.trust()
	for i := 0; i < len(good); i += 11 { // some of all parts: each takes signatures
		data := bytes.Clone(good)
		data[i] = []byte{good[i] ^ 1, good[i] ^ 0x20, 0xff}[i%3]
		if _, err := VerifyContradiction(data, trust); err == nil || auction.CodeOf(err) == auction.CodeInternal {
			t.Errorf("byte %d changed from %q to %q: %v", i, good[i], data[i], err)
		}
	}
}

func FuzzVerifyContradiction(f *testing.F) {
	c, l := contradicted(f)
	f.Add(c.Encode())
	f.Add([]byte(`{"v":1,"kind":"contradiction"}` + "\n"))
	trust := l.trust()
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := VerifyContradiction(data, trust)
		if err == nil && !bytes.Equal(data, c.Encode()) {
			t.Errorf("another proof than the one that there is: %q", data)
		}
		if auction.CodeOf(err) == auction.CodeInternal {
			t.Errorf("not a refusal: %v", err)
		}
	})
}
