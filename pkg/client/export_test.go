package client

// KeepEvents has followings keep fewer events than they would.
func (c *Client) KeepEvents(n int) { c.maxEvents = n }
