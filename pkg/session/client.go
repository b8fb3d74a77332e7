package session

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/hpke"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sigilo/sigilo/pkg/auction"
)

// ClientConfig is what [Client] needs. All fields but Rand are required.
type ClientConfig struct {
	// Mode is the mode that the connection negotiated, one of Offered.
	Mode string
	// Offered is every mode that the client offered when it connected: 1 to 8
	// names of visible ASCII, 255 bytes together with a byte for each name.
	Offered []string
	// VerifyServer judges the DMS's chain, leaf first, as of the time that the
	// DMS names, and returns the leaf's key, which must be on P-256. That time is
	// signed, but only by the DMS. The slices stay valid.
	VerifyServer func(chain [][]byte, at auction.Time) (*ecdsa.PublicKey, error)
	// Token is the session token, at most 4096 bytes.
	Token string
	// Chain is the client's certificate chain in DER, leaf first: 1 to 3
	// certificates of at most 4096 bytes.
	Chain [][]byte
	// Key is the leaf's private key, ECDSA on P-256.
	Key crypto.Signer
	// Rand gives the nonce and the HPKE key of the session; nil is crypto/rand.
	// Tests alone set it. What crypto/hpke and crypto/ecdsa draw for themselves
	// never comes from it.
	Rand io.Reader
}

func (cfg *ClientConfig) check() error {
	if !slices.Contains(cfg.Offered, cfg.Mode) {
		return errors.New("mode in use was not offered")
	}
	if cfg.VerifyServer == nil {
		return errors.New("no check of the server's certificate")
	}
	if n := len(cfg.Token); n == 0 || n > maxToken {
		return fmt.Errorf("token has %d bytes, not 1 to %d", n, maxToken)
	}
	return checkSigner(cfg.Key, cfg.Chain)
}

// Client runs the client's side of the handshake on a new connection and returns
// the session and what the server's Ready gave. ctx bounds the whole of it.
//
// What the server sent wrongly is refused: bad_request, bad_version, too_large,
// bad_handshake, bad_signature, bad_certificate; VerifyServer's error is in the
// chain of the one returned. After an error the connection must be closed.
func Client(ctx context.Context, conn Conn, cfg ClientConfig) (*Session, []byte, error) {
	s, err := suiteOf(cfg.Mode)
	if err != nil {
		return nil, nil, err
	}
	if err := cfg.check(); err != nil {
		return nil, nil, err
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	h := clientHandshake{ClientConfig: cfg, conn: conn, suite: s, transcript: newTranscript()}
	if err := h.start(ctx); err != nil {
		return nil, nil, fmt.Errorf("start: %w", err)
	}
	hello, err := h.hello(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("hello: %w", err)
	}
	sender, err := h.auth(ctx, hello)
	if err != nil {
		return nil, nil, fmt.Errorf("auth: %w", err)
	}
	recipient, payload, err := h.ready(ctx, sender)
	if err != nil {
		return nil, nil, fmt.Errorf("ready: %w", err)
	}
	session := &Session{id: hello.id, mode: hello.mode, client: true, sender: sender, recipient: recipient}
	return session, payload, nil
}

// clientHandshake has a method for each message, in their order.
type clientHandshake struct {
	ClientConfig
	conn       Conn
	suite      suite
	transcript transcript
	key        hpke.PrivateKey // the session's, gone with the handshake
}

func (h *clientHandshake) start(ctx context.Context) error {
	m := start{offered: h.Offered}
	if _, err := io.ReadFull(h.Rand, m.nonce[:]); err != nil {
		return fmt.Errorf("read randomness: %w", err)
	}
	var err error
	if h.key, err = h.suite.newKey(h.Rand); err != nil {
		return err
	}
	m.key = h.key.PublicKey().Bytes()
	msg, err := m.marshal()
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	// The server refuses a list with too many, empty or doubled names; say it here.
	if _, err := parseStart(msg); err != nil {
		return errors.New("list of offered modes is not valid")
	}
	h.transcript.add(msg)
	return h.conn.Write(ctx, msg)
}

func (h *clientHandshake) hello(ctx context.Context) (*hello, error) {
	msg, err := h.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	m, head, err := parseHello(msg)
	if err != nil {
		return nil, err
	}
	if m.mode != h.Mode {
		return nil, auction.Refuse(auction.CodeBadHandshake, "the server answers in another mode than the connection's")
	}
	key, err := h.VerifyServer(m.chain, m.time)
	if err != nil {
		return nil, fmt.Errorf("verify server: %w", err)
	}
	h.transcript.add(msg[:head])
	if err := h.transcript.verify(key, labelHello, m.sig); err != nil {
		return nil, err
	}
	h.transcript.add(msg[head:])
	return m, nil
}

func (h *clientHandshake) auth(ctx context.Context, hello *hello) (*hpke.Sender, error) {
	serverKey, err := h.suite.kem.NewPublicKey(hello.key)
	if err != nil {
		return nil, auction.Refuse(auction.CodeBadHandshake, "the server's session key is not of the mode")
	}
	enc, sender, err := hpke.NewSender(serverKey, h.suite.kdf, h.suite.aead, h.transcript.bind(labelC2S))
	if err != nil {
		return nil, fmt.Errorf("set up sending: %w", err)
	}
	m := auth{enc: enc}
	head, err := m.marshalHead()
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	h.transcript.add(head)
	sig, err := h.transcript.sign(h.Rand, h.Key, labelAuth)
	if err != nil {
		return nil, err
	}
	plaintext, err := (&credentials{token: h.Token, chain: h.Chain, sig: sig}).marshal()
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if m.sealed, err = sender.Seal(nil, plaintext); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	tail, err := m.marshalTail()
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	h.transcript.add(tail)
	return sender, h.conn.Write(ctx, append(head, tail...))
}

func (h *clientHandshake) ready(ctx context.Context, sender *hpke.Sender) (*hpke.Recipient, []byte, error) {
	msg, err := h.conn.Read(ctx)
	if err != nil {
		return nil, nil, err
	}
	m, err := parseReady(msg)
	if err != nil {
		return nil, nil, err
	}
	info, err := h.transcript.infoS2C(sender)
	if err != nil {
		return nil, nil, err
	}
	recipient, err := hpke.NewRecipient(m.enc, h.key, h.suite.kdf, h.suite.aead, info)
	if err != nil {
		return nil, nil, auction.Refuse(auction.CodeBadHandshake, "the server's enc is not of the mode")
	}
	payload, err := recipient.Open(nil, m.sealed)
	if err != nil {
		return nil, nil, auction.Refuse(auction.CodeBadHandshake, "the server's ready is not for this handshake")
	}
	return recipient, payload, nil
}
