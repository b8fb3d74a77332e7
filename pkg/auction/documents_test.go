package auction_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

func validTerms() auction.Terms {
	return auction.Terms{
		V: 1, Title: "Clock", Description: "brass, \"1880\"\n<works> \\ ✓", Currency: "EUR", Minimum: 1000,
		Increment: 50, Closes: 1_893_456_000_000_123, TieWindow: 1_000_000, Disclose: []string{"username"},
	}
}

// softly changes a soft close that is valid.
func softly(change func(*auction.SoftClose)) func(*auction.Terms) {
	return func(t *auction.Terms) {
		t.Soft = &auction.SoftClose{Window: 60_000_000, Extension: 60_000_000, Latest: t.Closes + 1}
		change(t.Soft)
	}
}

func TestTerms(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*auction.Terms)
		want   auction.Code
	}{
		"valid":                   {func(*auction.Terms) {}, ""},
		"least":                   {func(t *auction.Terms) { t.Description, t.TieWindow, t.Disclose = "", 0, []string{} }, ""},
		"most":                    {func(t *auction.Terms) { t.Minimum, t.TieWindow, t.Closes = auction.MaxAmount, 10_000_000, 1<<53-1 }, ""},
		"version":                 {func(t *auction.Terms) { t.V = 2 }, auction.CodeBadVersion},
		"no title":                {func(t *auction.Terms) { t.Title = "" }, auction.CodeBadTerms},
		"long title":              {func(t *auction.Terms) { t.Title = strings.Repeat("x", 121) }, auction.CodeBadTerms},
		"line break in title":     {func(t *auction.Terms) { t.Title = "a\nb" }, auction.CodeBadTerms},
		"right-to-left override":  {func(t *auction.Terms) { t.Title = "a\u202eb" }, auction.CodeBadTerms},
		"escape in description":   {func(t *auction.Terms) { t.Description = "\x1b[31m" }, auction.CodeBadTerms},
		"line separator":          {func(t *auction.Terms) { t.Description = "a\u2028b" }, auction.CodeBadTerms},
		"long description":        {func(t *auction.Terms) { t.Description = strings.Repeat("x", 4001) }, auction.CodeBadTerms},
		"currency":                {func(t *auction.Terms) { t.Currency = "XXX" }, auction.CodeWrongCurrency},
		"no minimum":              {func(t *auction.Terms) { t.Minimum = 0 }, auction.CodeBadAmount},
		"big minimum":             {func(t *auction.Terms) { t.Minimum = auction.MaxAmount + 1 }, auction.CodeBadAmount},
		"no increment":            {func(t *auction.Terms) { t.Increment = 0 }, auction.CodeBadAmount},
		"negative increment":      {func(t *auction.Terms) { t.Increment = -1 }, auction.CodeBadAmount},
		"no end":                  {func(t *auction.Terms) { t.Closes = 0 }, auction.CodeBadTerms},
		"far end":                 {func(t *auction.Terms) { t.Closes = 1 << 53 }, auction.CodeBadTerms},
		"negative tie window":     {func(t *auction.Terms) { t.TieWindow = -1 }, auction.CodeBadTerms},
		"long tie window":         {func(t *auction.Terms) { t.TieWindow = 10_000_001 }, auction.CodeBadTerms},
		"null claims":             {func(t *auction.Terms) { t.Disclose = nil }, auction.CodeBadTerms},
		"a claim twice":           {func(t *auction.Terms) { t.Disclose = []string{"a", "a"} }, auction.CodeBadTerms},
		"a claim that is no name": {func(t *auction.Terms) { t.Disclose = []string{"Full Name"} }, auction.CodeBadTerms},
		"soft close":              {softly(func(*auction.SoftClose) {}), ""},
		"short window":            {softly(func(s *auction.SoftClose) { s.Window = 59_999_999 }), auction.CodeBadTerms},
		"long window":             {softly(func(s *auction.SoftClose) { s.Window = 3_600_000_001 }), auction.CodeBadTerms},
		"short extension":         {softly(func(s *auction.SoftClose) { s.Extension = 59_999_999 }), auction.CodeBadTerms},
		"long extension":          {softly(func(s *auction.SoftClose) { s.Extension = 86_400_000_001 }), auction.CodeBadTerms},
		"latest not after end":    {softly(func(s *auction.SoftClose) { s.Latest = validTerms().Closes }), auction.CodeBadTerms},
		"latest too late":         {softly(func(s *auction.SoftClose) { s.Latest = validTerms().Closes.Add(auction.MaxOpen) + 1 }), auction.CodeBadTerms},
		"many claims":             {func(t *auction.Terms) { t.Disclose = make([]string, 17) }, auction.CodeBadTerms},
	} {
		terms := validTerms()
		test.change(&terms)
		doc, err := terms.Encode()
		if auction.CodeOf(err) != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if err != nil {
			continue
		}
		again, err := auction.ParseTerms(doc)
		if back, _ := again.Encode(); err != nil || !bytes.Equal(back, doc) {
			t.Errorf("%s: reads back as %+v, %v", name, again, err)
		}
	}
}

