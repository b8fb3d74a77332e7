package tsp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sigilo/sigilo/pkg/auction"
)

// newTestAuthorities makes n of a house, with their verifiers.
func newTestAuthorities(t testing.TB, n int) ([]*testAuthority, []*Authority) {
	t.Helper()
	h := newTestHouse(t, 1)
	all := make([]*testAuthority, n)
	verifiers := make([]*Authority, n)
	for i := range n {
		all[i] = h.authority(t, fmt.Sprintf("t%d", i), byte(10+i), nil)
		verifiers[i] = all[i].verifier(t)
	}
	return all, verifiers
}

func TestNewQuorumRefuses(t *testing.T) {
	all, v := newTestAuthorities(t, 4)
	h := all[0].house
	sameKey := h.authority(t, "other", 10, nil).verifier(t)
	sameName := h.authority(t, "t0", 40, nil).verifier(t)
	for _, c := range []struct {
		name        string
		authorities []*Authority
		q           int
	}{
		{"none", nil, 1},
		{"zero", v, 0},
		{"negative", v, -1},
		{"even", v, 2},
		{"more than there are", v[:2], 3},
		{"more than a policy may name", slices.Repeat(v, 4), 3},
		{"one twice", []*Authority{v[0], v[1], v[0]}, 1},
		{"two names of one key", []*Authority{v[0], v[1], sameKey}, 1},
		{"two keys of one name", []*Authority{v[0], v[1], sameName}, 1},
	} {
		if _, err := NewQuorum(c.authorities, c.q); err == nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
}

func TestQuorumVerify(t *testing.T) {
	all, v := newTestAuthorities(t, 4)
	q, err := NewQuorum(v, 3)
	if err != nil {
		t.Fatal(err)
	}
	imprint := digestOf("bid")
	var s [][]byte
	for i, a := range all {
		s = append(s, a.stamp(t, imprint, start.Add(time.Duration(i)*time.Second)))
	}
	stranger := newTestHouse(t, 7).authority(t, "t0", 10, nil).stamp(t, imprint, start)
	unknown := all[0].house.authority(t, "t9", 30, nil).stamp(t, imprint, start)
	other := all[1].stamp(t, digestOf("other"), start)
	for _, c := range []struct {
		name   string
		tokens [][]byte
		want   auction.Code // none: accepted
	}{
		{"the first three", [][]byte{s[0], s[1], s[2]}, ""},
		{"without the second", [][]byte{s[0], s[2], s[3]}, ""},
		{"none", nil, auction.CodeWrongStamps},
		{"too few", [][]byte{s[0], s[1]}, auction.CodeWrongStamps},
		{"too many", s, auction.CodeWrongStamps},
		{"twice the same stamp", [][]byte{s[0], s[0], s[1]}, auction.CodeWrongStamps},
		{"twice one authority", [][]byte{s[0], all[0].stamp(t, imprint, start), s[1]}, auction.CodeWrongStamps},
		{"out of order", [][]byte{s[1], s[0], s[2]}, auction.CodeWrongStamps},
		{"of another house", [][]byte{stranger, s[1], s[2]}, auction.CodeBadStamp},
		{"of an authority that the policy does not name", [][]byte{s[0], s[1], unknown}, auction.CodeBadStamp},
		{"one over something else", [][]byte{s[0], other, s[2]}, auction.CodeBadStamp},
		{"one malformed", [][]byte{s[0], s[1], s[2][1:]}, auction.CodeBadStamp},
		{"one empty", [][]byte{s[0], nil, s[2]}, auction.CodeBadStamp},
		{"one too large", [][]byte{s[0], s[1], make([]byte, MaxToken+1)}, auction.CodeBadStamp},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, stamps, err := q.Verify(c.tokens, imprint)
			if c.want != "" {
				wantCode(t, err, c.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(stamps) != 3 || at != stamps[1].Time {
				t.Fatalf("got %d with %+v", at, stamps)
			}
		})
	}
}

// With n = 3f+1 and q = 2f+1, whatever f authorities say, and whichever q answer,
// the median is between the earliest and the latest of the honest ones.
func TestMedianWithLiars(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.IntRange(0, 4).Draw(t, "f")
		honest := rapid.SliceOfN(rapid.Int64Range(1e15, 1e15+1e6), f+1, 2*f+1).Draw(t, "honest")
		lies := rapid.SliceOfN(rapid.Int64Range(0, int64(maxTime)-1), 2*f+1-len(honest), 2*f+1-len(honest)).Draw(t, "lies")
		times := rapid.Permutation(append(slices.Clone(honest), lies...)).Draw(t, "times")
		stamps := make([]Stamp, len(times))
		for i, at := range times {
			stamps[i].Time = auction.Time(at)
		}
		if got := int64(median(stamps)); got < slices.Min(honest) || got > slices.Max(honest) {
			t.Fatalf("median %d of honest %v and lies %v", got, honest, lies)
		}
	})
}
