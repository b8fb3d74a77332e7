package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/wire"
)

// atOnce is how many participants enrol, connect or list at the same time: more
// would only queue at the CA and the house.
const atOnce = 8

// member is a participant with a connection to one replica, which is opened
// anew when the house says bye or it is lost.
type member struct {
	*person
	house *house
	url   string // of the replica
	index int    // among all of the run

	bids atomic.Uint64 // so far

	mu   sync.Mutex // one connection attempt at a time
	link *link
}

// connected returns a link that takes requests.
func (m *member) connected(ctx context.Context) (*link, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.link != nil && m.link.usable() {
		return m.link, nil
	}
	token, err := m.house.ca.token(ctx, m.person)
	if err != nil {
		return nil, err
	}
	// The link outlives this call: it ends with the house's context.
	l, err := dial(m.house.ctx, m.house.http, m.house.verifier, m.url, m.person, token)
	if err != nil {
		return nil, err
	}
	m.link = l
	return l, nil
}

func (m *member) request(ctx context.Context, build func(id uint32) wire.ClientMessage) (wire.ServerMessage, error) {
	l, err := m.connected(ctx)
	if err != nil {
		return nil, err
	}
	return l.request(ctx, build)
}

// lotsEach is in how many auctions one participant bids: like people, they come
// back to the same few.
const lotsEach = 8

// turn is the number of the lot that the member bids in next: members share few
// lots where there are many, and all where there are few.
func (m *member) turn() int {
	return m.index*lotsEach + int(m.bids.Add(1)%lotsEach)
}

// sign signs a command for the house.
func (m *member) sign(cmd wire.Command) ([]byte, error) {
	cmd.House, cmd.DisclosureKey = m.house.id, m.disclosure
	return wire.Sign(m.key, m.thumbprint, cmd, m.house.random)
}

// place stamps and sends a signed list or bid.
func (m *member) place(ctx context.Context, jws []byte) (placed, error) {
	tokens, ts, err := m.house.stamper.Stamp(ctx, digest(jws))
	if err != nil {
		return placed{}, err
	}
	answer, err := m.request(ctx, func(id uint32) wire.ClientMessage {
		r := &wire.CommandRequest{ID: id, JWS: string(jws), Stamps: make([]auction.Blob, len(tokens))}
		for i, t := range tokens {
			r.Stamps[i] = t
		}
		return r
	})
	if err != nil {
		return placed{}, err
	}
	receipt, ok := answer.(*wire.ReceiptAnswer)
	if !ok {
		return placed{}, errUnexpected
	}
	return placed{by: m.person, jws: jws, tokens: tokens, ts: ts, receipt: receipt}, nil
}

// join enrols participants and connects them, spread over the replicas.
func join(ctx context.Context, h *house, count int, prefix string) ([]*member, error) {
	members := make([]*member, count)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range members {
		group.Go(func() error {
			p, err := h.ca.enrol(ctx, fmt.Sprintf("%s-%d", prefix, i+1))
			if err != nil {
				return err
			}
			members[i] = &member{person: p, house: h, url: h.replicas[i%len(h.replicas)], index: i}
			_, err = members[i].connected(ctx)
			return err
		})
	}
	return members, group.Wait()
}
