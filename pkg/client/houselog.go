package client

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/wire"
)

// maxHouseLog bounds the house log that a profile keeps, in bytes: some hundred
// thousand listings.
const maxHouseLog = 256 << 20

// loadHouseLog replays the house log as far as the profile has verified it.
func (c *Client) loadHouseLog() error {
	data, err := c.profile.read("house.log", maxHouseLog)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var events []auction.Event
	for line := range bytes.Lines(data) {
		var e wire.Entry
		if !bytes.HasSuffix(line, []byte("\n")) {
			data = data[:len(data)-len(line)] // cut short: it is fetched again, in its place
			break
		}
		if err := wire.Unmarshal(bytes.TrimSuffix(line, []byte("\n")), &e); err != nil {
			return err
		}
		event, _, err := applyHouse(c.house, e)
		if err != nil {
			return err
		}
		events = append(events, event)
	}
	c.logged = int64(len(data))
	c.noteListings(events)
	return nil
}

// applyHouse takes one more entry of the house log. It returns its event, and
// the entry as the public sees it.
func applyHouse(house *auction.House, e wire.Entry) (auction.Event, wire.Entry, error) {
	entry, err := e.Entry()
	if err != nil {
		return auction.Event{}, wire.Entry{}, err
	}
	entry = entry.Public()
	if err := house.Apply(entry); err != nil {
		return auction.Event{}, wire.Entry{}, err
	}
	event, err := auction.ParseEvent(entry.Event)
	return event, wire.EntryOf(entry), err
}

// listed is on which terms an auction was listed: their hash, that of the policy
// which they name, and the end that they name.
type listed struct {
	terms, policy auction.Hash
	closes        auction.Time
}

// noteListings keeps on which terms auctions were listed. The caller holds mu,
// or has not shared c yet.
func (c *Client) noteListings(events []auction.Event) {
	for _, e := range events {
		if _, twice := c.listed[e.Auction]; e.Kind != auction.SomeoneListed || twice {
			continue
		}
		if terms, err := auction.ParseTerms([]byte(e.Terms)); err == nil { // the replay has parsed them
			c.listed[e.Auction] = listed{auction.TermsHash([]byte(e.Terms)), terms.Policy, terms.Closes}
		}
	}
}

// termsOf returns the terms under which the house log lists an
// auction. It reads on in the log if the auction is new.
func (c *Client) termsOf(ctx context.Context, id auction.ID) (listed, error) {
	look := func() (listed, bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		terms, ok := c.listed[id]
		return terms, ok
	}
	if terms, ok := look(); ok {
		return terms, nil
	}
	if err := c.readHouse(ctx); err != nil {
		return listed{}, err
	}
	terms, ok := look()
	if !ok {
		return listed{}, auction.Refuse(auction.CodeWrongTerms, "the house shows an auction that its log does not list")
	}
	return terms, nil
}

// readHouse is syncHouse over whichever connection it takes.
func (c *Client) readHouse(ctx context.Context) error {
	return c.onLink(ctx, func(l *link) error { return c.syncHouse(ctx, l) })
}

// syncHouse reads the house log from where the client is up to its signed head.
// Nothing is used or kept before that head vouches for all of it.
func (c *Client) syncHouse(ctx context.Context, l *link) error {
	c.syncing.Lock()
	defer c.syncing.Unlock()
	c.mu.Lock()
	house := *c.house
	c.mu.Unlock()
	known := house.Size()
	var fresh bytes.Buffer
	var events []auction.Event
	for {
		page, err := housePage(ctx, l, house.Size()+1)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			event, public, err := applyHouse(&house, e)
			if err != nil {
				return err
			}
			line, err := wire.Marshal(public)
			if err != nil {
				return err
			}
			fresh.Write(append(line, '\n'))
			events = append(events, event)
		}
		if c.logged+int64(fresh.Len()) > maxHouseLog {
			return auction.Refuse(auction.CodeTooLarge, "a house log has at most %d bytes", maxHouseLog)
		}
		if page.More && len(page.Entries) > 0 {
			continue
		}
		if err := c.checkHouseHead(&house, known, page.Head); err != nil {
			return err
		}
		break
	}
	if fresh.Len() > 0 {
		if err := c.profile.writeAt("house.log", fresh.Bytes(), c.logged); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.house = &house
	c.logged += int64(fresh.Len())
	c.noteListings(events)
	return nil
}

func housePage(ctx context.Context, l *link, from uint64) (*wire.EntriesAnswer, error) {
	answer, err := l.request(ctx, func(id uint32) wire.ClientMessage {
		return &wire.EntriesRequest{ID: id, Log: auction.HouseLog, From: from, View: wire.ViewPublic}
	})
	if err != nil {
		return nil, err
	}
	page, ok := answer.(*wire.EntriesAnswer)
	if !ok {
		return nil, errUnexpected
	}
	return page, nil
}

// checkHouseHead compares the log that was read, of which known entries were
// known before, with the head that the house signed: under the pinned key, or on
// first use under that of the policy in force, which is pinned then. A head that
// is behind comes from a replica that has not read on; it vouches for nothing new.
func (c *Client) checkHouseHead(house *auction.House, known uint64, note string) error {
	if house.Size() == 0 {
		return nil // nothing is promised yet, and nothing is used
	}
	key, err := c.pinnedLogKey(house.Policies[house.InForce].LogKey)
	if err != nil {
		return err
	}
	head, err := evidence.OpenHead(note, key, c.profile.house.House, auction.HouseLog)
	if err != nil {
		return err
	}
	if head != house.Head() && !(house.Size() == known && house.Has(head)) {
		return auction.Refuse(auction.CodeHistoryChanged, "the house log is not the one that you read before, or that the house signed: keep %s, it proves it", filepath.Join(c.profile.dir, "house.log"))
	}
	return c.pinLogKey(house.Policies[house.InForce].LogKey)
}

// pinnedLogKey reads a log key, and refuses another one than the pinned.
func (c *Client) pinnedLogKey(text string) (evidence.LogKey, error) {
	if pinned := c.profile.house.LogKey; pinned != "" && pinned != text {
		return evidence.LogKey{}, auction.Refuse(auction.CodeHistoryChanged, "the house signs its logs with another key than the one that you pinned: ask its operator before you go on")
	}
	return evidence.ParseLogKey(text)
}

// pinLogKey pins the log key when it is first seen.
func (c *Client) pinLogKey(text string) error {
	if c.profile.house.LogKey == text {
		return nil
	}
	c.profile.house.LogKey = text
	return c.profile.saveHouse()
}

// writeAt puts data at a place of a file, durably. It is not appended: another
// program may have put the same entries there, which have but one form.
func (p *Profile) writeAt(name string, data []byte, offset int64) error {
	f, err := os.OpenFile(filepath.Join(p.dir, name), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, offset)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

var errUnexpected = auction.Refuse(auction.CodeBadRequest, "the house gave an answer to something else")
