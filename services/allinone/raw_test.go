package allinone_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"github.com/sigilo/sigilo/pkg/auction"
	"github.com/sigilo/sigilo/pkg/identity"
	"github.com/sigilo/sigilo/pkg/session"
	"github.com/sigilo/sigilo/pkg/wire"
)

// A reply is what somebody is told who sent something.
type reply struct {
	code  auction.Code   // "" if it was taken
	least auction.Amount // with bid_too_low
	end   int            // the WebSocket's close code, 0 if it is still open
	http  int            // the status, 0 for what came over a WebSocket
	m     wire.ServerMessage
}

// call makes an HTTP request and reads the code in the answer's body.
func (w *world) call(method, url, contentType, token string, body []byte) (reply, []byte) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, method, url, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	r := reply{http: res.StatusCode}
	if res.StatusCode/100 != 2 {
		var refusal struct {
			Code   auction.Code `json:"code"`
			Detail string       `json:"detail"`
		}
		if err := json.Unmarshal(data, &refusal); err != nil || refusal.Code == "" || refusal.Detail == "" {
			w.t.Fatalf("status %d with a body that is no refusal: %.100q", res.StatusCode, data)
		}
		r.code = refusal.Code
	}
	return r, data
}

// post sends JSON.
func (w *world) post(url, token, body string) reply {
	w.t.Helper()
	r, _ := w.call(http.MethodPost, url, "application/json", token, []byte(body))
	return r
}

// postFor sends JSON that must be taken, and reads the answer.
func (w *world) postFor(url, token string, body, answer any) {
	w.t.Helper()
	data, err := wire.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	r, data := w.call(http.MethodPost, url, "application/json", token, data)
	if r.code != "" {
		w.t.Fatalf("%s: %s", url, r.code)
	}
	if answer != nil {
		if err := json.Unmarshal(data, answer); err != nil {
			w.t.Fatal(err)
		}
	}
}