func validPolicy() auction.Policy {
	p := auction.DefaultPolicy("demo")
	p.Roots, p.LogKey = []auction.Hash{{1}}, "demo+1+x"
	p.Authorities = []auction.Authority{
		{Name: "one", Policy: "1.2.3", Certificates: []auction.Blob{{1}}},
		{Name: "two", Policy: "1.2.3", Certificates: []auction.Blob{{2}, {3}}},
	}
	return p
}

// outages changes what a policy says of them.
func outages(after, extension time.Duration) func(*auction.Policy) {
	return func(p *auction.Policy) {
		p.OutageAfter, p.OutageExtension = after.Microseconds(), extension.Microseconds()
	}
}

func TestPolicy(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*auction.Policy)
		want   auction.Code
	}{
		"valid":                  {func(*auction.Policy) {}, ""},
		"simulated":              {func(p *auction.Policy) { p.Simulated = true }, ""},
		"version":                {func(p *auction.Policy) { p.V = 0 }, auction.CodeBadVersion},
		"house":                  {func(p *auction.Policy) { p.House = "Demo" }, auction.CodeUnknownPolicy},
		"no roots":               {func(p *auction.Policy) { p.Roots = nil }, auction.CodeUnknownPolicy},
		"many roots":             {func(p *auction.Policy) { p.Roots = make([]auction.Hash, 5) }, auction.CodeUnknownPolicy},
		"no log key":             {func(p *auction.Policy) { p.LogKey = "" }, auction.CodeUnknownPolicy},
		"no authorities":         {func(p *auction.Policy) { p.Authorities = nil }, auction.CodeUnknownPolicy},
		"an authority twice":     {func(p *auction.Policy) { p.Authorities[1].Name = "one" }, auction.CodeUnknownPolicy},
		"no certificate":         {func(p *auction.Policy) { p.Authorities[0].Certificates = nil }, auction.CodeUnknownPolicy},
		"even quorum":            {func(p *auction.Policy) { p.Quorum = 2 }, auction.CodeUnknownPolicy},
		"quorum beyond":          {func(p *auction.Policy) { p.Quorum = 3 }, auction.CodeUnknownPolicy},
		"no quorum":              {func(p *auction.Policy) { p.Quorum = 0 }, auction.CodeUnknownPolicy},
		"no freshness":           {func(p *auction.Policy) { p.Freshness = 0 }, auction.CodeUnknownPolicy},
		"negative skew":          {func(p *auction.Policy) { p.Skew = -1 }, auction.CodeUnknownPolicy},
		"grace below freshness":  {func(p *auction.Policy) { p.Grace = p.Freshness - 1 }, auction.CodeUnknownPolicy},
		"long grace":             {func(p *auction.Policy) { p.Grace = 600_000_001 }, auction.CodeUnknownPolicy},
		"nothing is recorded":    {func(p *auction.Policy) { p.MaxRecorded = 0 }, auction.CodeUnknownPolicy},
		"everything is recorded": {func(p *auction.Policy) { p.MaxRecorded = 101 }, auction.CodeUnknownPolicy},
		"hybrid disclosures":     {func(p *auction.Policy) { p.DisclosureKEM = "mlkem768p256" }, ""},
		"unknown disclosures":    {func(p *auction.Policy) { p.DisclosureKEM = "p256" }, auction.CodeUnknownPolicy},
		"a minute to disclose":   {func(p *auction.Policy) { p.DisclosureWithin = 60_000_000 }, ""},
		"less to disclose":       {func(p *auction.Policy) { p.DisclosureWithin = 59_999_999 }, auction.CodeUnknownPolicy},
		"90 days to disclose":    {func(p *auction.Policy) { p.DisclosureWithin = 90 * 86_400_000_000 }, ""},
		"more to disclose":       {func(p *auction.Policy) { p.DisclosureWithin = 90*86_400_000_000 + 1 }, auction.CodeUnknownPolicy},
		"no outage counts":       {outages(0, 0), ""},
		"short outages":          {outages(20*time.Second, time.Minute), ""},
		"shorter outages":        {outages(20*time.Second-1000, time.Minute), auction.CodeUnknownPolicy},
		"long outages":           {outages(time.Hour, 24*time.Hour), ""},
		"longer outages":         {outages(time.Hour+1000, 24*time.Hour), auction.CodeUnknownPolicy},
		"less time after them":   {outages(time.Hour, time.Minute-1000), auction.CodeUnknownPolicy},
		"more time after them":   {outages(time.Hour, 24*time.Hour+1000), auction.CodeUnknownPolicy},
		"no time after them":     {outages(time.Minute, 0), auction.CodeUnknownPolicy},
		"time after nothing":     {outages(0, time.Minute), auction.CodeUnknownPolicy},
	} {
		p := validPolicy()
		test.change(&p)
		doc, err := p.Encode()
		if auction.CodeOf(err) != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if err != nil {
			continue
		}
		again, err := auction.ParsePolicy(doc)
		if back, _ := again.Encode(); err != nil || !bytes.Equal(back, doc) {
			t.Errorf("%s: reads back as %+v, %v", name, again, err)
		}
	}
	if _, err := auction.ParsePolicy(make([]byte, auction.MaxPolicy+1)); auction.CodeOf(err) != auction.CodeTooLarge {
		t.Errorf("a policy that is too large: %v", err)
	}
}

