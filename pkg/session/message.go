package session

import (
	"slices"

	"github.com/sigilo/sigilo/pkg/auction"
	"golang.org/x/crypto/cryptobyte"
)

// version is the first byte of every handshake message.
const version = 1

// The second byte of a handshake message.
const (
	typeStart byte = 1
	typeHello byte = 2
	typeAuth  byte = 3
	typeReady byte = 4
)

// Limits of the handshake, in bytes unless said otherwise. All keys and enc
// have room for the post-quantum hybrid KEMs.
const (
	nonceSize   = 32
	maxKey      = 2048 // an HPKE public key or enc
	maxModes    = 8    // number of modes offered
	maxChain    = 3    // number of certificates
	maxCert     = 4096 // one certificate
	maxToken    = 4096
	maxSig      = 128 // ECDSA P-256 in ASN.1 takes at most 72
	maxReady    = 16 << 10
	maxTime     = 1<<53 - 1 // microseconds
	fields      = 64        // more than all fixed fields and length prefixes of a message
	maxChainLen = 3 + maxChain*(2+maxCert)

	maxStartMsg = fields + nonceSize + maxKey + 256
	maxHelloMsg = fields + 16 + maxKey + 256 + maxChainLen + maxSig
	maxAuthMsg  = fields + maxKey + maxToken + maxChainLen + maxSig + Overhead
	maxReadyMsg = fields + maxKey + maxReady + Overhead
)

// The largest messages of a connection, for the read limit of its transport.
const (
	MaxClientMessage = maxAuthMsg                    // what the DMS must be able to read
	MaxServerMessage = MaxServerPlaintext + Overhead // what a client must be able to read
)

var typeNames = map[byte]string{typeStart: "start", typeHello: "hello", typeAuth: "auth", typeReady: "ready"}

type start struct {
	nonce   [nonceSize]byte
	key     []byte // the client's HPKE public key
	offered []string
}

type hello struct {
	id    ID
	key   []byte // the DMS's HPKE public key
	mode  string
	chain [][]byte
	time  auction.Time
	sig   []byte
}

type auth struct {
	enc    []byte
	sealed []byte
}

// credentials is the plaintext of auth.
type credentials struct {
	token string
	chain [][]byte
	sig   []byte
}

type ready struct {
	enc    []byte
	sealed []byte
}

func newMessage(kind byte) *cryptobyte.Builder {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint8(version)
	b.AddUint8(kind)
	return b
}

func (m *start) marshal() ([]byte, error) {
	b := newMessage(typeStart)
	b.AddBytes(m.nonce[:])
	addBytes16(b, m.key)
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, mode := range m.offered {
			addString8(b, mode)
		}
	})
	return b.Bytes()
}

// marshalHead encodes hello up to its signature: what the signature covers.
func (m *hello) marshalHead() ([]byte, error) {
	b := newMessage(typeHello)
	b.AddBytes(m.id[:])
	addBytes16(b, m.key)
	addString8(b, m.mode)
	addChain(b, m.chain)
	b.AddUint64(uint64(m.time))
	return b.Bytes()
}

// marshalTail encodes the rest of hello.
func (m *hello) marshalTail() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	addBytes16(b, m.sig)
	return b.Bytes()
}

// marshalHead encodes auth up to its sealed part: what the signature covers.
func (m *auth) marshalHead() ([]byte, error) {
	b := newMessage(typeAuth)
	addBytes16(b, m.enc)
	return b.Bytes()
}

// marshalTail encodes the rest of auth.
func (m *auth) marshalTail() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	addBytes24(b, m.sealed)
	return b.Bytes()
}

func (m *credentials) marshal() ([]byte, error) {
	b := cryptobyte.NewBuilder(nil)
	addBytes16(b, []byte(m.token))
	addChain(b, m.chain)
	addBytes16(b, m.sig)
	return b.Bytes()
}

func (m *ready) marshal() ([]byte, error) {
	b := newMessage(typeReady)
	addBytes16(b, m.enc)
	addBytes24(b, m.sealed)
	return b.Bytes()
}

func parseStart(msg []byte) (*start, error) {
	s, err := body(msg, typeStart, maxStartMsg)
	if err != nil {
		return nil, err
	}
	var m start
	var offered cryptobyte.String
	ok := s.CopyBytes(m.nonce[:]) && readBytes16(&s, &m.key, maxKey) &&
		s.ReadUint8LengthPrefixed(&offered) && s.Empty()
	for ok && !offered.Empty() {
		var mode string
		ok = readMode(&offered, &mode) && len(m.offered) < maxModes && !slices.Contains(m.offered, mode)
		m.offered = append(m.offered, mode)
	}
	if !ok || len(m.offered) == 0 {
		return nil, malformed("start message")
	}
	return &m, nil
}

