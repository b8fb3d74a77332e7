package wire

import (
	"github.com/go-json-experiment/json"

	"github.com/sigilo/sigilo/pkg/auction"
)

const version = 1

// A Command is what a participant signs (design section 4). Each kind has the
// members that are named here and no others.
type Command struct {
	House     string // aud: the house that it is meant for
	Kind      auction.Kind
	Auction   auction.ID        // bid, withdraw, disclose, item
	Pseudonym auction.Pseudonym // new for every command; of a list, the auction's id

	Head          auction.Head // list, bid, withdraw: the latest that the signer knew
	DisclosureKey []byte       // list, bid: see [DisclosureKEM]

	Terms     []byte           // list: the canonical terms
	Listing   auction.Terms    // list: what they say; [Sign] takes it from Terms
	Reserve   *auction.Opening // list: opens the reserve of the terms, nil without one
	TermsHash auction.Hash     // bid
	Amount    auction.Amount   // bid
	Currency  auction.Currency // bid
	Sealed    auction.Hash     // disclose: SHA-256 of the sealed presentation
	After     auction.ID       // allitems, myitems, mybids: the last auction of the page before; "" for the first page
}

// payload is the JSON of a command. Members that a kind may lack are pointers:
// one that is there is not taken for absent because it is empty.
type payload struct {
	V             int               `json:"v"`
	Audience      string            `json:"aud"`
	Kind          auction.Kind      `json:"kind"`
	Auction       *auction.ID       `json:"auction,omitzero"`
	Pseudonym     auction.Pseudonym `json:"pseudonym"`
	Head          *head             `json:"head,omitzero"`
	DisclosureKey *auction.Blob     `json:"disclosure_key,omitzero"`
	Body          *body             `json:"body"`
}

type head struct {
	Size *uint64       `json:"size"`
	Root *auction.Hash `json:"root"`
}

// body holds the bodies of all kinds. terms are the terms of a list command,
// and their hash in a bid.
type body struct {
	Amount   *auction.Amount   `json:"amount,omitzero"`
	Currency *auction.Currency `json:"currency,omitzero"`
	Terms    *string           `json:"terms,omitzero"`
	Sealed   *auction.Hash     `json:"sealed,omitzero"`
	After    *auction.ID       `json:"after,omitzero"`
	Reserve  *auction.Opening  `json:"reserve,omitzero"`
}

// members is a set of the members that depend on the kind.
type members uint16

const (
	hasAuction members = 1 << iota
	hasHead
	hasDisclosureKey
	hasAmount
	hasCurrency
	hasTerms
	hasSealed
	hasAfter
	hasReserve
)

// forms gives for each kind the members that it has and those that it may have.
var forms = map[auction.Kind]struct{ required, optional members }{
	auction.KindList:     {required: hasHead | hasDisclosureKey | hasTerms, optional: hasReserve},
	auction.KindBid:      {required: hasAuction | hasHead | hasDisclosureKey | hasAmount | hasCurrency | hasTerms},
	auction.KindWithdraw: {required: hasAuction | hasHead},
	auction.KindDisclose: {required: hasAuction | hasSealed},
	auction.KindAllItems: {optional: hasAfter},
	auction.KindMyItems:  {optional: hasAfter},
	auction.KindMyBids:   {optional: hasAfter},
	auction.KindItem:     {required: hasAuction},
	auction.KindInbox:    {},
}

func (p *payload) members() members {
	var m members
	// In the order of the constants.
	for i, there := range [...]bool{
		p.Auction != nil, p.Head != nil, p.DisclosureKey != nil,
		p.Body.Amount != nil, p.Body.Currency != nil, p.Body.Terms != nil,
		p.Body.Sealed != nil, p.Body.After != nil, p.Body.Reserve != nil,
	} {
		if there {
			m |= 1 << i
		}
	}
	return m
}