// One meaning has one encoding: every other spelling of valid terms is refused.
func TestOtherEncodingsAreRefused(t *testing.T) {
	doc, err := validTerms().Encode()
	if err != nil {
		t.Fatal(err)
	}
	s := string(doc)
	for name, other := range map[string]string{
		"white space":      strings.Replace(s, ":", ": ", 1),
		"line at the end":  s + "\n",
		"two documents":    s + s,
		"unknown member":   strings.Replace(s, `"v":1`, `"v":1,"x":1`, 1),
		"member twice":     strings.Replace(s, `"v":1`, `"v":1,"v":1`, 1),
		"other case":       strings.Replace(s, `"title"`, `"Title"`, 1),
		"member missing":   strings.Replace(s, `"increment":50,`, "", 1),
		"other order":      strings.Replace(s, `"v":1,"policy":"`+strings.Repeat("0", 64)+`"`, `"policy":"`+strings.Repeat("0", 64)+`","v":1`, 1),
		"escape":           strings.Replace(s, "Clock", `\u0043lock`, 1),
		"escaped angle":    strings.Replace(s, "<works>", `\u003cworks>`, 1),
		"fraction":         strings.Replace(s, `"minimum":1000`, `"minimum":1000.0`, 1),
		"exponent":         strings.Replace(s, `"minimum":1000`, `"minimum":1e3`, 1),
		"leading zero":     strings.Replace(s, `"minimum":1000`, `"minimum":01000`, 1),
		"negative zero":    strings.Replace(s, `"tie_window":1000000`, `"tie_window":-0`, 1),
		"number as text":   strings.Replace(s, `"minimum":1000`, `"minimum":"1000"`, 1),
		"upper-case hash":  strings.Replace(s, strings.Repeat("0", 64), strings.Repeat("A", 64), 1),
		"short hash":       strings.Replace(s, strings.Repeat("0", 64), strings.Repeat("0", 63), 1),
		"invalid UTF-8":    strings.Replace(s, "Clock", "Cl\xffck", 1),
		"null":             "null",
		"nothing":          "",
		"list":             "[" + s + "]",
		"comma at the end": strings.Replace(s, "]}", "],}", 1),
	} {
		if other == s {
			t.Errorf("%s: is the same", name)
		}
		if _, err := auction.ParseTerms([]byte(other)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBlob(t *testing.T) {
	for text, want := range map[string]string{"": "", "AA": "\x00", "_-8": "\xff\xef", "AAAA": "\x00\x00\x00"} {
		var b auction.Blob
		if err := b.UnmarshalText([]byte(text)); err != nil || string(b) != want {
			t.Errorf("%q: %q, %v", text, b, err)
		}
	}
	for _, text := range []string{"AA==", "AB", "A", "/+8", "AA\n", "\rAA", "AAA A", "AAé"} {
		var b auction.Blob
		if err := b.UnmarshalText([]byte(text)); auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("%q: %q, %v", text, b, err)
		}
	}
}

func TestIDs(t *testing.T) {
	const valid = "0f3a9c12-5b7d-4e21-9abc-0123456789ab"
	if _, err := auction.ParseID(valid); err != nil {
		t.Error(err)
	}
	for _, s := range []string{
		"", strings.ToUpper(valid), valid + "0", valid[:35], "{" + valid[1:35] + "}",
		"0f3a9c12-5b7d-1e21-9abc-0123456789ab", "0f3a9c12-5b7d-4e21-7abc-0123456789ab",
		"0f3a9c1205b7d-4e21-9abc-0123456789ab", "0f3a9c12-5b7d-4e21-9abc-0123456789aG",
	} {
		if _, err := auction.ParsePseudonym(s); auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("pseudonym %q: %v", s, err)
		}
		if _, err := auction.ParseID(s); auction.CodeOf(err) != auction.CodeBadRequest {
			t.Errorf("id %q: %v", s, err)
		}
	}
}

func FuzzParseTerms(f *testing.F) {
	doc, err := validTerms().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if terms, err := auction.ParseTerms(data); err == nil {
			if back, err := terms.Encode(); err != nil || !bytes.Equal(back, data) {
				t.Errorf("accepted %q, which encodes as %q, %v", data, back, err)
			}
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	doc, err := validPolicy().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(doc)
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := auction.ParsePolicy(data); err == nil {
			if back, err := p.Encode(); err != nil || !bytes.Equal(back, data) {
				t.Errorf("accepted %q, which encodes as %q, %v", data, back, err)
			}
		}
	})
}
