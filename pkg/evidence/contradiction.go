package evidence

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/tsp"
	"github.com/sigilo/sigilo/pkg/wire"
)

// MaxContradiction bounds an encoded contradiction in bytes.
const MaxContradiction = 256 << 10

// A Contradiction is two time stamps of one authority that cannot both be right.
// The first is in an entry of a log; the second is over something that names a
// head of that log with the entry in it, and so was made later, but says that it
// was made earlier. [VerifyContradiction] judges what Encode writes.
//
// It needs no trust in the house: the order follows from hashes alone, whoever
// made them up. It does show the commands that were stamped, and with them the
// permanent identifiers of who signed them and, of a listing, its hidden reserve
// price.
type Contradiction struct {
	V            int            `json:"v"`    // 1
	Kind         Kind           `json:"kind"` // Contradicted
	House        string         `json:"house"`
	Authority    string         `json:"authority"`
	Roots        []auction.Blob `json:"roots"`        // root certificates (DER) that a policy pins
	Certificates []auction.Blob `json:"certificates"` // of the authority, 1 to 4 (DER)
	First        FirstStamp     `json:"first"`
	Next         NextStamp      `json:"next"`
}

// Contradicted is the kind of a file that holds a [Contradiction].
const Contradicted Kind = "contradiction"

// FirstStamp is an entry whose private part has a stamp of the authority, and its
// inclusion proof in the head that the next stamp is bound to.
type FirstStamp struct {
	Seq     uint64         `json:"seq"`
	Event   string         `json:"event"`
	Salt    auction.Blob   `json:"salt"`
	Private auction.Blob   `json:"private"`
	Path    []auction.Hash `json:"path"`
}

// NextStamp is a token with what it is over: a list, bid or withdraw command, which
// names a head, or the head that a close record of an auction is over.
type NextStamp struct {
	Command string        `json:"command,omitempty"` // JWS
	Auction auction.ID    `json:"auction,omitempty"` // without a command
	Head    *auction.Head `json:"head,omitempty"`    // without a command
	Token   auction.Blob  `json:"token"`
}

// NewContradiction proves what a [Crosscheck] suspects. first is the entry of the
// suspect, with its private part; leaves are those of the log, at least up to the
// head that next names. It fails, with a refusal in its chain, if there is no
// contradiction after all: whatever it returns verifies.
func NewContradiction(p auction.Policy, roots [][]byte, authority string, first auction.Entry, leaves []auction.Hash, next NextStamp) (*Contradiction, error) {
	head, err := next.Names(p.House)
	if err != nil {
		return nil, err
	}
	path, err := ProveInclusion(leaves, first.Seq, head.Size)
	if err != nil {
		return nil, malformed("the head does not cover the entry")
	}
	c := &Contradiction{
		V: 1, Kind: Contradicted, House: p.House, Authority: authority, Next: next,
		First: FirstStamp{Seq: first.Seq, Event: string(first.Event), Salt: first.Salt, Private: first.Private, Path: path},
	}
	for _, root := range roots {
		if slices.Contains(p.Roots, sha256.Sum256(root)) {
			c.Roots = append(c.Roots, root)
		}
	}
	for _, a := range p.Authorities {
		if a.Name == authority {
			c.Certificates = a.Certificates
		}
	}
	if _, err := c.judge(); err != nil {
		return nil, err
	}
	return c, nil
}

// Encode returns the one encoding: a line of canonical JSON.
func (c *Contradiction) Encode() []byte { return encodeLine(c) }

// IsContradiction reports whether data begins as a contradiction does, and not as
// a bundle.
func IsContradiction(data []byte) bool {
	return bytes.HasPrefix(data, []byte(`{"v":1,"kind":"`+string(Contradicted)+`"`))
}

// VerifyContradiction checks a contradiction with nothing but its bytes and what
// the verifier trusts; see [Verify] for the absence of trust. Log keys do not
// matter. The error is why it proves nothing, with an auction.Refusal in its chain.
func VerifyContradiction(data []byte, trust *Trust) (ContradictionVerdict, error) {
	if len(data) > MaxContradiction {
		return ContradictionVerdict{}, auction.Refuse(auction.CodeTooLarge, "a contradiction has at most %d bytes", MaxContradiction)
	}
	var c Contradiction
	lines := lineReader{rest: data}
	if err := lines.next(&c); err != nil {
		return ContradictionVerdict{}, err
	}
	switch {
	case len(lines.rest) != 0:
		return ContradictionVerdict{}, malformed("the contradiction goes on after its end")
	case c.V != 1:
		return ContradictionVerdict{}, auction.Refuse(auction.CodeBadVersion, "a contradiction has version 1")
	case c.Kind != Contradicted:
		return ContradictionVerdict{}, malformed("this is no contradiction")
	}
	v, err := c.judge()
	if err != nil || trust == nil {
		return v, err
	}
	if err := trust.house(c.House, v.Roots); err != nil {
		return ContradictionVerdict{}, err
	}
	v.Anchored = true
	return v, nil
}

