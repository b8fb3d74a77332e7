package evidence

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sigilo/sigilo/pkg/auction"
)

// story is an auction with all that can happen in one: bids, a tie that the
// later arrival wins by its earlier stamp, and bids that arrive after the end.
type story struct {
	*log
	seller, ann, bob person
	winner           auction.Pseudonym
}

func newStory(t testing.TB, o houseOptions) *story {
	t.Helper()
	h := newHouse(t, o)
	s := &story{log: newLog(h), seller: h.person(), ann: h.person(), bob: h.person()}
	s.list(s.seller, testTerms(h))
	head := s.head()
	s.bidAt(s.ann, 1000, head, start+2*second, start+2*second+second/10, false)
	s.bid(s.ann, 1500, start+9*second+second/2, start+10*second)
	// Bob's stamp is earlier, and arrives later.
	s.bidAt(s.bob, 1500, s.headAt(2), start+9*second+second/4, start+10*second+second/2, false)
	s.winner = s.bidAt(s.bob, 1700, s.headAt(4), start+59*second, start+61*second, true)
	s.bidAt(s.ann, 1750, s.headAt(4), start+59*second+second/2, start+62*second, true)
	s.close(start+66*second, nil)
	return s
}

func encode(t testing.TB, b *Bundle) []byte {
	t.Helper()
	return must(b.Encode())(t)
}

func TestVerifyEveryKind(t *testing.T) {
	for name, o := range map[string]houseOptions{
		"one authority":     {},
		"three of four":     {authorities: 4, quorum: 3},
		"on simulated time": {simulated: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t, o)
			party := s.bundle(Party, 1, 4, 5)
			party.Receipts = s.receipts(1, 4, 5)
			for _, b := range []*Bundle{s.bundle(Public), party, s.bundle(Audit)} {
				data := encode(t, b)
				v, err := Verify(data, s.trust())
				if err != nil {
					t.Fatalf("%s: %v", b.Kind, err)
				}
				if !v.Anchored || v.Kind != b.Kind || v.Outcome != auction.Sold || v.Winner != s.winner || v.Amount != 1700 ||
					v.Bids != 3 || v.Recorded != 2 || v.Head != s.head() || v.Simulated != o.simulated || v.Receipts != len(b.Receipts) {
					t.Errorf("%s: %+v", b.Kind, v)
				}
				first := v.Lines()[0]
				if !strings.HasPrefix(first, "anchored: house demo") || strings.Contains(first, "SIMULATED") != o.simulated {
					t.Errorf("%s: first line %q", b.Kind, first)
				}
				v, err = Verify(data, nil)
				if err != nil || v.Anchored {
					t.Fatalf("%s, without trust: %v", b.Kind, err)
				}
				want := "consistent, not anchored: root sha256 " + s.policy.Roots[0].String()
				if first, _, _ := strings.Cut(v.String(), "\n"); !strings.HasPrefix(first, want) {
					t.Errorf("%s, without trust: first line %q", b.Kind, first)
				}
			}
		})
	}
}

func TestVerifyOpenAndUnsold(t *testing.T) {
	h := newHouse(t, houseOptions{})
	l := newLog(h)
	l.list(h.person(), testTerms(h))
	for _, kind := range []Kind{Public, Audit} {
		v, err := Verify(encode(t, l.bundle(kind)), h.trust())
		if err != nil || v.Outcome != "" || !strings.Contains(v.String(), "still open") {
			t.Errorf("%s of an open auction: %+v, %v", kind, v, err)
		}
	}
	l.record(h.person(), 999, start+59*second, start+61*second)
	l.close(start+66*second, nil)
	for _, kind := range []Kind{Public, Audit} {
		v, err := Verify(encode(t, l.bundle(kind)), h.trust())
		if err != nil || v.Outcome != auction.Unsold || !strings.Contains(v.String(), "not sold") {
			t.Errorf("%s of an unsold auction: %+v, %v", kind, v, err)
		}
	}
}

// What the verdict says that the evidence does not prove depends on its kind.
func TestVerdictIsHonest(t *testing.T) {
	s := newStory(t, houseOptions{simulated: true})
	text := func(b *Bundle, trust *Trust) (proves, open string) {
		v, err := Verify(encode(t, b), trust)
		if err != nil {
			t.Fatal(err)
		}
		proves, open, _ = strings.Cut(v.String(), "It does not prove:")
		return proves, open
	}
	proves, open := text(s.bundle(Public), nil)
	for _, want := range []string{"That a participant stands behind each bid", "the one that you mean", "the clock was simulated", "told each other the truth", "first among equal bids"} {
		if !strings.Contains(open, want) {
			t.Errorf("a public verdict does not leave open: %s", want)
		}
	}
	if strings.Contains(proves, "participant") || strings.Contains(proves, "the rules give") {
		t.Errorf("a public verdict claims too much:\n%s", proves)
	}
	proves, open = text(s.bundle(Audit), s.trust())
	for _, want := range []string{"behind each bid", "The rules accept each bid", "the rules give"} {
		if !strings.Contains(proves, want) {
			t.Errorf("an audit's verdict does not say: %s", want)
		}
	}
	if strings.Contains(open, "participant stands") || strings.Contains(open, "the one that you mean") {
		t.Errorf("an audit's verdict leaves too much open:\n%s", open)
	}
	if proves, _ = text(s.bundle(Party, 1), s.trust()); !strings.Contains(proves, "1 of the 7 entries show their private part") {
		t.Errorf("a party's verdict:\n%s", proves)
	}
}

