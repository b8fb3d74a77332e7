package session

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"errors"
	"testing"
)

// A recording is what a party on the wire sees of a session.
type recording struct {
	start, hello, auth, ready []byte
	up, down                  [][]byte // frames
}

// record holds a session in which each side says one thing.
func record(t *testing.T, sc ServerConfig) recording {
	t.Helper()
	m := meet(clientConfig(client), sc, nil)
	if m.clientErr != nil || m.serverErr != nil {
		t.Fatalf("client %v, server %v", m.clientErr, m.serverErr)
	}
	up, err := m.client.Seal([]byte("a bid"))
	if err != nil {
		t.Fatal(err)
	}
	down, err := m.server.Seal([]byte("a receipt"))
	if err != nil {
		t.Fatal(err)
	}
	return recording{
		m.clientWrote[0], m.serverWrote[0], m.clientWrote[1], m.serverWrote[1],
		[][]byte{up},
		[][]byte{down},
	}
}

// openUp tries to open what the client sent, with an HPKE private key. It is
// written from the protocol and shares no code with the two sides but parsers.
func (r *recording) openUp(key hpke.PrivateKey) ([][]byte, *hpke.Recipient, error) {
	m, _, err := parseAuth(r.auth)
	if err != nil {
		return nil, nil, err
	}
	info := binding("sigilo/c2s/v1", r.start, r.hello)
	recipient, err := hpke.NewRecipient(m.enc, key, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
	if err != nil {
		return nil, nil, err
	}
	plaintexts, err := openAll(recipient, append([][]byte{m.sealed}, r.up...))
	return plaintexts, recipient, err
}

// openDown tries to open what the server sent, with the client's HPKE private
// key and the secret exported from the other direction.
func (r *recording) openDown(key hpke.PrivateKey, secret []byte) ([][]byte, error) {
	m, err := parseReady(r.ready)
	if err != nil {
		return nil, err
	}
	info := append(binding("sigilo/s2c/v1", r.start, r.hello, r.auth), secret...)
	recipient, err := hpke.NewRecipient(m.enc, key, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
	if err != nil {
		return nil, err
	}
	return openAll(recipient, append([][]byte{m.sealed}, r.down...))
}

// guesses stand in for the exported secret where it is not known.
var guesses = [][]byte{nil, make([]byte, exportSize)}

func binding(label string, messages ...[]byte) []byte {
	t := newTranscript()
	for _, m := range messages {
		t.add(m)
	}
	return t.bind(label)
}

func openAll(recipient *hpke.Recipient, frames [][]byte) ([][]byte, error) {
	var out [][]byte
	for _, frame := range frames {
		plaintext, err := recipient.Open(nil, frame)
		if err != nil {
			return nil, err
		}
		out = append(out, plaintext)
	}
	return out, nil
}

// asHPKE takes a long-term signing key for an HPKE key, as a thief would try.
func asHPKE(t *testing.T, p party) hpke.PrivateKey {
	t.Helper()
	exchange, err := p.key.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	key, err := hpke.NewDHKEMPrivateKey(exchange)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A thief of every long-term key opens nothing of a recorded session.
func TestLongTermKeysOpenNothing(t *testing.T) {
	r := record(t, serverConfig(dms))
	for _, p := range []party{dms, client, stranger} {
		key := asHPKE(t, p)
		if _, _, err := r.openUp(key); err == nil {
			t.Error("the thief read the client")
		}
		for _, guess := range guesses {
			if _, err := r.openDown(key, guess); err == nil {
				t.Error("the thief read the server")
			}
		}
	}
}

// The same thief reads the client when the server's HPKE key is a static one,
// here because its randomness never changes. So the test above would notice.
func TestStaticKeyWouldOpen(t *testing.T) {
	seed := bytes.Repeat([]byte{7}, 48)
	sc := serverConfig(dms)
	sc.Rand = bytes.NewReader(seed)
	r := record(t, sc)
	stolen, err := hpke.DHKEM(ecdh.P256()).DeriveKeyPair(seed[16:])
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := r.openUp(stolen)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got[0], []byte(testToken)) || !bytes.Contains(got[1], []byte("a bid")) {
		t.Error("the thief read something else")
	}
}

// The client's HPKE key alone does not open what the server sent.
func TestOtherDirectionNeedsBothKeys(t *testing.T) {
	seed := bytes.Repeat([]byte{8}, 64)
	serverSeed := bytes.Repeat([]byte{9}, 48)
	cc, sc := clientConfig(client), serverConfig(dms)
	cc.Rand, sc.Rand = bytes.NewReader(seed), bytes.NewReader(serverSeed)
	m := meet(cc, sc, nil)
	if err := errors.Join(m.clientErr, m.serverErr); err != nil {
		t.Fatal(err)
	}
	r := recording{start: m.clientWrote[0], hello: m.serverWrote[0], auth: m.clientWrote[1], ready: m.serverWrote[1]}
	clientKey, err := hpke.DHKEM(ecdh.P256()).DeriveKeyPair(seed[nonceSize:])
	if err != nil {
		t.Fatal(err)
	}
	for _, guess := range guesses {
		if _, err := r.openDown(clientKey, guess); err == nil {
			t.Error("opened without the secret of the other direction")
		}
	}
	serverKey, err := hpke.DHKEM(ecdh.P256()).DeriveKeyPair(serverSeed[16:])
	if err != nil {
		t.Fatal(err)
	}
	_, recipient, err := r.openUp(serverKey)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := recipient.Export("sigilo/s2c/v1", exportSize)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.openDown(clientKey, secret); err != nil || string(got[0]) != testReady {
		t.Errorf("with both keys: %q, %v", got, err)
	}
}
