package broadcast

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/sigilo/sigilo/pkg/auction"
)

const (
	// maxPage is how many entries are read at once: with their private parts
	// some 256 KiB. A full page means a backlog, which is given in portions.
	maxPage = 128

	// readTimeout is past what a healthy store ever needs, and short enough
	// that one that is stuck is asked again while clients still wait.
	readTimeout = 5 * time.Second
)

// A page is consecutive messages of a log, the first of which has the sequence
// number first.
type page struct {
	first    uint64
	messages [][]byte
	leaf     auction.Hash // of the last message's entry; of the one before first, where it is known, if there is none
	last     bool         // it ends with the close record, which is the last of its log
}

// end returns the sequence number of the last message, first-1 if there is none.
func (p page) end() uint64 { return p.first + uint64(len(p.messages)) - 1 }

// from returns the messages from a sequence number on, if the page has it.
func (p page) from(seq uint64) [][]byte {
	if seq < p.first || seq > p.end() {
		return nil
	}
	return p.messages[seq-p.first:]
}

var errChanged = auction.Refuse(auction.CodeHistoryChanged, "the log is not the one that was given out")

// read returns what may be shown of the log from a sequence number on, at most
// maxPage messages. Full says that there may be more. Where that goes on from the
// end, the last entry is read again: if it is gone, or another, it refuses with
// CodeHistoryChanged, also while nothing new comes.
func (t *topic) read(ctx context.Context, from uint64) (p page, full bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	again := 0 // entries that were handed over before
	if from == t.end+1 && t.end > 0 {
		again = 1
	}
	entries, err := t.hub.options.Reader.Entries(ctx, t.log, from-uint64(again), maxPage+again)
	if err != nil {
		return page{}, false, fmt.Errorf("read entries: %w", err)
	}
	full = len(entries) == maxPage+again
	p = page{first: from, messages: make([][]byte, 0, len(entries))}
	if again > 0 && len(entries) > 0 && entries[0].Seq == t.end {
		p.leaf, entries = entries[0].Leaf(), entries[1:]
	}
	if again > 0 && t.known && p.leaf != t.leaf {
		return page{}, false, errChanged
	}
	for _, e := range entries {
		if e.Seq != p.end()+1 {
			return page{}, false, fmt.Errorf("read entries: got number %d instead of %d", e.Seq, p.end()+1)
		}
		if recorded(e) && !t.closed {
			s, err := t.hub.options.Reader.Auction(ctx, auction.ID(t.log))
			if err != nil {
				return page{}, false, fmt.Errorf("look for the close: %w", err)
			}
			if s.Closed == nil {
				return p, false, nil
			}
			t.closed = true
		}
		p.messages = append(p.messages, t.hub.options.Encode(t.log, e.Public()))
		p.leaf, p.last = e.Leaf(), closes(e)
	}
	return p, full, nil
}

// closes reports whether the entry is a close record: the kind is the second
// member of an event.
func closes(e auction.Entry) bool {
	_, rest, _ := bytes.Cut(e.Event, []byte(","))
	return bytes.HasPrefix(rest, []byte(`"kind":"`+auction.AuctionClosed+`"`))
}

// recorded reports whether the entry is a recorded bid. In the canonical form
// of an event, the only one that a log has, the member is the last of its kind,
// and no other kind ends so; parsing each event of a long history would cost
// more than all else here.
func recorded(e auction.Entry) bool {
	return bytes.HasSuffix(e.Event, []byte(`,"recorded":true}`))
}