// TestVerdictOfSuspension holds that a verdict tells what the house states itself of
// what it lost, and of how long: what of that is hidden, to whom.
func TestVerdictOfSuspension(t *testing.T) {
	l := newLog(newHouse(t, houseOptions{}))
	l.list(l.person(), testTerms(l.house))
	lost := auction.Lost{Seq: 99, Leaf: auction.Hash{1}}
	own := []string{"the house names as lost was ever there", "no time authority stamped them"}
	const hidden = "That all time of each suspension came back"
	for _, suspended := range []bool{false, true} {
		if suspended {
			l.notice(l.signer, at(10), auction.Event{Kind: auction.AuctionSuspended, Lost: &lost})
			l.notice(l.signer, at(30), auction.Event{Kind: auction.AuctionResumed, Ends: at(80), Lost: &lost})
		}
		for _, kind := range []Kind{Public, Party, Audit} {
			v, err := Verify(encode(t, l.bundle(kind)), l.trust())
			if err != nil {
				t.Fatal(err)
			}
			open := strings.Join(v.LeavesOpen(), "\n")
			for _, want := range own {
				if strings.Contains(open, want) != suspended {
					t.Errorf("%s, suspended %v: %q in\n%s", kind, suspended, want, open)
				}
			}
			if strings.Contains(open, hidden) != (suspended && kind != Audit) {
				t.Errorf("%s, suspended %v: %q in\n%s", kind, suspended, hidden, open)
			}
		}
	}
}

// TestVerdictOfOutage holds that a verdict tells how often an outage moved the end,
// and that this is the house's word.
func TestVerdictOfOutage(t *testing.T) {
	l := newLog(newHouse(t, houseOptions{outages: true}))
	l.list(l.person(), testTerms(l.house))
	for n := range 3 {
		if n > 0 {
			l.notice(l.signer, at(40*float64(n)), auction.Event{
				Kind: auction.AuctionExtended, Ends: at(40*float64(n) + 60), Cause: auction.CauseOutage,
				Outage: &auction.Outage{From: at(40*float64(n) - 30), To: at(40 * float64(n))},
			})
		}
		for _, kind := range []Kind{Public, Party, Audit} {
			v, err := Verify(encode(t, l.bundle(kind)), l.trust())
			if err != nil || v.Outages != n || v.Orders != 0 {
				t.Fatalf("%s: %d outages, %d orders, %v", kind, v.Outages, v.Orders, err)
			}
			says := strings.Contains(strings.Join(v.Proves(), "\n"), fmt.Sprintf("%d times that it was out of order", n))
			open := strings.Contains(strings.Join(v.LeavesOpen(), "\n"), "was out of order when it says so")
			if says != (n > 0) || open != (n > 0) {
				t.Errorf("%s, %d outages:\n%s", kind, n, v)
			}
		}
	}
}

func TestTrust(t *testing.T) {
	s := newStory(t, houseOptions{})
	other := newHouse(t, houseOptions{})
	data := encode(t, s.bundle(Public))
	for name, trust := range map[string]*Trust{
		"nothing":         {},
		"another house":   {House: "other", Roots: s.policy.Roots, LogKeys: []string{s.policy.LogKey}},
		"another root":    {House: testHouse, Roots: other.policy.Roots, LogKeys: []string{s.policy.LogKey}},
		"another log key": {House: testHouse, Roots: s.policy.Roots, LogKeys: []string{other.policy.LogKey}},
	} {
		if _, err := Verify(data, trust); auction.CodeOf(err) != auction.CodeUnknownPolicy {
			t.Errorf("trusting %s: %v", name, err)
		}
	}
	more := s.trust()
	more.Roots = append(other.policy.Roots[:1:1], more.Roots...)
	more.LogKeys = append([]string{other.policy.LogKey}, more.LogKeys...)
	if _, err := Verify(data, more); err != nil {
		t.Errorf("trusting more than is needed: %v", err)
	}
}

func TestParseTrust(t *testing.T) {
	_, key := testLogKey(t, 1)
	root := strings.Repeat("ab", 32)
	good := "{\n  \"house\": \"demo\",\n  \"roots\": [\"" + root + "\"],\n  \"log_keys\": [\"" + key.String() + "\"]\n}\n"
	trust, err := ParseTrust([]byte(good))
	if err != nil || trust.House != testHouse || len(trust.Roots) != 1 || trust.LogKeys[0] != key.String() {
		t.Fatalf("%+v, %v", trust, err)
	}
	for name, text := range map[string]string{
		"empty":          "",
		"no members":     "{}",
		"no roots":       strings.Replace(good, `"`+root+`"`, "", 1),
		"no keys":        strings.Replace(good, `"`+key.String()+`"`, "", 1),
		"a bad root":     strings.Replace(good, root, root[2:], 1),
		"a bad key":      strings.Replace(good, key.String(), "demo", 1),
		"unknown member": strings.Replace(good, "house", "House", 1),
		"doubled member": strings.Replace(good, "{", `{"house":"demo",`, 1),
		"trailing":       good + "{}",
		"too many roots": strings.Replace(good, `"`+root+`"`, strings.Repeat(`"`+root+`",`, 4)+`"`+root+`"`, 1),
		"too long":       good + strings.Repeat(" ", maxTrust),
		"a bad house":    strings.Replace(good, "demo", "De mo", 1),
	} {
		if _, err := ParseTrust([]byte(text)); err == nil {
			t.Errorf("%s: parses", name)
		}
	}
}