// A person is a participant or an auditor with the keys in the test's hands.
type person struct {
	key   *ecdsa.PrivateKey
	chain [][]byte
	cert  *identity.Certificate
	token string
	conn  *rawConn // the usual one
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decode64(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }

func (w *world) nonce() string {
	var answer struct{ Nonce string }
	_, data := w.call(http.MethodGet, w.h.Ready.CA+"/api/nonce", "", "", nil)
	if err := json.Unmarshal(data, &answer); err != nil {
		w.t.Fatal(err)
	}
	return answer.Nonce
}

func (w *world) proof(key *ecdsa.PrivateKey, purpose identity.ProofPurpose, house string) string {
	w.t.Helper()
	proof, err := identity.NewProof(key, purpose, house, w.nonce())
	if err != nil {
		w.t.Fatal(err)
	}
	return proof
}

// newPerson enrols somebody and opens a session.
func (w *world) newPerson(name string, role identity.Role) *person {
	w.t.Helper()
	p := &person{key: newKey(w.t)}
	csr, err := identity.NewRequest(p.key)
	if err != nil {
		w.t.Fatal(err)
	}
	invite, err := w.h.Invite(w.ctx, name, nil, string(role))
	if err != nil {
		w.t.Fatal(err)
	}
	var answer struct {
		Chain []auction.Blob
	}
	w.postFor(w.h.Ready.CA+"/api/sign-csr", "", map[string]string{"csr": b64(csr), "invite": invite}, &answer)
	for _, der := range answer.Chain {
		p.chain = append(p.chain, der)
	}
	if p.cert, err = w.verifier.Verify(p.chain, role, w.now().Std()); err != nil {
		w.t.Fatal(err)
	}
	p.token = w.tokenFor(p)
	conn, r := w.connect(dialing{person: p})
	if r.code != "" {
		w.t.Fatalf("%s gets no session: %s", name, r.code)
	}
	p.conn = conn
	return p
}

func (w *world) tokenFor(p *person) string {
	w.t.Helper()
	chain := make([]auction.Blob, len(p.chain))
	for i, der := range p.chain {
		chain[i] = der
	}
	var answer struct{ Token string }
	w.postFor(w.h.Ready.CA+"/api/issue", "", map[string]any{
		"chain": chain, "proof": w.proof(p.key, identity.ProofForToken, w.h.Ready.House),
	}, &answer)
	return answer.Token
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// dialing says how to open a session; what is not set is as it ought to be.
type dialing struct {
	person  *person
	chain   [][]byte
	token   string
	key     *ecdsa.PrivateKey
	modes   []string                       // subprotocols of the WebSocket
	offered []string                       // modes in the start message
	tamper  func(n int, msg []byte) []byte // changes the nth message of the client, from 0
}

// rawConn is a connection with nothing but the session between it and the test.
type rawConn struct {
	w    *world
	ws   *websocket.Conn
	sess *session.Session // nil for a spectator
	next uint32

	answers map[uint32]reply     // that nobody has awaited yet
	notices []wire.ServerMessage // what came unasked
}

// connect opens a session, or tells why the house does not.
func (w *world) connect(d dialing) (*rawConn, reply) {
	w.t.Helper()
	modes := d.modes
	if modes == nil {
		modes = session.Modes()
	}
	ws, _, err := websocket.Dial(w.ctx, w.h.Ready.DMS[0]+"/ws", &websocket.DialOptions{Subprotocols: modes})
	if err != nil {
		w.t.Fatal(err)
	}
	w.top.Cleanup(func() { ws.CloseNow() })
	ws.SetReadLimit(session.MaxServerMessage)
	c := &rawConn{w: w, ws: ws, answers: make(map[uint32]reply)}
	if ws.Subprotocol() == session.ModePublic {
		return c, reply{}
	}
	cfg := session.ClientConfig{
		Mode: cmp.Or(ws.Subprotocol(), session.ModeHybrid), Offered: d.offered, Token: d.token, Chain: d.chain, Key: d.key,
		VerifyServer: func(chain [][]byte, at auction.Time) (*ecdsa.PublicKey, error) {
			cert, err := w.verifier.Verify(chain, identity.RoleDMS, at.Std())
			if err != nil {
				return nil, err
			}
			return cert.Key, nil
		},
	}
	if cfg.Offered == nil {
		cfg.Offered = session.Modes()
	}
	if cfg.Token == "" {
		cfg.Token = d.person.token
	}
	if cfg.Chain == nil {
		cfg.Chain = d.person.chain
	}
	if d.key == nil {
		cfg.Key = d.person.key
	}
	c.sess, _, err = session.Client(w.ctx, &tampered{ws: ws, change: d.tamper}, cfg)
	if err != nil {
		return nil, w.closed(err)
	}
	return c, reply{}
}

// closed reads why a WebSocket was closed.
func (w *world) closed(err error) reply {
	w.t.Helper()
	var end websocket.CloseError
	var refusal *auction.Refusal
	switch {
	case errors.As(err, &refusal): // by the client: the house was not believed
		return reply{code: refusal.Code}
	case !errors.As(err, &end):
		w.t.Fatalf("not closed by the house: %v", err)
	}
	if end.Code == websocket.StatusMessageTooBig { // by the WebSocket itself
		return reply{code: auction.CodeTooLarge, end: int(end.Code)}
	}
	return reply{code: auction.Code(end.Reason), end: int(end.Code)}
}

// tampered is a connection for a handshake in which a message may be changed.
type tampered struct {
	ws     *websocket.Conn
	change func(int, []byte) []byte
	sent   int
}

func (c *tampered) Read(ctx context.Context) ([]byte, error) {
	_, data, err := c.ws.Read(ctx)
	return data, err
}

func (c *tampered) Write(ctx context.Context, msg []byte) error {
	if c.change != nil {
		msg = c.change(c.sent, bytes.Clone(msg))
	}
	c.sent++
	return c.ws.Write(ctx, websocket.MessageBinary, msg)
}

// send seals one message as it is.
func (c *rawConn) send(plaintext []byte) {
	c.w.t.Helper()
	if c.sess == nil {
		c.write(websocket.MessageText, plaintext)
		return
	}
	frame, err := c.sess.Seal(plaintext)
	if err != nil {
		c.w.t.Fatal(err)
	}
	c.write(websocket.MessageBinary, frame)
}

func (c *rawConn) write(kind websocket.MessageType, frame []byte) {
	c.w.t.Helper()
	if err := c.ws.Write(c.w.ctx, kind, frame); err != nil {
		c.w.t.Fatal(err)
	}
}

// read returns the messages of the next frame.
func (c *rawConn) read() ([]wire.ServerMessage, error) {
	_, frame, err := c.ws.Read(c.w.ctx)
	if err != nil {
		return nil, err
	}
	if c.sess != nil {
		if frame, err = c.sess.Open(frame); err != nil {
			return nil, err
		}
	}
	lines, err := wire.SplitFrame(frame)
	if err != nil {
		return nil, err
	}
	var out []wire.ServerMessage
	for _, line := range lines {
		m, err := wire.ParseServer(line)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// await reads until a request is answered or the house closes the connection.
func (c *rawConn) await(id uint32) reply {
	c.w.t.Helper()
	for {
		if r, ok := c.answers[id]; ok {
			delete(c.answers, id)
			return r
		}
		messages, err := c.read()
		if err != nil {
			return c.w.closed(err)
		}
		for _, m := range messages {
			switch answer, refused := m.(*wire.RefusedAnswer); {
			case refused:
				c.answers[answer.ID] = reply{code: answer.Code, least: answer.Least}
			case m.AnswerID() != 0:
				c.answers[m.AnswerID()] = reply{m: m}
			default:
				c.notices = append(c.notices, m)
			}
		}
	}
}

// ask sends a request and returns what it gets.
func (c *rawConn) ask(build func(id uint32) wire.ClientMessage) reply {
	c.w.t.Helper()
	c.next++
	c.send(wire.EncodeClient(build(c.next)))
	return c.await(c.next)
}

// closes reads until the house closes the connection.
func (c *rawConn) closes() reply {
	c.w.t.Helper()
	for {
		if _, err := c.read(); err != nil {
			return c.w.closed(err)
		}
	}
}