// parsePayload reads the JSON of a command and checks the form of its kind.
func parsePayload(data []byte) (Command, error) {
	if c, ok := plainBid(data); ok {
		return c, nil
	}
	var p payload
	if err := Unmarshal(data, &p); err != nil {
		if otherVersion(data) {
			return Command{}, errVersion()
		}
		return Command{}, err
	}
	if p.V != version {
		return Command{}, errVersion()
	}
	if p.Body == nil || p.Pseudonym == "" || !auction.IsName(p.Audience) {
		return Command{}, malformed()
	}
	form, ok := forms[p.Kind]
	if !ok {
		return Command{}, auction.Refuse(auction.CodeBadRequest, "there is no command of this kind")
	}
	if m := p.members(); m&form.required != form.required || m&^(form.required|form.optional) != 0 {
		return Command{}, auction.Refuse(auction.CodeBadRequest, "a command has the members of its kind and no others")
	}
	return p.command()
}

// command returns the typed view of a payload that has the members of its kind.
func (p *payload) command() (Command, error) {
	c := Command{House: p.Audience, Kind: p.Kind, Pseudonym: p.Pseudonym}
	if p.Auction != nil {
		c.Auction = *p.Auction
	}
	if p.Head != nil {
		if p.Head.Size == nil || p.Head.Root == nil {
			return Command{}, malformed()
		}
		c.Head = auction.Head{Size: *p.Head.Size, Root: *p.Head.Root}
	}
	if p.DisclosureKey != nil {
		if !isDisclosureKey(*p.DisclosureKey) {
			return Command{}, auction.Refuse(auction.CodeBadRequest, "a disclosure key is an uncompressed point of P-256, or a public key of MLKEM768-P256")
		}
		c.DisclosureKey = *p.DisclosureKey
	}
	if p.Body.Sealed != nil {
		c.Sealed = *p.Body.Sealed
	}
	if p.Body.After != nil {
		c.After = *p.Body.After
	}
	var err error
	switch p.Kind {
	case auction.KindList:
		c.Auction = auction.ID(p.Pseudonym)
		c.Terms = []byte(*p.Body.Terms)
		c.Reserve = p.Body.Reserve
		if c.Listing, err = auction.ParseTerms(c.Terms); err == nil && !c.Listing.Opens(c.Reserve) {
			err = auction.Refuse(auction.CodeBadTerms, "a listing opens the reserve that its terms name, and no other")
		}
	case auction.KindBid:
		c.Amount, c.Currency = *p.Body.Amount, *p.Body.Currency
		c.TermsHash, err = auction.ParseHash(*p.Body.Terms)
	}
	if err != nil {
		return Command{}, err
	}
	return c, nil
}

// payload returns the JSON of c, with the members of its kind.
func (c Command) payload() ([]byte, error) {
	p := payload{V: version, Audience: c.House, Kind: c.Kind, Pseudonym: c.Pseudonym, Body: new(body)}
	form := forms[c.Kind]
	has := func(m members) bool { return form.required&m != 0 }
	if has(hasAuction) {
		p.Auction = &c.Auction
	}
	if has(hasHead) {
		p.Head = &head{Size: &c.Head.Size, Root: &c.Head.Root}
	}
	if has(hasDisclosureKey) {
		p.DisclosureKey = (*auction.Blob)(&c.DisclosureKey)
	}
	switch c.Kind {
	case auction.KindList:
		terms := string(c.Terms)
		p.Body.Terms, p.Body.Reserve = &terms, c.Reserve
	case auction.KindBid:
		hash := c.TermsHash.String()
		p.Body.Amount, p.Body.Currency, p.Body.Terms = &c.Amount, &c.Currency, &hash
	case auction.KindDisclose:
		p.Body.Sealed = &c.Sealed
	}
	if c.After != "" {
		p.Body.After = &c.After
	}
	return Marshal(p)
}

// otherVersion reports whether data, which did not parse, says of itself that
// it is of another version.
func otherVersion(data []byte) bool {
	var p struct {
		V *int `json:"v"`
	}
	return json.Unmarshal(data, &p) == nil && p.V != nil && *p.V != version
}

func errVersion() error {
	return auction.Refuse(auction.CodeBadVersion, "this side speaks version %d of the commands", version)
}
