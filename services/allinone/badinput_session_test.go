package allinone_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/client"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
	"github.com/sigilo/sigilo/services/ca"
)

// handshakeRows are sessions that must not come about.
func handshakeRows() []row {
	bad := func(name string, code auction.Code, how func(*world) dialing) row {
		return row{name: "handshake/" + name, code: code, send: func(w *world) reply {
			d := how(w)
			if d.person == nil {
				d.person = w.bruno
			}
			_, r := w.connect(d)
			return r
		}}
	}
	tampered := func(name string, code auction.Code, n int, change func([]byte) []byte) row {
		return bad(name, code, func(*world) dialing {
			return dialing{tamper: func(i int, msg []byte) []byte {
				if i == n {
					msg = change(msg)
				}
				return msg
			}}
		})
	}
	token := func(name string, code auction.Code, make func(*world) string) row {
		return bad("token "+name, code, func(w *world) dialing { return dialing{token: make(w)} })
	}
	chain := func(name string, make func(*world, *ecdsa.PrivateKey) [][]byte) row {
		return bad("certificate "+name, auction.CodeBadCertificate, func(w *world) dialing {
			key := newKey(w.t)
			return dialing{key: key, chain: make(w, key)}
		})
	}
	return []row{
		tampered("start of version 2", auction.CodeBadVersion, 0, func(m []byte) []byte { m[0] = 2; return m }),
		tampered("start with bytes after it", auction.CodeBadRequest, 0, func(m []byte) []byte { return append(m, 0) }),
		tampered("auth instead of start", auction.CodeBadHandshake, 0, func(m []byte) []byte { m[1] = 3; return m }),
		tampered("start too large", auction.CodeTooLarge, 0, func(m []byte) []byte { return append(m, make([]byte, 8<<10)...) }),
		tampered("message too large", auction.CodeTooLarge, 0, func(m []byte) []byte {
			return append(m, make([]byte, session.MaxClientMessage)...)
		}),
		tampered("session key off the curve", auction.CodeBadHandshake, 0, func(m []byte) []byte { m[50] ^= 1; return m }),
		// Here it is the client who finds out.
		tampered("nonce changed on the way", auction.CodeBadSignature, 0, func(m []byte) []byte { m[2] ^= 1; return m }),
		tampered("sealed part changed", auction.CodeBadHandshake, 1, func(m []byte) []byte { m[len(m)-1] ^= 1; return m }),
		bad("mode that is not spoken", auction.CodeBadHandshake, func(*world) dialing {
			return dialing{modes: []string{"sigilo.v1.none"}}
		}),
		tampered("mode that the client did not offer", auction.CodeBadHandshake, 0, func(m []byte) []byte {
			m[len(m)-1] ^= 1 // the last letter of the mode offered
			return m
		}),
		bad("transcript signed with another key", auction.CodeBadSignature, func(w *world) dialing {
			return dialing{key: w.olga.key}
		}),
		token("that is none", auction.CodeBadToken, func(*world) string { return "none" }),
		token("of another person", auction.CodeBadToken, func(w *world) string { return w.olga.token }),
		token("ended", auction.CodeTokenExpired, func(w *world) string {
			return w.forgeToken("demo", w.loadKey(ca.FileTokenKey), w.now().Add(-16*time.Minute))
		}),
		token("of later", auction.CodeBadToken, func(w *world) string {
			return w.forgeToken("demo", w.loadKey(ca.FileTokenKey), w.now().Add(5*time.Minute))
		}),
		token("of another house", auction.CodeBadToken, func(w *world) string {
			return w.forgeToken("domo", w.loadKey(ca.FileTokenKey), w.now())
		}),
		token("of another key", auction.CodeBadToken, func(w *world) string {
			return w.forgeToken("demo", newKey(w.t), w.now())
		}),
		token("signed with the credential key", auction.CodeBadToken, func(w *world) string {
			return w.forgeToken("demo", w.loadKey(ca.FileCredentialKey), w.now())
		}),
		chain("of another root", func(w *world, key *ecdsa.PrivateKey) [][]byte {
			return w.certify(w.foreignRoot(), key, identity.Profile{Role: identity.RoleParticipant})
		}),
		chain("of another house", func(w *world, key *ecdsa.PrivateKey) [][]byte {
			return w.certify(w.houseRoot(), key, identity.Profile{Role: identity.RoleParticipant, House: "domo"})
		}),
		chain("of a dms", func(w *world, key *ecdsa.PrivateKey) [][]byte {
			return w.certify(w.houseRoot(), key, identity.Profile{Role: identity.RoleDMS})
		}),
		chain("of a time authority", func(w *world, key *ecdsa.PrivateKey) [][]byte {
			return w.certify(w.houseRoot(), key, identity.Profile{Role: identity.RoleTSA, Authority: "tsa1", Simulated: true})
		}),
		chain("ended", func(w *world, key *ecdsa.PrivateKey) [][]byte {
			return w.certify(w.houseRoot(), key, identity.Profile{
				Role: identity.RoleParticipant, NotAfter: w.now().Add(-time.Second).Std(),
			})
		}),
		chain("that is none", func(*world, *ecdsa.PrivateKey) [][]byte { return [][]byte{{1, 2, 3}} }),
		{name: "handshake/a participant as the dms", code: auction.CodeBadCertificate, send: falseDMS},
	}
}

