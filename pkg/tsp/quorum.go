package tsp

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sigilo/sigilo/pkg/auction"
)

// Quorum verifies the stamps of a command: q tokens of q distinct authorities
// out of n. It is immutable and safe for concurrent use.
//
// With n = 3f+1 and q = 2f+1, up to f authorities that lie cannot move the
// median out of the range of the honest ones, and up to f that are silent stop
// nobody.
type Quorum struct {
	authorities []*Authority // in the order of the house policy
	q           int
}

// NewQuorum takes the authorities in the order of the house policy. q is odd
// and at most their number. No two may share a name or a key: they would be one.
func NewQuorum(authorities []*Authority, q int) (*Quorum, error) {
	if q < 1 || q%2 == 0 || q > len(authorities) || len(authorities) > auction.MaxAuthorities {
		return nil, fmt.Errorf("quorum of time authorities: %d of %d is out of range", q, len(authorities))
	}
	for i, a := range authorities {
		for _, b := range authorities[:i] {
			if a.name == b.name || a.sharesKey(b) {
				return nil, errors.New("quorum of time authorities: two of them are the same")
			}
		}
	}
	return &Quorum{authorities: slices.Clone(authorities), q: q}, nil
}

func (a *Authority) sharesKey(b *Authority) bool {
	for _, s := range a.signers {
		if slices.ContainsFunc(b.signers, func(o *signer) bool { return o.key.Equal(s.key) }) {
			return true
		}
	}
	return false
}

// Verify checks the tokens over one SHA-256 digest and returns the median of
// their times, with the stamps in the order of the tokens. There must be
// exactly q, in the order of the policy's authorities, at most one of each:
// otherwise the refusal is [auction.CodeWrongStamps]. A token that does not
// verify is [auction.CodeBadStamp]. What is cheap is checked first, for all
// tokens, before any signature.
func (q *Quorum) Verify(tokens [][]byte, imprint [32]byte) (auction.Time, []Stamp, error) {
	if len(tokens) != q.q {
		return 0, nil, auction.Refuse(auction.CodeWrongStamps, "exactly %d time stamps are needed", q.q)
	}
	type claim struct {
		token     parsedToken
		authority *Authority
		signer    *signer
	}
	claims := make([]claim, len(tokens))
	next := 0 // the first authority that may come now
	for i, token := range tokens {
		parsed, err := parseToken(token)
		if err != nil {
			return 0, nil, err
		}
		index, signer := q.find(&parsed)
		if signer == nil {
			return 0, nil, badStamp("a time stamp is from none of the house's authorities")
		}
		if index < next {
			return 0, nil, auction.Refuse(auction.CodeWrongStamps,
				"time stamps stand in the order of the policy's authorities, one of each at most")
		}
		next = index + 1
		claims[i] = claim{parsed, q.authorities[index], signer}
	}
	stamps := make([]Stamp, len(claims))
	for i := range claims {
		c := &claims[i]
		stamp, err := c.authority.verify(&c.token, c.signer, imprint)
		if err != nil {
			return 0, nil, err
		}
		stamps[i] = stamp
	}
	return median(stamps), stamps, nil
}

// Read returns what tokens say, without a look at their signatures, in their
// order: for whoever has verified them before, or verifies what comes of it. It
// leaves out those that are of none of the authorities.
func (q *Quorum) Read(tokens [][]byte) []Stamp {
	stamps := make([]Stamp, 0, len(tokens))
	for _, token := range tokens {
		t, err := parseToken(token)
		if err != nil {
			continue
		}
		if i, s := q.find(&t); s != nil {
			stamps = append(stamps, stampOf(q.authorities[i].name, &t))
		}
	}
	return stamps
}

func (q *Quorum) find(t *parsedToken) (int, *signer) {
	for i, a := range q.authorities {
		if s := a.signer(t); s != nil {
			return i, s
		}
	}
	return 0, nil
}

// median of an odd number of stamps.
func median(stamps []Stamp) auction.Time {
	times := make([]auction.Time, len(stamps))
	for i, s := range stamps {
		times[i] = s.Time
	}
	slices.Sort(times)
	return times[len(times)/2]
}
