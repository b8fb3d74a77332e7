package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/evidence"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// spectate opens a connection on which the house does not know who asks: public
// logs alone, in clear inside TLS. It is for a client whom the house does not let
// in, and for one that wants to see what all others see. The caller ends it.
func (c *Client) spectate(ctx context.Context) (*link, error) {
	var failures []error
	for _, url := range c.profile.house.DMS {
		dialing, cancel := context.WithTimeout(ctx, dialTimeout)
		ws, _, err := websocket.Dial(dialing, strings.TrimSuffix(url, "/")+"/ws", &websocket.DialOptions{
			Subprotocols: []string{session.ModePublic}, HTTPClient: c.options.HTTP,
		})
		cancel()
		if err == nil && ws.Subprotocol() != session.ModePublic {
			ws.CloseNow()
			err = auction.Refuse(auction.CodeBadHandshake, "the house has no spectators")
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("reach the house: %w", err))
			continue
		}
		ws.SetReadLimit(wire.MaxServerFrame)
		l := newLink(url, ws)
		c.tasks.Go(func() { _ = l.run(c.ctx, c.received, func(wire.ServerMessage) {}) })
		return l, nil
	}
	return nil, errors.Join(failures...)
}

// publicLog reads and verifies an auction's log as a spectator is shown it.
func (c *Client) publicLog(ctx context.Context, spectator *link, id auction.ID) (publicLog, error) {
	if err := c.syncHouse(ctx, spectator); err != nil {
		return publicLog{}, err
	}
	data, err := c.collect(ctx, spectator.request, id, evidence.Public)
	if err != nil {
		return publicLog{}, err
	}
	return c.verifyLog(data)
}