// forgeToken makes a session token for bruno's certificate.
func (w *world) forgeToken(house string, key *ecdsa.PrivateKey, at auction.Time) string {
	w.t.Helper()
	issuer, err := identity.NewTokenIssuer(house, key)
	if err != nil {
		w.t.Fatal(err)
	}
	token, _, err := issuer.Issue(w.bruno.cert, at.Std())
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func (w *world) houseRoot() *identity.Issuer {
	w.t.Helper()
	issuer, err := identity.NewIssuer(w.loadChain(ca.FileRoot), w.loadKey(ca.FileRootKey))
	if err != nil {
		w.t.Fatal(err)
	}
	return issuer
}

func (w *world) foreignRoot() *identity.Issuer {
	w.t.Helper()
	key := newKey(w.t)
	root, err := identity.NewRoot(key, "demo", w.now().Add(-time.Hour).Std(), w.now().Add(time.Hour).Std())
	if err != nil {
		w.t.Fatal(err)
	}
	issuer, err := identity.NewIssuer([][]byte{root}, key)
	if err != nil {
		w.t.Fatal(err)
	}
	return issuer
}

func (w *world) certify(by *identity.Issuer, key *ecdsa.PrivateKey, p identity.Profile) [][]byte {
	w.t.Helper()
	if p.House == "" {
		p.House = "demo"
	}
	p.NotBefore = w.now().Add(-time.Minute).Std()
	if p.NotAfter.IsZero() {
		p.NotAfter = w.now().Add(time.Minute).Std()
	}
	chain, err := by.Issue(&key.PublicKey, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return chain
}

// falseDMS is a participant who plays the DMS: the client finds out.
func falseDMS(w *world) reply {
	w.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(rw, r, &websocket.AcceptOptions{Subprotocols: session.Modes()})
		if err != nil {
			return
		}
		defer ws.CloseNow()
		_, err = session.Server(r.Context(), &tampered{ws: ws}, session.ServerConfig{
			Mode: ws.Subprotocol(), Chain: w.bruno.chain, Key: w.bruno.key,
			Now: func() (auction.Time, error) { return w.now(), nil },
			Authenticate: func(context.Context, session.Credentials) (*ecdsa.PublicKey, error) {
				return &w.olga.key.PublicKey, nil
			},
			Ready: func() []byte { return []byte("ready") },
		})
		if err == nil {
			w.t.Error("a participant passed for the DMS")
		}
	}))
	defer server.Close()
	house, err := w.h.Client()
	if err != nil {
		w.t.Fatal(err)
	}
	house.DMS = []string{server.URL}
	profile, err := client.CreateProfile(filepath.Join(w.t.TempDir(), "profile"), house)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := client.New(profile, client.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	invite, err := w.h.Invite(w.ctx, "otto", nil, "participant")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.Enroll(w.ctx, client.Enrolment{Invite: invite}); err != nil {
		w.t.Fatal(err)
	}
	_, err = c.Items(w.ctx)
	return reply{code: auction.CodeOf(err)}
}