// parseHello also returns the length of what the signature covers.
func parseHello(msg []byte) (*hello, int, error) {
	s, err := body(msg, typeHello, maxHelloMsg)
	if err != nil {
		return nil, 0, err
	}
	var m hello
	var micros uint64
	ok := s.CopyBytes(m.id[:]) && readBytes16(&s, &m.key, maxKey) && readMode(&s, &m.mode) &&
		readChain(&s, &m.chain) && s.ReadUint64(&micros) && micros > 0 && micros <= maxTime
	head := len(msg) - len(s)
	if !ok || !readBytes16(&s, &m.sig, maxSig) || !s.Empty() {
		return nil, 0, malformed("hello message")
	}
	m.time = auction.Time(micros)
	return &m, head, nil
}

// parseAuth also returns the length of what the signature inside covers.
func parseAuth(msg []byte) (*auth, int, error) {
	s, err := body(msg, typeAuth, maxAuthMsg)
	if err != nil {
		return nil, 0, err
	}
	var m auth
	ok := readBytes16(&s, &m.enc, maxKey)
	head := len(msg) - len(s)
	if !ok || !readBytes24(&s, &m.sealed, maxAuthMsg) || !s.Empty() {
		return nil, 0, malformed("auth message")
	}
	return &m, head, nil
}

func parseCredentials(plaintext []byte) (*credentials, error) {
	s := cryptobyte.String(plaintext)
	var m credentials
	var token []byte
	if !readBytes16(&s, &token, maxToken) || !readChain(&s, &m.chain) ||
		!readBytes16(&s, &m.sig, maxSig) || !s.Empty() {
		return nil, malformed("sealed part of the auth message")
	}
	m.token = string(token)
	return &m, nil
}

func parseReady(msg []byte) (*ready, error) {
	s, err := body(msg, typeReady, maxReadyMsg)
	if err != nil {
		return nil, err
	}
	var m ready
	if !readBytes16(&s, &m.enc, maxKey) || !readBytes24(&s, &m.sealed, maxReady+Overhead) || !s.Empty() {
		return nil, malformed("ready message")
	}
	return &m, nil
}

// body checks a message's size, version and type, and returns what follows.
func body(msg []byte, kind byte, limit int) (cryptobyte.String, error) {
	if len(msg) > limit {
		return nil, auction.Refuse(auction.CodeTooLarge, "a %s message has at most %d bytes", typeNames[kind], limit)
	}
	s := cryptobyte.String(msg)
	var v, t uint8
	if !s.ReadUint8(&v) || !s.ReadUint8(&t) {
		return nil, malformed(typeNames[kind] + " message")
	}
	if v != version {
		return nil, auction.Refuse(auction.CodeBadVersion, "this side speaks version %d of the handshake", version)
	}
	if t != kind {
		return nil, auction.Refuse(auction.CodeBadHandshake, "a %s message is due now", typeNames[kind])
	}
	return s, nil
}

func malformed(what string) error {
	return auction.Refuse(auction.CodeBadRequest, "the %s is malformed", what)
}

func addBytes16(b *cryptobyte.Builder, v []byte) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(v) })
}

func addBytes24(b *cryptobyte.Builder, v []byte) {
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(v) })
}

func addString8(b *cryptobyte.Builder, v string) {
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(v)) })
}

func addChain(b *cryptobyte.Builder, chain [][]byte) {
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, der := range chain {
			addBytes16(b, der)
		}
	})
}

// readBytes16 reads 1 to limit bytes after a length of two bytes.
func readBytes16(s *cryptobyte.String, out *[]byte, limit int) bool {
	var v cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&v) || v.Empty() || len(v) > limit {
		return false
	}
	*out = v
	return true
}

// readBytes24 reads 1 to limit bytes after a length of three bytes.
func readBytes24(s *cryptobyte.String, out *[]byte, limit int) bool {
	var v cryptobyte.String
	if !s.ReadUint24LengthPrefixed(&v) || v.Empty() || len(v) > limit {
		return false
	}
	*out = v
	return true
}

// readMode reads the name of a mode: visible ASCII, as a subprotocol's is.
func readMode(s *cryptobyte.String, out *string) bool {
	var v cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&v) || v.Empty() {
		return false
	}
	for _, c := range v {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	*out = string(v)
	return true
}

// readChain reads 1 to maxChain certificates; their DER is the caller's to judge.
func readChain(s *cryptobyte.String, out *[][]byte) bool {
	var list cryptobyte.String
	if !s.ReadUint24LengthPrefixed(&list) {
		return false
	}
	var chain [][]byte
	for !list.Empty() {
		var der []byte
		if len(chain) == maxChain || !readBytes16(&list, &der, maxCert) {
			return false
		}
		chain = append(chain, der)
	}
	*out = chain
	return len(chain) > 0
}
