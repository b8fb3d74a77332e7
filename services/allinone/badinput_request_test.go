package allinone_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

const nowhere = auction.ID("00000000-0000-4000-8000-000000000000")

// logRows ask for more of a log than the asker may have, or for what is not there.
func logRows() []row {
	ask := func(name string, code auction.Code, who func(*world) *rawConn, m func(w *world, id uint32) wire.ClientMessage) row {
		return row{name: "request/" + name, code: code, send: func(w *world) reply {
			return who(w).ask(func(id uint32) wire.ClientMessage { return m(w, id) })
		}}
	}
	bruno := func(w *world) *rawConn { return w.fresh(w.bruno) }
	olga := func(w *world) *rawConn { return w.olga.conn }
	ada := func(w *world) *rawConn { return w.ada.conn }
	spectator := func(w *world) *rawConn {
		c, _ := w.connect(dialing{modes: []string{session.ModePublic}})
		return c
	}
	entries := func(log func(*world) auction.ID, view wire.View) func(*world, uint32) wire.ClientMessage {
		return func(w *world, id uint32) wire.ClientMessage {
			return &wire.EntriesRequest{ID: id, Log: auction.LogID(log(w)), From: 1, View: view}
		}
	}
	follow := func(log func(*world) auction.ID, seq uint64, leaf *auction.Hash) func(*world, uint32) wire.ClientMessage {
		return func(w *world, id uint32) wire.ClientMessage {
			return &wire.FollowRequest{ID: id, Log: auction.LogID(log(w)), Seq: seq, Leaf: leaf}
		}
	}
	acknowledge := func(log func(*world) auction.ID) func(*world, uint32) wire.ClientMessage {
		return func(w *world, id uint32) wire.ClientMessage {
			return &wire.AcknowledgeRequest{ID: id, Auction: log(w), Message: auction.MessageClosed}
		}
	}
	open := func(w *world) auction.ID { return w.open }
	sold := func(w *world) auction.ID { return w.sold }
	house := func(*world) auction.ID { return auction.ID(auction.HouseLog) }
	none := func(*world) auction.ID { return nowhere }
	leaf := auction.Hash(sha256.Sum256([]byte("other")))
	return []row{
		ask("own view for a spectator", auction.CodeNotAllowed, spectator, entries(open, wire.ViewOwn)),
		ask("acknowledgement of a spectator", auction.CodeNotAllowed, spectator, acknowledge(sold)),
		ask("own view of the house log", auction.CodeBadRequest, olga, entries(house, wire.ViewOwn)),
		ask("audit by a participant", auction.CodeNotAllowed, olga, entries(sold, wire.ViewAudit)),
		ask("audit without approval", auction.CodeNotAllowed, ada, entries(sold, wire.ViewAudit)),
		ask("audit before the close", auction.CodeAuctionOpen, ada, entries(open, wire.ViewAudit)),
		ask("entries of no auction", auction.CodeUnknownAuction, olga, entries(none, wire.ViewPublic)),
		ask("follow no auction", auction.CodeUnknownAuction, olga, follow(none, 0, nil)),
		ask("follow from another leaf", auction.CodeHistoryChanged, olga, follow(open, 1, &leaf)),
		ask("follow from beyond the end", auction.CodeHistoryChanged, olga, follow(open, 99, &leaf)),
		ask("acknowledge of no auction", auction.CodeUnknownAuction, olga, acknowledge(none)),
		ask("acknowledge before the close", auction.CodeAuctionOpen, bruno, acknowledge(open)),
		ask("acknowledge somebody else's message", auction.CodeNoDisclosure, olga, acknowledge(sold)),
		{name: "request/follow twice", code: auction.CodeBadRequest, send: func(w *world) reply {
			c := w.fresh(w.bruno)
			again := func(id uint32) wire.ClientMessage { return follow(open, 0, nil)(w, id) }
			if r := c.ask(again); r.code != "" {
				return r
			}
			return c.ask(again)
		}},
		{name: "request/too many at once", code: auction.CodeRateLimited, send: flood},
	}
}

// queryRows are commands without stamps that are well in form.
func queryRows() []row {
	query := func(name string, code auction.Code, c wire.Command) row {
		return row{name: "request/" + name, code: code, send: func(w *world) reply { return w.query(w.bruno, c) }}
	}
	return []row{
		query("item of no auction", auction.CodeUnknownAuction, wire.Command{Kind: auction.KindItem, Auction: nowhere}),
		query("page after no auction", auction.CodeUnknownAuction, wire.Command{Kind: auction.KindAllItems, After: nowhere}),
		{name: "request/stamps with a query", code: auction.CodeWrongStamps, send: func(w *world) reply {
			jws := signed(w.t, w.bruno.key, w.bruno.cert.Thumbprint, w.payload(w.bruno, wire.Command{Kind: auction.KindInbox}))
			return w.sendCommand(w.bruno.conn, jws, w.stamps(jws, w.now()))
		}},
		disclose("before the close", auction.CodeAuctionOpen, func(w *world) (*person, auction.ID, []byte) { return w.sofia, w.open, sealed }),
		disclose("by a stranger", auction.CodeNoDisclosure, func(w *world) (*person, auction.ID, []byte) { return w.olga, w.sold, sealed }),
		disclose("of no auction", auction.CodeUnknownAuction, func(w *world) (*person, auction.ID, []byte) { return w.olga, nowhere, sealed }),
		disclose("of other bytes", auction.CodeBadRequest, func(w *world) (*person, auction.ID, []byte) {
			return w.sofia, w.sold, bytes.ToUpper(sealed)
		}),
		disclose("of nothing", auction.CodeBadRequest, func(w *world) (*person, auction.ID, []byte) { return w.sofia, w.sold, nil }),
	}
}

var sealed = []byte("sealed presentation")

func disclose(name string, code auction.Code, how func(*world) (*person, auction.ID, []byte)) row {
	return row{name: "disclose/" + name, code: code, send: func(w *world) reply {
		who, id, attached := how(w)
		jws := signed(w.t, who.key, who.cert.Thumbprint, w.payload(who, wire.Command{
			Kind: auction.KindDisclose, Auction: id, Sealed: sha256.Sum256(sealed),
		}))
		return who.conn.ask(func(id uint32) wire.ClientMessage {
			return &wire.CommandRequest{ID: id, JWS: jws, Stamps: []auction.Blob{}, Sealed: attached}
		})
	}}
}

// flood sends requests without waiting for answers until one is refused. It is
// somebody's who does nothing else: all sessions of one share their allowance.
func flood(w *world) reply {
	c := w.newPerson("frida", identity.RoleParticipant).conn
	const many = 500
	for id := range uint32(many) {
		c.send(wire.EncodeClient(&wire.UnfollowRequest{ID: id + 1, Log: auction.HouseLog}))
	}
	for id := range uint32(many) {
		if r := c.await(id + 1); r.code != "" {
			return r
		}
	}
	return reply{code: auction.Code(fmt.Sprintf("none of %d was refused", many))}
}
