package allinone_test

import (
	"context"
	"crypto/ecdsa"
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

// handshake is a session that must not come about.
func handshake(name string, code auction.Code, how func(*world) dialing) row {
	return row{name: "handshake/" + name, code: code, send: func(w *world) reply {
		d := how(w)
		if d.person == nil {
			d.person = w.bruno
		}
		_, r := w.connect(d)
		return r
	}}
}

// In a start message the client's key comes after 36 bytes, and what it offers
// after the key.
const (
	p256Key   = 65
	hybridKey = 1184 + p256Key
)

// transcriptRows are handshakes whose messages are wrong.
func transcriptRows() []row {
	tampered := func(name string, code auction.Code, n int, change func([]byte) []byte) row {
		return handshake(name, code, func(*world) dialing {
			return dialing{tamper: func(i int, msg []byte) []byte {
				if i == n {
					msg = change(msg)
				}
				return msg
			}}
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
		tampered("session key off the curve", auction.CodeBadHandshake, 0, func(m []byte) []byte {
			m[36+hybridKey-1] ^= 1 // the last byte of the point
			return m
		}),
		handshake("best mode cut from the negotiation", auction.CodeBadHandshake, func(*world) dialing {
			return dialing{modes: []string{session.ModeP256}, offered: session.Modes()}
		}),
		handshake("best mode cut from the negotiation and from start", auction.CodeBadSignature, func(*world) dialing {
			return dialing{modes: []string{session.ModeP256}, offered: session.Modes(), tamper: func(n int, m []byte) []byte {
				if n == 0 {
					m = append(m[:36+p256Key:36+p256Key], byte(1+len(session.ModeP256)), byte(len(session.ModeP256)))
					m = append(m, session.ModeP256...)
				}
				return m
			}}
		}),
		// Here it is the client who finds out.
		tampered("nonce changed on the way", auction.CodeBadSignature, 0, func(m []byte) []byte { m[2] ^= 1; return m }),
		tampered("sealed part changed", auction.CodeBadHandshake, 1, func(m []byte) []byte { m[len(m)-1] ^= 1; return m }),
		handshake("mode that is not spoken", auction.CodeBadHandshake, func(*world) dialing {
			return dialing{modes: []string{"sigilo.v1.none"}}
		}),
		tampered("mode that the client did not offer", auction.CodeBadHandshake, 0, func(m []byte) []byte {
			m[36+hybridKey+1+len(session.ModeHybrid)] ^= 1 // the last letter of the mode in use
			return m
		}),
		handshake("transcript signed with another key", auction.CodeBadSignature, func(w *world) dialing {
			return dialing{key: w.olga.key}
		}),
	}
}

// credentialRows are handshakes of somebody whom the house must not let in.
func credentialRows() []row {
	token := func(name string, code auction.Code, make func(*world) string) row {
		return handshake("token "+name, code, func(w *world) dialing { return dialing{token: make(w)} })
	}
	chain := func(name string, make func(*world, *ecdsa.PrivateKey) [][]byte) row {
		return handshake("certificate "+name, auction.CodeBadCertificate, func(w *world) dialing {
			key := newKey(w.t)
			return dialing{key: key, chain: make(w, key)}
		})
	}
	return []row{
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
			Ready: func() ([]byte, error) { return []byte("ready"), nil },
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

// badFrame ends the connection: who does not speak the protocol gets no second try.
func badFrame(name string, code auction.Code, send func(*rawConn)) row {
	return row{name: "frame/" + name, code: code, send: func(w *world) reply {
		c := w.fresh(w.bruno)
		send(c)
		return c.closes()
	}}
}

// frameRows are frames that do not open.
func frameRows() []row {
	return []row{
		badFrame("replayed", auction.CodeBadFrame, func(c *rawConn) {
			frame, err := c.sess.Seal([]byte(follow))
			if err != nil {
				c.w.t.Fatal(err)
			}
			c.write(websocket.MessageBinary, frame)
			c.write(websocket.MessageBinary, frame)
		}),
		badFrame("of another session", auction.CodeBadFrame, func(c *rawConn) {
			frame, err := c.w.fresh(c.w.bruno).sess.Seal([]byte(follow))
			if err != nil {
				c.w.t.Fatal(err)
			}
			c.write(websocket.MessageBinary, frame)
		}),
		badFrame("changed", auction.CodeBadFrame, func(c *rawConn) {
			frame, err := c.sess.Seal([]byte(follow))
			if err != nil {
				c.w.t.Fatal(err)
			}
			frame[0] ^= 1
			c.write(websocket.MessageBinary, frame)
		}),
		badFrame("in the clear", auction.CodeBadFrame, func(c *rawConn) { c.write(websocket.MessageBinary, []byte(follow)) }),
		badFrame("of text", auction.CodeBadRequest, func(c *rawConn) { c.write(websocket.MessageText, []byte(follow)) }),
		badFrame("too large", auction.CodeTooLarge, func(c *rawConn) {
			c.write(websocket.MessageBinary, make([]byte, session.MaxClientMessage+1))
		}),
	}
}

const follow = `{"type":"follow","id":1,"log":"house","seq":0}`

// messageRows are messages that do not parse.
func messageRows() []row {
	text := func(name, message string) row {
		return badFrame(name, auction.CodeBadRequest, func(c *rawConn) { c.send([]byte(message)) })
	}
	command := func(name string, m *wire.CommandRequest) row {
		m.ID = 1
		return badFrame(name, auction.CodeBadRequest, func(c *rawConn) { c.send(wire.EncodeClient(m)) })
	}
	return []row{
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
