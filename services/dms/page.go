package dms

import (
	"fmt"

	"github.com/sigilo/sigilo/pkg/wire"
)

const (
	// frameRoom is what the elements of a page may take of a frame: the rest is
	// for the message around them and its signed head.
	frameRoom = wire.MaxServerFrame - 2<<10
	// pageItems and pageEntries bound the work for one page.
	pageItems   = 50
	pageEntries = 64
	// maxMyBids bounds the own bids that are listed with an auction: the latest.
	maxMyBids = 100
)

// room is what is left of a page, in bytes of JSON.
type room int

// take reports whether all of the elements together still fit, and if so takes
// their place. One element fits an empty page: TestLargestMessages holds that.
func (r *room) take(elements ...any) (bool, error) {
	size := 0
	for _, e := range elements {
		data, err := wire.Marshal(e)
		if err != nil {
			return false, fmt.Errorf("measure an element of a page: %w", err)
		}
		size += len(data) + len(",")
	}
	if size > int(*r) {
		return false, nil
	}
	*r -= room(size)
	return true, nil
}
