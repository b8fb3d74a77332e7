package session

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hpke"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"slices"
	"testing"
	"testing/cryptotest"

	"github.com/sigilo/sigilo/pkg/auction"
)

var update = flag.Bool("update", false, "write the vectors in testdata anew")

// vectorFile is the one of a mode.
func vectorFile(mode string) string {
	return "testdata/" + map[string]string{ModeP256: "session.json", ModeHybrid: "session-mlkem768p256.json"}[mode]
}

// b64 is binary in JSON: unpadded base64url.
type b64 []byte

func (b b64) MarshalText() ([]byte, error) {
	return []byte(base64.RawURLEncoding.EncodeToString(b)), nil
}

func (b *b64) UnmarshalText(text []byte) error {
	var err error
	*b, err = base64.RawURLEncoding.Strict().DecodeString(string(text))
	return err
}

// A vector is a recorded session with the private keys of its parties, for
// implementations in other languages.
type vector struct {
	Mode    string       `json:"mode"`
	Offered []string     `json:"offered"`
	Time    auction.Time `json:"time"`
	Token   string       `json:"token"`
	Payload b64          `json:"payload"` // what ready carries

	ClientRand  b64   `json:"client_rand"`  // nonce, then the ikm of the HPKE key
	ServerRand  b64   `json:"server_rand"`  // session id, then the ikm of the HPKE key
	ClientKey   b64   `json:"client_key"`   // ECDSA P-256, the scalar
	ServerKey   b64   `json:"server_key"`   // ECDSA P-256, the scalar
	ClientChain []b64 `json:"client_chain"` // the first is the SPKI in place of a certificate
	ServerChain []b64 `json:"server_chain"`

	ClientHPKE b64 `json:"client_hpke"` // the session's private keys, serialized
	ServerHPKE b64 `json:"server_hpke"`
	InfoC2S    b64 `json:"info_c2s"`
	InfoS2C    b64 `json:"info_s2c"`
	Exported   b64 `json:"exported"` // the end of info_s2c

	Start b64     `json:"start"`
	Hello b64     `json:"hello"`
	Auth  b64     `json:"auth"`
	Ready b64     `json:"ready"`
	Up    []frame `json:"client_frames"`
	Down  []frame `json:"server_frames"`
}

type frame struct {
	Message b64 `json:"message"`
	Frame   b64 `json:"frame"`
}

func (v *vector) recording() recording {
	r := recording{kem: kemOf(v.Mode), start: v.Start, hello: v.Hello, auth: v.Auth, ready: v.Ready}
	for _, f := range v.Up {
		r.up = append(r.up, f.Frame)
	}
	for _, f := range v.Down {
		r.down = append(r.down, f.Frame)
	}
	return r
}

// rfc6979 signs without randomness, so that a hello can be made again.
type rfc6979 struct{ *ecdsa.PrivateKey }

func (k rfc6979) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.PrivateKey.Sign(nil, digest, opts)
}

func (v *vector) parties(t *testing.T) (c, s party) {
	t.Helper()
	parse := func(scalar []byte) party {
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
		if err != nil {
			t.Fatal(err)
		}
		return partyOf(key)
	}
	return parse(v.ClientKey), parse(v.ServerKey)
}

func (v *vector) configs(t *testing.T) (ClientConfig, ServerConfig) {
	t.Helper()
	c, s := v.parties(t)
	cc, sc := clientConfig(v.Mode, c), serverConfig(v.Mode, s)
	cc.Offered, cc.Token, cc.Rand = v.Offered, v.Token, bytes.NewReader(v.ClientRand)
	cc.VerifyServer = func(chain [][]byte, _ auction.Time) (*ecdsa.PublicKey, error) { return certifiedKey(chain, s) }
	sc.Rand, sc.Key = bytes.NewReader(v.ServerRand), rfc6979{s.key}
	sc.Now = func() (auction.Time, error) { return v.Time, nil }
	sc.Authenticate = func(_ context.Context, got Credentials) (*ecdsa.PublicKey, error) {
		if got.Token != v.Token {
			t.Error("another token")
		}
		return certifiedKey(got.Chain, c)
	}
	sc.Ready = func() ([]byte, error) { return v.Payload, nil }
	return cc, sc
}

// The recorded session still is one: each side writes and accepts the same
// bytes, and its keys open it.
func TestVector(t *testing.T) {
	everyMode(t, testVector)
}

func testVector(t *testing.T, mode string) {
	if *update {
		writeVector(t, mode)
	}
	file, err := os.ReadFile(vectorFile(mode))
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil || v.Mode != mode {
		t.Fatal(v.Mode, err)
	}
	t.Run("server", func(t *testing.T) { v.checkServer(t) })
	t.Run("client", func(t *testing.T) { v.checkClient(t) })
	t.Run("keys", func(t *testing.T) { v.checkKeys(t) })
}

func (v *vector) checkServer(t *testing.T) {
	_, sc := v.configs(t)
	in, out := make(chan []byte, 2), make(chan []byte, 2)
	in <- v.Start
	in <- v.Auth
	s, err := Server(t.Context(), &end{in: in, out: out, server: true}, sc)
	if err != nil {
		t.Fatal(err)
	}
	if got := <-out; !bytes.Equal(got, v.Hello) {
		t.Errorf("hello is %x", got)
	}
	for i, f := range v.Up {
		if got, err := s.Open(f.Frame); err != nil || !bytes.Equal(got, f.Message) {
			t.Errorf("frame %d: %d bytes, %v", i, len(got), err)
		}
	}
}