// frameRows end the connection: who does not speak the protocol gets no second try.
func frameRows() []row {
	bad := func(name string, code auction.Code, send func(*rawConn)) row {
		return row{name: "frame/" + name, code: code, send: func(w *world) reply {
			c := w.fresh(w.bruno)
			send(c)
			return c.closes()
		}}
	}
	text := func(name, message string) row {
		return bad(name, auction.CodeBadRequest, func(c *rawConn) { c.send([]byte(message)) })
	}
	command := func(name string, m *wire.CommandRequest) row {
		m.ID = 1
		return bad(name, auction.CodeBadRequest, func(c *rawConn) { c.send(wire.EncodeClient(m)) })
	}
	const follow = `{"type":"follow","id":1,"log":"house","seq":0}`
	return []row{
		bad("replayed", auction.CodeBadFrame, func(c *rawConn) {
			frame, err := c.sess.Seal([]byte(follow))
			if err != nil {
				c.w.t.Fatal(err)
			}
			c.write(websocket.MessageBinary, frame)
			c.write(websocket.MessageBinary, frame)
		}),
		bad("of another session", auction.CodeBadFrame, func(c *rawConn) {
			frame, err := c.w.fresh(c.w.bruno).sess.Seal([]byte(follow))
			if err != nil {
				c.w.t.Fatal(err)
			}
			c.write(websocket.MessageBinary, frame)
		}),
		bad("changed", auction.CodeBadFrame, func(c *rawConn) {
			frame, err := c.sess.Seal([]byte(follow))
			if err != nil {
				c.w.t.Fatal(err)
			}
			frame[0] ^= 1
			c.write(websocket.MessageBinary, frame)
		}),
		bad("in the clear", auction.CodeBadFrame, func(c *rawConn) { c.write(websocket.MessageBinary, []byte(follow)) }),
		bad("of text", auction.CodeBadRequest, func(c *rawConn) { c.write(websocket.MessageText, []byte(follow)) }),
		bad("too large", auction.CodeTooLarge, func(c *rawConn) {
			c.write(websocket.MessageBinary, make([]byte, session.MaxClientMessage+1))
		}),
		text("no JSON", "none"),
		text("no type", `{"id":1}`),
		text("unknown type", `{"type":"buy","id":1}`),
		text("unknown field", strings.Replace(follow, `"seq"`, `"x":1,"seq"`, 1)),
		text("doubled key", strings.Replace(follow, `"seq"`, `"id":2,"seq"`, 1)),
		text("two messages", follow+"\n"+follow),
		text("bytes after the message", follow+"x"),
		text("no id", strings.Replace(follow, `"id":1`, `"id":0`, 1)),
		text("id too big", strings.Replace(follow, `"id":1`, `"id":4294967296`, 1)),
		text("position without its leaf", strings.Replace(follow, `"seq":0`, `"seq":1`, 1)),
		text("unknown view", `{"type":"entries","id":1,"log":"house","from":1,"view":"all"}`),
		text("log that is no id", strings.Replace(follow, "house", "home", 1)),
		command("command too large", &wire.CommandRequest{JWS: strings.Repeat("x", wire.MaxCommand+1), Stamps: []auction.Blob{}}),
		command("stamp too large", &wire.CommandRequest{JWS: "x", Stamps: []auction.Blob{make([]byte, wire.MaxStamp+1)}}),
		command("fourteen stamps", &wire.CommandRequest{JWS: "x", Stamps: slicesOf(auction.MaxAuthorities+1, auction.Blob{1})}),
		command("presentation too large", &wire.CommandRequest{JWS: "x", Stamps: []auction.Blob{}, Sealed: make([]byte, wire.MaxSealed+1)}),
	}
}

