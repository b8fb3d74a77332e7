package session

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/mlkem"
	"crypto/sha3"
	"errors"
	"testing"
)

// A recording is what a party on the wire sees of a session.
type recording struct {
	kem                       hpke.KEM
	start, hello, auth, ready []byte
	up, down                  [][]byte // frames
}

// record holds a session in which each side says one thing.
func record(t *testing.T, cc ClientConfig, sc ServerConfig) recording {
	t.Helper()
	m := meet(cc, sc, nil)
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
		kemOf(cc.Mode), m.clientWrote[0], m.serverWrote[0], m.clientWrote[1], m.serverWrote[1],
		[][]byte{up},
		[][]byte{down},
	}
}

// kemOf is the KEM of a mode, as the protocol names it.
func kemOf(mode string) hpke.KEM {
	return map[string]hpke.KEM{ModeP256: hpke.DHKEM(ecdh.P256()), ModeHybrid: hpke.MLKEM768P256()}[mode]
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

// asHPKE takes a long-term signing key for an HPKE key, in each way that a thief
// could try.
func asHPKE(t *testing.T, kem hpke.KEM, p party) []hpke.PrivateKey {
	t.Helper()
	scalar, err := p.key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var out []hpke.PrivateKey
	for _, make := range []func([]byte) (hpke.PrivateKey, error){kem.NewPrivateKey, kem.DeriveKeyPair} {
		key, err := make(scalar)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, key)
	}
	return out
}

// A thief of every long-term key opens nothing of a recorded session.
func TestLongTermKeysOpenNothing(t *testing.T) {
	everyMode(t, func(t *testing.T, mode string) {
		r := record(t, clientConfig(mode, client), serverConfig(mode, dms))
		for _, p := range []party{dms, client, stranger} {
			for _, key := range asHPKE(t, r.kem, p) {
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
	})
}

// The same thief reads the client when the server's HPKE key is made from its
// long-term one. So the test above would notice.
func TestStaticKeyWouldOpen(t *testing.T) {
	everyMode(t, func(t *testing.T, mode string) {
		scalar, err := dms.key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		sc := serverConfig(mode, dms)
		sc.Rand = bytes.NewReader(append(make([]byte, len(ID{})), scalar...))
		r := record(t, clientConfig(mode, client), sc)
		opened := false
		for _, key := range asHPKE(t, r.kem, dms) {
			got, _, err := r.openUp(key)
			opened = opened || err == nil && bytes.Contains(got[0], []byte(testToken)) && bytes.Contains(got[1], []byte("a bid"))
		}
		if !opened {
			t.Error("the thief did not read a session under a static key")
		}
	})
}

// fixed is a session in which the thief knows what each side's HPKE key is made
// from, and those keys.
func fixed(t *testing.T, mode string) (r recording, clientKey, serverKey hpke.PrivateKey) {
	t.Helper()
	clientSeed, serverSeed := bytes.Repeat([]byte{8}, 64), bytes.Repeat([]byte{9}, 48)
	cc, sc := clientConfig(mode, client), serverConfig(mode, dms)
	cc.Rand, sc.Rand = bytes.NewReader(clientSeed), bytes.NewReader(serverSeed)
	r = record(t, cc, sc)
	var errs [2]error
	clientKey, errs[0] = r.kem.DeriveKeyPair(clientSeed[nonceSize:])
	serverKey, errs[1] = r.kem.DeriveKeyPair(serverSeed[len(ID{}):])
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return r, clientKey, serverKey
}

// The client's HPKE key alone does not open what the server sent.
func TestOtherDirectionNeedsBothKeys(t *testing.T) {
	everyMode(t, func(t *testing.T, mode string) {
		r, clientKey, serverKey := fixed(t, mode)
		for _, guess := range guesses {
			if _, err := r.openDown(clientKey, guess); err == nil {
				t.Error("opened without the secret of the other direction")
			}
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
	})
}

// Whoever breaks one half of the hybrid, P-256 by a quantum computer or ML-KEM by
// a flaw in it, opens nothing without the other half.
func TestHybridNeedsBothHalves(t *testing.T) {
	r, _, serverKey := fixed(t, ModeHybrid)
	lattice, curve := halves(t, serverKey)
	otherLattice, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	otherCurve, err := ecdh.P256().GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		lattice *mlkem.DecapsulationKey768
		curve   *ecdh.PrivateKey
		opens   bool
	}{
		{"both", lattice, curve, true},
		{"P-256 alone", otherLattice, curve, false},
		{"ML-KEM alone", lattice, otherCurve, false},
	} {
		key, err := hpke.NewHybridPrivateKey(tc.lattice, tc.curve)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.openUp(key); (err == nil) != tc.opens {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// halves expands a hybrid key's seed into the keys of its two parts, as the KEM's
// specification says.
func halves(t *testing.T, key hpke.PrivateKey) (*mlkem.DecapsulationKey768, *ecdh.PrivateKey) {
	t.Helper()
	seed, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	expanded := sha3.SumSHAKE256(seed, mlkem.SeedSize+32)
	lattice, err := mlkem.NewDecapsulationKey768(expanded[:mlkem.SeedSize])
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdh.P256().NewPrivateKey(expanded[mlkem.SeedSize:])
	if err != nil {
		t.Fatal(err)
	}
	return lattice, curve
}