// What the client encapsulates is fresh each time, so it goes as far as its auth.
func (v *vector) checkClient(t *testing.T) {
	cc, _ := v.configs(t)
	in, out := make(chan []byte, 1), make(chan []byte, 2)
	in <- v.Hello
	close(in)
	_, _, err := Client(t.Context(), &end{in: in, out: out}, cc)
	if !errors.Is(err, io.EOF) {
		t.Errorf("client: %v", err)
	}
	if got := <-out; !bytes.Equal(got, v.Start) {
		t.Errorf("start is %x", got)
	}
	if _, _, err := parseAuth(<-out); err != nil {
		t.Errorf("auth: %v", err)
	}
}

func (v *vector) checkKeys(t *testing.T) {
	key := func(serialized []byte) hpke.PrivateKey {
		k, err := kemOf(v.Mode).NewPrivateKey(serialized)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	r := v.recording()
	if !bytes.Equal(v.InfoC2S, binding("sigilo/c2s/v1", r.start, r.hello)) {
		t.Error("info_c2s differs")
	}
	if !bytes.Equal(v.InfoS2C, append(binding("sigilo/s2c/v1", r.start, r.hello, r.auth), v.Exported...)) {
		t.Error("info_s2c differs")
	}
	up, recipient, err := r.openUp(key(v.ServerHPKE))
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseCredentials(up[0])
	if err != nil || c.token != v.Token || !bytes.Equal(c.chain[0], v.ClientChain[0]) {
		t.Errorf("credentials: %v", err)
	}
	for i, padded := range up[1:] {
		if got, ok := unpad(padded); !ok || !bytes.Equal(got, v.Up[i].Message) {
			t.Errorf("client's frame %d differs", i)
		}
	}
	secret, err := recipient.Export("sigilo/s2c/v1", exportSize)
	if err != nil || !bytes.Equal(secret, v.Exported) {
		t.Errorf("exported %x, %v", secret, err)
	}
	down, err := r.openDown(key(v.ClientHPKE), v.Exported)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(down[0], v.Payload) {
		t.Error("ready carries something else")
	}
	for i, message := range down[1:] {
		if !bytes.Equal(message, v.Down[i].Message) {
			t.Errorf("server's frame %d differs", i)
		}
	}
}

// writeVector records a session. The randomness is fixed so that it is the same
// each time, as long as the standard library draws as it does now.
func writeVector(t *testing.T, mode string) {
	cryptotest.SetGlobalRandom(t, 17)
	v := vector{
		Mode: mode, Offered: Modes()[slices.Index(Modes(), mode):], Time: testTime, Token: testToken, Payload: b64(testReady),
		ClientRand: make([]byte, 64), ServerRand: make([]byte, 48),
	}
	rand.Read(v.ClientRand)
	rand.Read(v.ServerRand)
	for _, k := range []*b64{&v.ClientKey, &v.ServerKey} {
		scalar, err := newParty().key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		*k = scalar
	}
	c, s := v.parties(t)
	for i := range c.chain {
		v.ClientChain = append(v.ClientChain, c.chain[i])
		v.ServerChain = append(v.ServerChain, s.chain[i])
	}
	cc, sc := v.configs(t)
	m := meet(cc, sc, nil)
	if err := errors.Join(m.clientErr, m.serverErr); err != nil {
		t.Fatal(err)
	}
	v.Start, v.Hello, v.Auth, v.Ready = m.clientWrote[0], m.serverWrote[0], m.clientWrote[1], m.serverWrote[1]
	v.Up = sealAll(t, m.client, []byte("a bid"), bytes.Repeat([]byte("long "), 1000), []byte("another"))
	v.Down = sealAll(t, m.server, []byte("a receipt"), []byte("an event"))
	v.ClientHPKE, v.ServerHPKE = v.serializedKey(t, v.ClientRand[nonceSize:]), v.serializedKey(t, v.ServerRand[len(ID{}):])
	v.fillSecrets(t)
	file, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile(mode), append(file, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (v *vector) fillSecrets(t *testing.T) {
	t.Helper()
	key, err := kemOf(v.Mode).NewPrivateKey(v.ServerHPKE)
	if err != nil {
		t.Fatal(err)
	}
	r := v.recording()
	_, recipient, err := r.openUp(key)
	if err != nil {
		t.Fatal(err)
	}
	if v.Exported, err = recipient.Export(labelS2C, exportSize); err != nil {
		t.Fatal(err)
	}
	v.InfoC2S = binding(labelC2S, v.Start, v.Hello)
	v.InfoS2C = append(binding(labelS2C, v.Start, v.Hello, v.Auth), v.Exported...)
}

func (v *vector) serializedKey(t *testing.T, ikm []byte) []byte {
	t.Helper()
	key, err := kemOf(v.Mode).DeriveKeyPair(ikm)
	if err != nil {
		t.Fatal(err)
	}
	b, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sealAll(t *testing.T, s *Session, messages ...[]byte) []frame {
	t.Helper()
	var out []frame
	for _, message := range messages {
		sealed, err := s.Seal(message)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, frame{message, sealed})
	}
	return out
}
