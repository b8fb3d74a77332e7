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
	last     bool // it ends with the close record, which is the last of its log
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

// read returns what may be shown of the log from a sequence number on, at most
// maxPage messages. Full says that there may be more.
func (t *topic) read(ctx context.Context, from uint64) (p page, full bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	entries, err := t.hub.options.Reader.Entries(ctx, t.log, from, maxPage)
	if err != nil {
		return page{}, false, fmt.Errorf("read entries: %w", err)
	}
	p = page{first: from, messages: make([][]byte, 0, len(entries))}
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
		p.last = closes(e)
	}
	return p, len(entries) == maxPage, nil
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