func slicesOf[T any](n int, v T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// requestRows are requests other than placing commands.
func requestRows() []row {
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
	nowhere := func(*world) auction.ID { return "00000000-0000-4000-8000-000000000000" }
	leaf := auction.Hash(sha256.Sum256([]byte("other")))
	query := func(name string, code auction.Code, c wire.Command) row {
		return row{name: "request/" + name, code: code, send: func(w *world) reply { return w.query(w.bruno, c) }}
	}
	return []row{
		ask("own view for a spectator", auction.CodeNotAllowed, spectator, entries(open, wire.ViewOwn)),
		ask("acknowledgement of a spectator", auction.CodeNotAllowed, spectator, acknowledge(sold)),
		ask("own view of the house log", auction.CodeBadRequest, olga, entries(house, wire.ViewOwn)),
		ask("audit by a participant", auction.CodeNotAllowed, olga, entries(sold, wire.ViewAudit)),
		ask("audit without approval", auction.CodeNotAllowed, ada, entries(sold, wire.ViewAudit)),
		ask("audit before the close", auction.CodeAuctionOpen, ada, entries(open, wire.ViewAudit)),
		ask("entries of no auction", auction.CodeUnknownAuction, olga, entries(nowhere, wire.ViewPublic)),
		ask("follow no auction", auction.CodeUnknownAuction, olga, follow(nowhere, 0, nil)),
		ask("follow from another leaf", auction.CodeHistoryChanged, olga, follow(open, 1, &leaf)),
		ask("follow from beyond the end", auction.CodeHistoryChanged, olga, follow(open, 99, &leaf)),
		ask("acknowledge of no auction", auction.CodeUnknownAuction, olga, acknowledge(nowhere)),
		ask("acknowledge before the close", auction.CodeAuctionOpen, bruno, acknowledge(open)),
		ask("acknowledge somebody else's message", auction.CodeNoDisclosure, olga, acknowledge(sold)),
		query("item of no auction", auction.CodeUnknownAuction, wire.Command{Kind: auction.KindItem, Auction: nowhere(nil)}),
		query("page after no auction", auction.CodeUnknownAuction, wire.Command{Kind: auction.KindAllItems, After: nowhere(nil)}),
		{name: "request/follow twice", code: auction.CodeBadRequest, send: func(w *world) reply {
			c := w.fresh(w.bruno)
			again := func(id uint32) wire.ClientMessage { return follow(open, 0, nil)(w, id) }
			if r := c.ask(again); r.code != "" {
				return r
			}
			return c.ask(again)
		}},
		{name: "request/too many at once", code: auction.CodeRateLimited, send: flood},
		{name: "request/stamps with a query", code: auction.CodeWrongStamps, send: func(w *world) reply {
			jws := signed(w.t, w.bruno.key, w.bruno.cert.Thumbprint, w.payload(w.bruno, wire.Command{Kind: auction.KindInbox}))
			return w.sendCommand(w.bruno.conn, jws, w.stamps(jws, w.now()))
		}},
		disclose("before the close", auction.CodeAuctionOpen, func(w *world) (*person, auction.ID, []byte) { return w.sofia, w.open, sealed }),
		disclose("by a stranger", auction.CodeNoDisclosure, func(w *world) (*person, auction.ID, []byte) { return w.olga, w.sold, sealed }),
		disclose("of no auction", auction.CodeUnknownAuction, func(w *world) (*person, auction.ID, []byte) { return w.olga, nowhere(w), sealed }),
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

// flood sends requests without waiting for answers until one is refused.
func flood(w *world) reply {
	c := w.fresh(w.bruno)
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
