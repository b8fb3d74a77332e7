package wire

import (
	"bytes"
	"strconv"

	"github.com/sigilo/sigilo/pkg/auction"
)

// A plain reads JSON in the one form that the encoder gives a struct whose texts
// need no escapes: members in their order and no white space. What has another
// form, or a value that is not good, fails as a whole and is left to the JSON
// decoder, which reads it or says what is wrong. So nothing passes here that the
// decoder would refuse: each text goes through the check of its type, and none
// of those takes a quote, a backslash, a control character, or more than ASCII.
//
// Bids are most of what a house reads, and the decoder takes several times as long.
type plain struct {
	rest   []byte
	failed bool
}

// keep goes on behind what was read, if that was good.
func (p *plain) keep(rest []byte, ok bool) {
	if !ok {
		p.failed, rest = true, nil // there is nothing more to find
	}
	p.rest = rest
}

// skip reads bytes that are the same in every value.
func (p *plain) skip(literal string) {
	rest, ok := bytes.CutPrefix(p.rest, []byte(literal))
	p.keep(rest, ok)
}

// text reads what stands between a literal and the next quote, and the quote.
func (p *plain) text(before string) []byte {
	p.skip(before)
	text, rest, ok := bytes.Cut(p.rest, []byte{'"'})
	p.keep(rest, ok)
	return text
}

// number reads the digits after a literal: 0 .. 2^53-1, without leading zeros.
func (p *plain) number(before string) uint64 {
	p.skip(before)
	n := 0
	for n < len(p.rest) && '0' <= p.rest[n] && p.rest[n] <= '9' {
		n++
	}
	digits := p.rest[:n]
	number, err := strconv.ParseUint(string(digits), 10, 64)
	p.keep(p.rest[n:], err == nil && number <= maxInteger && (n == 1 || digits[0] != '0'))
	return number
}

// blob reads binary data of at least one byte.
func (p *plain) blob(before string) auction.Blob {
	encoded := p.text(before)
	out := make(auction.Blob, base64url.DecodedLen(len(encoded)))
	p.keep(p.rest, len(out) > 0 && decode(out, encoded))
	return out
}

// value reads a text by the parser of its type.
func value[T any](p *plain, before string, parse func(string) (T, error)) (v T) {
	text := p.text(before)
	if p.failed {
		return v
	}
	v, err := parse(string(text))
	p.keep(p.rest, err == nil)
	return v
}

// done reports whether all was read and held.
func (p *plain) done() bool { return !p.failed && len(p.rest) == 0 }

// plainBid reads the payload of a bid.
func plainBid(data []byte) (Command, bool) {
	p := &plain{rest: data}
	c := Command{Kind: auction.KindBid}
	c.House = string(p.text(`{"v":1,"aud":"`))
	p.skip(`,"kind":"bid"`)
	if p.failed {
		return Command{}, false // another kind, most likely
	}
	c.Auction = value(p, `,"auction":"`, auction.ParseID)
	c.Pseudonym = value(p, `,"pseudonym":"`, auction.ParsePseudonym)
	c.Head.Size = p.number(`,"head":{"size":`)
	c.Head.Root = value(p, `,"root":"`, auction.ParseHash)
	c.DisclosureKey = p.blob(`},"disclosure_key":"`)
	c.Amount = auction.Amount(p.number(`,"body":{"amount":`))
	c.Currency = value(p, `,"currency":"`, parseCurrency)
	c.TermsHash = value(p, `,"terms":"`, auction.ParseHash)
	p.skip("}}")
	ok := p.done() && auction.IsName(c.House) && c.Amount > 0 && isDisclosureKey(c.DisclosureKey)
	return c, ok
}
