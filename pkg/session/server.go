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

// ServerConfig is what [Server] needs. All fields but Spoken and Rand are
// required.
type ServerConfig struct {
	// Mode is the mode that the connection negotiated, one of Spoken.
	Mode string
	// Spoken is the modes that this server takes, in any order; nil is all of
	// [Modes].
	Spoken []string
	// Chain is the DMS's certificate chain in DER, leaf first: 1 to 3
	// certificates of at most 4096 bytes.
	Chain [][]byte
	// Key is the leaf's private key, ECDSA on P-256.
	Key crypto.Signer
	// Now gives the trusted time that the hello tells the client. Its error ends
	// the handshake.
	Now func() (auction.Time, error)
	// Authenticate judges the client's token and chain, and that they belong
	// together, and returns the leaf's key, which must be on P-256. Server then
	// checks that this key signed the handshake: until Server returns, what
	// Authenticate saw is a claim.
	Authenticate func(context.Context, Credentials) (*ecdsa.PublicKey, error)
	// Ready gives what the ready message carries, at most 16384 bytes. It is
	// called once, for an authenticated client. Its error ends the handshake.
	Ready func() ([]byte, error)
	// Rand gives the id and the HPKE key of the session; nil is crypto/rand.
	// Tests alone set it. What crypto/hpke and crypto/ecdsa draw for themselves
	// never comes from it.
	Rand io.Reader
}

// Credentials are what a client shows of itself. The slices stay valid.
type Credentials struct {
	Token string   // 1 to 4096 bytes, unchecked
	Chain [][]byte // 1 to 3 certificates, unchecked
}

func (cfg *ServerConfig) check() error {
	if !slices.Contains(cfg.Spoken, cfg.Mode) {
		return errors.New("mode in use is not one that this server takes")
	}
	if cfg.Now == nil || cfg.Authenticate == nil || cfg.Ready == nil {
		return errors.New("no clock, authentication or ready")
	}
	return checkSigner(cfg.Key, cfg.Chain)
}

// Server runs the server's side of the handshake on a new connection and
// returns the session. ctx bounds the whole of it.
//
// What the client sent wrongly is refused: bad_request, bad_version, too_large,
// bad_handshake, bad_signature, bad_certificate; the errors of Now,
// Authenticate and Ready are in the chain of the one returned. After an error the
// connection must be closed.
func Server(ctx context.Context, conn Conn, cfg ServerConfig) (*Session, error) {
	s, err := suiteOf(cfg.Mode)
	if err != nil {
		return nil, err
	}
	if cfg.Spoken == nil {
		cfg.Spoken = Modes()
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	h := serverHandshake{ServerConfig: cfg, conn: conn, suite: s, transcript: newTranscript()}
	clientKey, err := h.start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	id, err := h.hello(ctx)
	if err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	recipient, err := h.auth(ctx)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	sender, err := h.ready(ctx, clientKey, recipient)
	if err != nil {
		return nil, fmt.Errorf("ready: %w", err)
	}
	return &Session{id: id, mode: cfg.Mode, sender: sender, recipient: recipient}, nil
}

// serverHandshake has a method for each message, in their order.
type serverHandshake struct {
	ServerConfig
	conn       Conn
	suite      suite
	transcript transcript
	key        hpke.PrivateKey // the session's, gone with the handshake
}

func (h *serverHandshake) start(ctx context.Context) (hpke.PublicKey, error) {
	msg, err := h.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	m, err := parseStart(msg)
	if err != nil {
		return nil, err
	}
	// Someone who cut modes out of the connection's negotiation shows here: the
	// list in start is the client's own, and the hello's signature covers it.
	if best(h.Spoken, m.offered) != h.Mode {
		return nil, auction.Refuse(auction.CodeBadHandshake, "the connection's mode is not the best that the client offered")
	}
	key, err := h.suite.kem.NewPublicKey(m.key)
	if err != nil {
		return nil, auction.Refuse(auction.CodeBadHandshake, "the client's session key is not of the mode")
	}
	h.transcript.add(msg)
	return key, nil
}

func (h *serverHandshake) hello(ctx context.Context) (ID, error) {
	now, err := h.Now()
	if err != nil {
		return ID{}, fmt.Errorf("trusted time: %w", err)
	}
	m := hello{mode: h.Mode, chain: h.Chain, time: now}
	if _, err := io.ReadFull(h.Rand, m.id[:]); err != nil {
		return ID{}, fmt.Errorf("read randomness: %w", err)
	}
	if h.key, err = h.suite.newKey(h.Rand); err != nil {
		return ID{}, err
	}
	m.key = h.key.PublicKey().Bytes()
	head, err := m.marshalHead()
	if err != nil {
		return ID{}, fmt.Errorf("encode: %w", err)
	}
	h.transcript.add(head)
	if m.sig, err = h.transcript.sign(h.Rand, h.Key, labelHello); err != nil {
		return ID{}, err
	}
	tail, err := m.marshalTail()
	if err != nil {
		return ID{}, fmt.Errorf("encode: %w", err)
	}
	h.transcript.add(tail)
	return m.id, h.conn.Write(ctx, append(head, tail...))
}

func (h *serverHandshake) auth(ctx context.Context) (*hpke.Recipient, error) {
	msg, err := h.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	m, head, err := parseAuth(msg)
	if err != nil {
		return nil, err
	}
	recipient, err := hpke.NewRecipient(m.enc, h.key, h.suite.kdf, h.suite.aead, h.transcript.bind(labelC2S))
	if err != nil {
		return nil, auction.Refuse(auction.CodeBadHandshake, "the client's enc is not of the mode")
	}
	plaintext, err := recipient.Open(nil, m.sealed)
	if err != nil {
		return nil, auction.Refuse(auction.CodeBadHandshake, "the client's auth is not for this handshake")
	}
	c, err := parseCredentials(plaintext)
	if err != nil {
		return nil, err
	}
	key, err := h.Authenticate(ctx, Credentials{Token: c.token, Chain: c.chain})
	if err != nil {
		return nil, fmt.Errorf("authenticate: %w", err)
	}
	h.transcript.add(msg[:head])
	if err := h.transcript.verify(key, labelAuth, c.sig); err != nil {
		return nil, err
	}
	h.transcript.add(msg[head:])
	return recipient, nil
}

func (h *serverHandshake) ready(ctx context.Context, clientKey hpke.PublicKey, c2s *hpke.Recipient) (*hpke.Sender, error) {
	payload, err := h.Ready()
	if err != nil {
		return nil, fmt.Errorf("ready message: %w", err)
	}
	if len(payload) > maxReady {
		return nil, fmt.Errorf("payload has %d bytes, more than %d", len(payload), maxReady)
	}
	info, err := h.transcript.infoS2C(c2s)
	if err != nil {
		return nil, err
	}
	enc, sender, err := hpke.NewSender(clientKey, h.suite.kdf, h.suite.aead, info)
	if err != nil {
		return nil, fmt.Errorf("set up sending: %w", err)
	}
	sealed, err := sender.Seal(nil, payload)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	msg, err := (&ready{enc: enc, sealed: sealed}).marshal()
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return sender, h.conn.Write(ctx, msg)
}