// judge checks everything but whether the roots are to be trusted.
func (c *Contradiction) judge() (ContradictionVerdict, error) {
	authority, err := c.authority()
	if err != nil {
		return ContradictionVerdict{}, err
	}
	head, digest, err := c.Next.bound(c.House)
	if err != nil {
		return ContradictionVerdict{}, err
	}
	private, err := c.first(head)
	if err != nil {
		return ContradictionVerdict{}, err
	}
	v := ContradictionVerdict{House: c.House, Authority: c.Authority}
	if v.Next, err = authority.Verify(c.Next.Token, digest); err != nil {
		return ContradictionVerdict{}, fmt.Errorf("the later stamp: %w", err)
	}
	err = auction.Refuse(auction.CodeBadStamp, "the entry has no stamp of this authority")
	for _, token := range private.Tokens {
		if v.First, err = authority.Verify(token, sha256.Sum256(private.JWS)); err == nil {
			break
		}
	}
	switch {
	case err != nil:
		return ContradictionVerdict{}, fmt.Errorf("the earlier stamp: %w", err)
	case !contradict(v.First.Earliest(), v.Next.Latest()):
		return ContradictionVerdict{}, malformed("the two stamps agree, as exact as they claim to be")
	}
	for _, root := range c.Roots {
		v.Roots = append(v.Roots, sha256.Sum256(root))
	}
	return v, nil
}

// authority makes the verifier of real time: simulated time may be reset, and
// contradicts nothing.
func (c *Contradiction) authority() (*tsp.Authority, error) {
	if !auction.IsName(c.House) || !auction.IsName(c.Authority) || len(c.Roots) == 0 || len(c.Roots) > auction.MaxRoots {
		return nil, malformed("a contradiction names a house, an authority, and 1 to %d roots", auction.MaxRoots)
	}
	return tsp.NewAuthority(tsp.AuthorityConfig{
		House: c.House, Name: c.Authority, Policy: tsp.RealTime,
		Certificates: bytesOf(c.Certificates), Roots: bytesOf(c.Roots),
	})
}

// first opens the entry, and checks that the log of head has it.
func (c *Contradiction) first(head auction.Head) (auction.Private, error) {
	e := auction.Entry{
		Seq: c.First.Seq, Event: []byte(c.First.Event), Salt: c.First.Salt, Private: c.First.Private,
		Commitment: auction.Commit(c.First.Salt, c.First.Private),
	}
	if _, err := auction.ParseEvent(e.Event); err != nil {
		return auction.Private{}, err
	}
	private, err := e.Open()
	if err != nil {
		return auction.Private{}, err
	}
	if c.First.Path == nil {
		return auction.Private{}, malformed("there is no inclusion proof")
	}
	return private, CheckInclusion(e.Leaf(), e.Seq, head, c.First.Path)
}

// Names returns the head of a log that what is stamped names. It refuses what is
// not stamped in the house.
func (n NextStamp) Names(house string) (auction.Head, error) {
	head, _, err := n.bound(house)
	return head, err
}

// bound returns the head that is named, and the digest that the token is over. A
// command's signature does not matter: whoever wrote the head had it.
func (n NextStamp) bound(house string) (auction.Head, auction.Hash, error) {
	if n.Command == "" {
		if _, err := auction.ParseID(string(n.Auction)); err != nil || n.Head == nil {
			return auction.Head{}, auction.Hash{}, malformed("the later stamp is over a command, or over the head of an auction")
		}
		return *n.Head, auction.CloseDigest(n.Auction, *n.Head), nil
	}
	if n.Auction != "" || n.Head != nil {
		return auction.Head{}, auction.Hash{}, malformed("the later stamp is over a command or over a head, not both")
	}
	cmd, err := wire.ParseCommand([]byte(n.Command))
	if err != nil {
		return auction.Head{}, auction.Hash{}, err
	}
	if cmd.House != house || !cmd.Kind.Stamped() {
		return auction.Head{}, auction.Hash{}, malformed("the command is of another house, or of a kind that is not stamped")
	}
	return cmd.Head, cmd.Digest, nil
}

func bytesOf(blobs []auction.Blob) [][]byte {
	out := make([][]byte, len(blobs))
	for i, b := range blobs {
		out[i] = b
	}
	return out
}

// A ContradictionVerdict says what a contradiction that holds shows.
type ContradictionVerdict struct {
	House     string
	Authority string
	Anchored  bool           // its roots are those that the verifier trusts
	Roots     []auction.Hash // SHA-256 of the root certificates that it rests on
	First     tsp.Stamp      // was made before Next
	Next      tsp.Stamp
}

// Apart is by how much the two are wrong together, beyond the accuracies that the
// authority states.
func (v ContradictionVerdict) Apart() time.Duration { return v.First.Earliest().Sub(v.Next.Latest()) }

// Lines returns the verdict for a person, line by line. The first names what it
// rests on.
func (v ContradictionVerdict) Lines() []string {
	stamp := func(s tsp.Stamp) string {
		return fmt.Sprintf("%s ± %v (serial %x)", s.Time.Std().Format("2006-01-02 15:04:05.000000 UTC"), s.Accuracy, s.Serial)
	}
	return []string{
		basis(v.House, v.Anchored, v.Roots),
		fmt.Sprintf("time authority %s of house %s contradicted itself", v.Authority, v.House),
		"first it stamped  " + stamp(v.First),
		"after that        " + stamp(v.Next),
		fmt.Sprintf("One of the two is wrong by at least %v more than the authority admits.", (v.Apart()+1)/2),
		"This proves:",
		"  - The second stamp was made after the first: what it is over names a head of a log that has the first.",
		"  - The key of this authority signed both.",
		"It does not prove:",
		"  - Which of the two is wrong, and whether the authority lied, its clock was set, or its key was stolen.",
	}
}

// String returns the lines.
func (v ContradictionVerdict) String() string { return strings.Join(v.Lines(), "\n") + "\n" }
