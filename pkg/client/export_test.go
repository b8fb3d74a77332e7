package client

import "github.com/sigilo/sigilo/pkg/wire"

// KeepEvents has followings keep fewer events than they would.
func (c *Client) KeepEvents(n int) { c.maxEvents = n }

// Nonce is what ties a presentation to one sale and one sender.
func (c Closing) Nonce(house string, sender wire.Role) string { return c.nonce(house, sender) }
