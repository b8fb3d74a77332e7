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
	for line := range bytes.Lines(data) {
		var e wire.Entry
		if !bytes.HasSuffix(line, []byte("\n")) {
			// A crash cut the last one short: it is fetched again, in its place.
			return os.Truncate(filepath.Join(c.profile.dir, "house.log"), int64(len(data)-len(line)))
		}
		if err := wire.Unmarshal(bytes.TrimSuffix(line, []byte("\n")), &e); err != nil {
			return err
		}
		entry, err := e.Entry()
		if err != nil {
			return err
		}
		if err := c.house.Apply(entry); err != nil {
			return err
		}
	}
	return nil
}

// syncHouse reads the house log from where the client is up to its signed head,
// and checks that what the client has is a prefix of that.
func (c *Client) syncHouse(ctx context.Context, l *link) error {
	c.syncing.Lock()
	defer c.syncing.Unlock()
	c.mu.Lock()
	house := *c.house
	c.mu.Unlock()
	var fresh bytes.Buffer
	for {
		answer, err := l.request(ctx, func(id uint32) wire.ClientMessage {
			return &wire.EntriesRequest{ID: id, Log: auction.HouseLog, From: house.Size() + 1, View: wire.ViewPublic}
		})
		if err != nil {
			return err
		}
		page, ok := answer.(*wire.EntriesAnswer)
		if !ok {
			return errUnexpected
		}
		for _, e := range page.Entries {
			entry, err := e.Entry()
			if err != nil {
				return err
			}
			if err := house.Apply(entry.Public()); err != nil {
				return err
			}
			line, err := wire.Marshal(wire.EntryOf(entry.Public()))
			if err != nil {
				return err
			}
			fresh.Write(append(line, '\n'))
		}
		if page.More && len(page.Entries) > 0 {
			continue
		}
		if err := c.checkHouseHead(&house, page.Head); err != nil {
			return err
		}
		break
	}
	if fresh.Len() > 0 {
		if err := c.profile.appendTo("house.log", fresh.Bytes()); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.house = &house
	c.mu.Unlock()
	return nil
}

// checkHouseHead compares the log that was read with the head that the house
// signed, under the log key of its policy.
func (c *Client) checkHouseHead(house *auction.House, note string) error {
	policy, ok := house.Policies[house.InForce]
	if !ok {
		return nil // nothing is promised yet, and nothing is used
	}
	key, err := evidence.ParseLogKey(policy.LogKey)
	if err != nil {
		return err
	}
	head, err := evidence.OpenHead(note, key, c.profile.house.House, auction.HouseLog)
	if err != nil {
		return err
	}
	if !house.Has(head) {
		return auction.Refuse(auction.CodeHistoryChanged, "the house log is not the one that you read before: keep %s, it proves it", filepath.Join(c.profile.dir, "house.log"))
	}
	return nil
}

// appendTo adds lines to a file, durably.
func (p *Profile) appendTo(name string, data []byte) error {
	f, err := os.OpenFile(filepath.Join(p.dir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

var errUnexpected = auction.Refuse(auction.CodeBadRequest, "the house gave an answer to something else")
